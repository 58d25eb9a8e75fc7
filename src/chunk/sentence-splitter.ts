import { isParagraphBreak, isWhiteSpace, skipWhiteSpace, trimEnd } from '../text/white-space.js'
import { importOptional } from '../util/import-optional.js'
import { checkedChunkOptions, fingerprint, packSection } from './pack.js'
import type { Chunker, ChunkOptions } from './types.js'

/** The part of `sentence-splitter` that is used: nodes of a paragraph, of which `Sentence` nodes matter, with offsets. */
export interface SentenceSplitterModule {
  split(text: string): readonly { readonly type: string; readonly range: readonly [number, number] }[]
}

export interface SentenceSplitterOptions extends ChunkOptions {
  /** A module that is loaded already. Default: `import('sentence-splitter')` when the first section comes. */
  readonly module?: SentenceSplitterModule
}

/**
 * The same chunks as the default chunker makes, but of the sentences that the package `sentence-splitter` (an optional peer) finds:
 * it keeps quotations and brackets in one sentence, and is a hundred times slower. Throws `RagError` `BAD_OPTION` when an option is
 * out of range; `chunk()` rejects with `MISSING_PEER` when the package is not installed. Another version of the package does not
 * change the fingerprint.
 */
export function createSentenceSplitterChunker(options: SentenceSplitterOptions): Chunker {
  const checked = checkedChunkOptions(options)
  const id = 'sentence-splitter'
  return {
    id,
    fingerprint: fingerprint(id, checked),
    chunk: async (section) => {
      const { split } = options.module ?? (await loadSentenceSplitter())
      return packSection(section, checked, (text) => sentencesOf(text, split))
    },
  }
}

function loadSentenceSplitter(): Promise<SentenceSplitterModule> {
  return importOptional('sentence-splitter', () => import('sentence-splitter'), 'npm i sentence-splitter@5')
}

/** The package takes a paragraph at a time: given more, it runs sentences together over blank lines. */
function sentencesOf(text: string, split: SentenceSplitterModule['split']): number[] {
  const spans: number[] = []
  let start = skipWhiteSpace(text, 0)
  for (let place = start; place < text.length; ) {
    const end = endOfWord(text, place)
    place = skipWhiteSpace(text, end)
    if (place < text.length && !isParagraphBreak(text, end, place)) continue
    addSentences(text.slice(start, end), start, split, spans)
    start = place
  }
  return spans
}

function endOfWord(text: string, from: number): number {
  let end = from
  while (end < text.length && !isWhiteSpace(text.charCodeAt(end))) end++
  return end
}

/** Each sentence reaches to the next: stops that the package finds outside of any sentence belong to the one before them. */
function addSentences(
  paragraph: string,
  offset: number,
  split: SentenceSplitterModule['split'],
  spans: number[],
): void {
  let start = 0
  const add = (end: number): void => {
    const trimmed = trimEnd(paragraph, start, end)
    if (trimmed > start) spans.push(offset + start, offset + trimmed)
    start = skipWhiteSpace(paragraph, end)
  }
  const sentences = split(paragraph).filter((node) => node.type === 'Sentence')
  for (const { range } of sentences.slice(1)) add(range[0])
  add(paragraph.length)
}
