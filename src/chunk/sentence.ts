import { sentenceSpans } from '../text/sentences.js'
import { checkedChunkOptions, fingerprint, packSection } from './pack.js'
import type { Chunker, ChunkOptions } from './types.js'

/**
 * The default chunker: whole sentences, as our own splitter finds them (`text/sentences.ts`), packed into chunks. Synchronous.
 * Throws `RagError` `BAD_OPTION` when an option is out of range.
 */
export function createSentenceChunker(options: ChunkOptions): Chunker {
  const checked = checkedChunkOptions(options)
  const id = 'sentence'
  return {
    id,
    fingerprint: fingerprint(id, checked),
    chunk: (section) => packSection(section, checked, sentenceSpans),
  }
}
