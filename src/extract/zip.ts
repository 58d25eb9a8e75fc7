import type { Readable } from 'node:stream'
import type { Entry, ZipFile } from 'yauzl'
import { RagError } from '../core/errors.js'
import { emptyError } from './blocks.js'
import { decodeText } from './decode.js'
import type { ExtractOptions, ExtractSource } from './types.js'

/** What an archive may hold. Bombs are met while they are unpacked, whatever the archive says of its sizes. */
export interface ZipLimits {
  /** Entries at most. Default 20,000. */
  readonly maxEntries?: number
  /** Bytes that all entries which are read may unpack to. Default 1 GiB. */
  readonly maxUnpackedBytes?: number
  /**
   * Bytes that a byte of an entry may unpack to, once it has unpacked to more than 1 MiB. Default 100, as Apache POI has it
   * (`ZipSecureFile`, MIN_INFLATE_RATIO 0.01); XML made by office programs stays below 30.
   */
  readonly maxRatio?: number
}

const defaults: Required<ZipLimits> = { maxEntries: 20_000, maxUnpackedBytes: 2 ** 30, maxRatio: 100 }
/** So much may be unpacked of an entry before its ratio counts: short runs of the same compress well. */
const ratioGraceBytes = 1 << 20

/**
 * An archive that is held packed, and whose entries are unpacked one at a time, in parts, by their names. Nothing is written anywhere,
 * so a name that leads out of the archive leads nowhere; an archive with such a name is `CORRUPT`.
 */
export class ZipArchive {
  readonly #source: string
  readonly #zip: ZipFile
  readonly #entries: ReadonlyMap<string, Entry>
  readonly #limits: Required<ZipLimits>
  readonly #signal: AbortSignal | undefined
  #unpacked = 0

  private constructor(parts: {
    source: string
    zip: ZipFile
    entries: ReadonlyMap<string, Entry>
    limits: Required<ZipLimits>
    signal: AbortSignal | undefined
  }) {
    this.#source = parts.source
    this.#zip = parts.zip
    this.#entries = parts.entries
    this.#limits = parts.limits
    this.#signal = parts.signal
  }

  /** Reads the table of contents. Rejects with `EMPTY` (no bytes), `CORRUPT`, `ENCRYPTED` (an Office file with a password) or `LIMIT`. */
  static async open(
    source: ExtractSource,
    { signal, maxFileBytes }: ExtractOptions,
    given: ZipLimits = {},
  ): Promise<ZipArchive> {
    signal?.throwIfAborted()
    const limits = { ...defaults, ...given }
    const bytes = await source.bytes(maxFileBytes)
    if (bytes.length === 0) throw emptyError(source.name)
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    refuseEncryptedOffice(buffer, source.name)
    try {
      const { fromBufferPromise } = await import('yauzl')
      const zip = await fromBufferPromise(buffer)
      if (zip.entryCount > limits.maxEntries) throw tooManyEntries(source.name, zip.entryCount, limits.maxEntries)
      const entries = new Map<string, Entry>()
      // The count that the archive tells is not the count that it has.
      for await (const entry of zip.eachEntry()) {
        signal?.throwIfAborted()
        if (entries.size === limits.maxEntries) throw tooManyEntries(source.name, entries.size + 1, limits.maxEntries)
        // As programs that read from the start: the first of two with one name.
        if (!entries.has(entry.fileName)) entries.set(entry.fileName, entry)
      }
      return new ZipArchive({ source: source.name, zip, entries, limits, signal })
    } catch (cause) {
      throw signal?.aborted ? signal.reason : asCorrupt(source.name, cause)
    }
  }

  /** File name of the document, for messages. */
  get source(): string {
    return this.#source
  }

  has(name: string): boolean {
    return this.#entries.has(name)
  }

  /** The text of an entry, in parts; `CORRUPT` when there is none of that name. */
  text(name: string): AsyncGenerator<string, void, undefined> {
    return decodeText(this.bytes(name))
  }

