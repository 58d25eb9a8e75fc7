/**
 * Reads documents of some media types: bytes in, blocks of text out, never the whole document at once.
 * The extracted text of a document is the concatenation of its blocks' texts; every offset in the library points into it.
 */
export interface Extractor {
  readonly id: string
  /** Changes whenever the same bytes would give another text. */
  readonly fingerprint: string
  /** Media types it reads, lower case, without parameters. */
  readonly mediaTypes: readonly string[]
  /**
   * Opens a document. Rejects with `RagError` `ENCRYPTED`, `CORRUPT`, `EMPTY`, `NO_TEXT` or `LIMIT`; so may the iteration.
   * Ending the iteration early frees everything.
   */
  extract(source: ExtractSource, options: ExtractOptions): Promise<Extraction>
  /** Of formats whose large documents several threads may read together. */
  readonly split?: SplitReading
}

/** How several threads read one document: one extracts it, the others read parts of it for that one. */
export interface SplitReading {
  /** How many pages a document has. Rejects as `extract` does. */
  pages(source: ExtractSource, options: ExtractOptions): Promise<number>
  /** What one of `lanes` readers has to read, as values that can cross a thread. Lane 0 is that of `extract`, which takes the others as `otherLanes`. */
  read(
    source: ExtractSource,
    options: ExtractOptions & { readonly lane: number; readonly lanes: number },
  ): AsyncIterable<LanePart>
}

/** What one reader gives to another; it can cross a thread. */
export interface LanePart {
  /** What it takes in memory, about. */
  readonly bytes: number
}

/** The document to read. */
export interface ExtractSource {
  /** File name or id; for messages. */
  readonly name: string
  readonly mediaType: string
  /** Byte length when known. */
  readonly size: number | undefined
  readonly password?: string
  /** The whole document; rejects with `LIMIT` beyond `maxBytes`. */
  bytes(maxBytes: number): Promise<Uint8Array>
  /** The document in parts of at most 64 KiB. */
  stream(): AsyncIterable<Uint8Array>
}

export interface ExtractOptions {
  readonly signal?: AbortSignal
  /** Bytes of one file that must be held whole (PDF). */
  readonly maxFileBytes: number
  /** What others read of the same document, from lane 1 on; see {@link SplitReading}. Default: nobody else reads it. */
  readonly otherLanes?: readonly AsyncIterable<LanePart>[]
}

/** An opened document. */
export interface Extraction {
  /** Title told by the document itself (PDF info, HTML title, first level-1 heading near the start). */
  readonly title?: string
  /** BCP 47 language told by the document itself. */
  readonly language?: string
  /** Page count, for media that have pages. */
  readonly pages?: number
  readonly blocks: AsyncIterable<Block>
}

/** A stretch of extracted text, white space and line ends included, at most 64 Ki code units, well-formed UTF-16. */
export interface Block {
  readonly text: string
  readonly kind: 'text' | 'heading' | 'code' | 'table'
  /** 1-based. Pages never go backwards. */
  readonly page?: number
  /** Headings above it (for `heading`: with itself last), outermost first. Default: none. */
  readonly headings?: readonly string[]
}

/** Reads documents from the web. */
export interface UrlReader {
  /** The document at `url`, or `'unchanged'` when it still is what `known` was told with. */
  read(
    url: string,
    options?: { readonly known?: UrlValidators | undefined; readonly signal?: AbortSignal },
  ): Promise<FetchedDocument | 'unchanged'>
  close(): Promise<void>
}

/** A document as a server gave it. */
export interface FetchedDocument {
  readonly bytes: Uint8Array
  /** As the server says; absent where it says nothing. */
  readonly mediaType?: string
  readonly validators: UrlValidators
}

/** What a server tells a version by. */
export interface UrlValidators {
  readonly etag?: string
  readonly lastModified?: string
}

/** Which URLs may be read. */
export interface UrlOptions {
  /** Names that may be read from, also after a redirect: `docs.example.org`, or `*.example.org` for all below. Default: all. */
  readonly hosts?: readonly string[]
  /** Default 80 and 443. */
  readonly ports?: readonly number[]
  /** Bytes of a document at most; more is `LIMIT`. Default 32 MiB, and never more than `limits.maxFileBytes`. */
  readonly maxBytes?: number
  /** Milliseconds for a document in all, redirects included; then `TIMEOUT`. Default 30,000. */
  readonly timeoutMs?: number
  /** Redirects that are followed, 0 to 20. Default 5. */
  readonly maxRedirects?: number
  /** Whether servers in private networks, and on this machine, may be read. Default `false`; only together with `hosts`. */
  readonly allowPrivateAddresses?: boolean
}
