/** Cuts text into passages. Pure, and linear in the length of its input. */
export interface Chunker {
  readonly id: string
  /** Changes whenever the same section would be cut otherwise. */
  readonly fingerprint: string
  /** Ascending, non-empty, within the section, no white space at either end; with overlap a chunk may begin before its predecessor ends. */
  chunk(section: Section): readonly SectionSpan[] | Promise<readonly SectionSpan[]>
}

/** Consecutive blocks of one page under one heading path: at most 64 Ki code units, so that chunking streams. */
export interface Section {
  readonly text: string
  /** Stretches that are kept whole where the size allows (code fences, tables), ascending and disjoint. */
  readonly whole: readonly SectionSpan[]
  /** Title and heading path, as they stand before each chunk where it is embedded and indexed. Default: nothing stands there. */
  readonly context?: string
}

/** `[start, end)` in UTF-16 code units of the section's text. Never inside a surrogate pair or grapheme cluster. */
export interface SectionSpan {
  readonly start: number
  readonly end: number
}

/** Options every chunker understands. */
export interface ChunkOptions {
  /** Characters (UTF-16 code units) of a chunk, at most. Default 400, at least 20, at most 60,000. */
  readonly chunkSize: number
  /** Characters of whole sentences repeated from the previous chunk, less than half of `chunkSize`. Default 0. */
  readonly chunkOverlap: number
  /** Shorter chunks are joined with a neighbour of the same section (which may then exceed `chunkSize` by as much). 0 (default): keep them. */
  readonly minChunkSize: number
}