  /** Unpacks an entry, in parts. */
  async *bytes(name: string): AsyncGenerator<Uint8Array, void, undefined> {
    const entry = this.#entries.get(name)
    if (entry === undefined) throw corruptArchive(this.#source, `it has no part "${name.slice(0, 200)}"`)
    if (entry.isEncrypted()) throw encryptedArchive(this.#source)
    let stream: Readable | undefined
    try {
      stream = await this.#zip.openReadStreamPromise(entry)
      let unpacked = 0
      for await (const part of stream as AsyncIterable<Uint8Array>) {
        this.#signal?.throwIfAborted()
        unpacked += part.length
        this.#unpacked += part.length
        this.#refuseBomb(unpacked, entry)
        yield part
      }
    } catch (cause) {
      throw this.#signal?.aborted ? this.#signal.reason : asCorrupt(this.#source, cause)
    } finally {
      stream?.destroy()
    }
  }

  #refuseBomb(unpacked: number, { compressedSize }: Entry): void {
    const { maxRatio, maxUnpackedBytes } = this.#limits
    if (this.#unpacked > maxUnpackedBytes) throw bomb(this.#source, { maxUnpackedBytes }, 'maxArchiveBytes')
    if (unpacked > ratioGraceBytes && unpacked > maxRatio * compressedSize)
      throw bomb(this.#source, { maxRatio }, 'maxArchiveRatio')
  }
}

/**
 * A file of Word, Excel or PowerPoint that has a password is no ZIP but an OLE container with a stream of this name, in UTF-16
 * (MS-OFFCRYPTO 1.3.2); without the stream it is a file of Office 97 under a new name.
 */
function refuseEncryptedOffice(bytes: Buffer, name: string): void {
  if (!bytes.subarray(0, oleSign.length).equals(oleSign)) return
  if (bytes.includes(encryptedStream)) throw encryptedArchive(name)
  throw new RagError('UNSUPPORTED', `"${name}" is a file of Office 97 to 2003, which no extractor reads.`, {
    data: { name, mediaType: 'application/x-ole-storage' },
    hint: 'Save it in today\'s format (.docx, .xlsx, .pptx), for example with "soffice --convert-to docx FILE".',
  })
}

const oleSign = Buffer.from('d0cf11e0a1b11ae1', 'hex')
const encryptedStream = Buffer.from('EncryptedPackage', 'utf16le')

function asCorrupt(name: string, cause: unknown): unknown {
  return RagError.isInstance(cause) ? cause : corruptArchive(name, 'its archive is damaged', cause)
}

/** The archive, or what is in it, is not what it claims to be; `problem` completes "cannot be read: ...". */
export function corruptArchive(name: string, problem: string, cause?: unknown): RagError {
  return new RagError('CORRUPT', `"${name}" cannot be read: ${problem}.`, {
    data: { name },
    ...(cause === undefined ? {} : { cause }),
    hint: 'Open it in the program it was made with; if that works, save a copy and give the copy.',
  })
}

export function encryptedArchive(name: string): RagError {
  return new RagError('ENCRYPTED', `"${name}" is protected by a password, which cannot be given here.`, {
    data: { name, reason: 'unknown-scheme' },
    hint: 'Save a copy without a password in the program it was made with, and give the copy.',
  })
}

function tooManyEntries(name: string, entries: number, maxEntries: number): RagError {
  return new RagError('LIMIT', `"${name}" is an archive of ${entries} entries; the limit is ${maxEntries}.`, {
    data: { name, entries, maxEntries },
    hint: 'Documents have far fewer. If it is one, raise limits.maxArchiveEntries, or split it.',
  })
}

function bomb(name: string, limit: Readonly<Record<string, number>>, option: string): RagError {
  return new RagError('LIMIT', `"${name}" unpacks to more than is allowed.`, {
    data: { name, ...limit },
    hint: `It may be a decompression bomb. If you trust it, raise limits.${option}, or split it into smaller documents.`,
  })
}
