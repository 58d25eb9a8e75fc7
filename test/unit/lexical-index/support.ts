import { encodePiece } from '../../../src/core/piece.js'
import type { LexicalDocumentPart, LexicalIndex } from '../../../src/lexical-index/types.js'
import type { OracleDocument } from './oracle.js'

export { randomNumbers as seeded } from '../../../src/testing/support.js'

/** A document as the index takes it, in parts of one piece, each of at most `chunksPerPiece` chunks. */
export function partsOf(document: OracleDocument, chunksPerPiece = 3, language = 'english'): LexicalDocumentPart[] {
  const parts: LexicalDocumentPart[] = []
  let start = 0
  for (let first = 0; first < document.chunks.length; first += chunksPerPiece) {
    const own = document.chunks.slice(first, first + chunksPerPiece)
    const text = own.map((chunk) => chunk.text).join('\n')
    let at = start
    const chunks = own.map(({ text: chunkText, headings }) => {
      const span = { start: at, end: at + chunkText.length }
      at = span.end + 1
      return { id: '0'.repeat(32), span, headings }
    })
    const piece = encodePiece({ firstOrdinal: first, start, text, chunks })
    parts.push({ base: document.base, title: document.title, language, pieces: [piece] })
    start += text.length + 1
  }
  return parts
}

/** A document of plain chunks. */
export function documentOf(base: number, title: string, ...texts: string[]): OracleDocument {
  return { base, title, chunks: texts.map((text) => ({ text, headings: [] })) }
}

/** Adds documents and removes ranges in one update. */
export async function publish(
  index: LexicalIndex,
  epoch: number,
  documents: readonly OracleDocument[],
  removed: readonly (readonly [number, number])[] = [],
  language = 'english',
): Promise<void> {
  const update = index.update()
  update.remove(removed)
  for (const document of documents) for (const part of partsOf(document, 3, language)) await update.add(part)
  await update.publish(epoch)
}

/** Numbers found, best first. */
export async function find(index: LexicalIndex, text: string, topK = 10): Promise<number[]> {
  return (await index.search(text, { topK })).matches.map(({ number }) => number)
}

const vocabulary = [
  ...Array.from({ length: 120 }, (_, i) => `word${String.fromCharCode(97 + (i % 26))}${i}`),
  'running',
  'runs',
  'parseHttpHeader',
  'the',
  'what',
  'naïve',
  'Über',
  '猫が好き',
  'красивыми',
  '𝒳yz',
  "don't",
]

/** Words with a distribution like that of language: few are frequent, most are rare. */
export function randomText(random: () => number, words: number): string {
  return Array.from({ length: words }, () => vocabulary[Math.floor(vocabulary.length * random() ** 2.5)]).join(' ')
}

export function randomDocument(random: () => number, base: number): OracleDocument {
  const chunks = Array.from({ length: 1 + Math.floor(random() * 7) }, () => ({
    text: randomText(random, 1 + Math.floor(random() * 40)),
    headings: random() < 0.4 ? [randomText(random, 2)] : [],
  }))
  return { base, title: random() < 0.5 ? randomText(random, 3) : '', chunks }
}
