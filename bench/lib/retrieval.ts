import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createSentenceChunker } from '../../src/chunk/sentence.js'
import { encodePiece } from '../../src/core/piece.js'
import type { LexicalIndex } from '../../src/lexical-index/types.js'

/** A retrieval set in the layout of BEIR, with the spans that answer where the set has them. */
export interface RetrievalSet {
  readonly name: string
  readonly documents: readonly RetrievalDocument[]
  readonly queries: readonly RetrievalQuery[]
}

export interface RetrievalDocument {
  readonly id: string
  readonly title: string
  readonly text: string
}

export interface RetrievalQuery {
  readonly id: string
  readonly text: string
  /** Grade by document id; absent means not relevant. */
  readonly relevant: ReadonlyMap<string, number>
  /** What answers the question, UTF-16 offsets into the text of a document; empty when the set does not say. */
  readonly answers: readonly AnswerSpan[]
}

export interface AnswerSpan {
  readonly documentId: string
  readonly start: number
  readonly end: number
}

/** Reads `retrieval/NAME` below the data folder; `undefined` when it is not there. Questions nobody judged are left out. */
export function loadRetrievalSet(data: string, name: string): RetrievalSet | undefined {
  const folder = join(data, 'retrieval', name)
  if (!existsSync(join(folder, 'corpus.jsonl'))) return undefined
  const documents = readLines<{ id: string; title?: string; text: string }>(join(folder, 'corpus.jsonl')).map(
    ({ id, title, text }) => ({ id, title: title ?? '', text }),
  )
  const judgements = readJudgements(join(folder, 'qrels.tsv'))
  const answers = readAnswers(join(folder, 'spans.jsonl'), documents)
  const queries = readLines<{ id: string; text: string }>(join(folder, 'queries.jsonl')).flatMap(({ id, text }) => {
    const relevant = judgements.get(id)
    return relevant === undefined ? [] : [{ id, text, relevant, answers: answers.get(id) ?? [] }]
  })
  return { name, documents, queries }
}

function readLines<Row>(path: string): Row[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Row)
}

function readJudgements(path: string): Map<string, Map<string, number>> {
  const judgements = new Map<string, Map<string, number>>()
  for (const line of readFileSync(path, 'utf8').trim().split('\n').slice(1)) {
    const [query = '', document = '', grade = '0'] = line.split('\t')
    if (Number(grade) <= 0) continue
    const relevant = judgements.get(query) ?? new Map<string, number>()
    judgements.set(query, relevant.set(document, Number(grade)))
  }
  return judgements
}

type SpanRow = { query: string; doc: string } & (
  | { spans: [start: number, end: number][] }
  | { answers: [start: number, text: string][] }
)

function readAnswers(path: string, documents: readonly RetrievalDocument[]): Map<string, AnswerSpan[]> {
  const answers = new Map<string, AnswerSpan[]>()
  if (!existsSync(path)) return answers
  const texts = new Map(documents.map(({ id, text }) => [id, text]))
  for (const row of readLines<SpanRow>(path)) {
    const toUnits = codePointOffsets(texts.get(row.doc) ?? '')
    const ranges =
      'spans' in row ? row.spans : row.answers.map(([start, text]) => [start, start + [...text].length] as const)
    const spans = ranges.map(([start, end]) => ({ documentId: row.doc, start: toUnits(start), end: toUnits(end) }))
    answers.set(row.query, [...(answers.get(row.query) ?? []), ...spans])
  }
  return answers
}

/** Offsets in the files count code points; ours count UTF-16 code units. They agree unless the text holds astral characters. */
function codePointOffsets(text: string): (offset: number) => number {
  if (!/[\ud800-\udbff]/.test(text)) return (offset) => offset
  const units: number[] = []
  let unit = 0
  for (const character of text) {
    units.push(unit)
    unit += character.length
  }
  return (offset) => units[offset] ?? text.length
}

/** 1 when any of the first five passages overlaps a span that answers, else 0. */
export function spanHit5(passages: readonly AnswerSpan[], answers: readonly AnswerSpan[]): number {
  const overlaps = (passage: AnswerSpan) =>
    answers.some(
      (answer) => answer.documentId === passage.documentId && passage.start < answer.end && answer.start < passage.end,
    )
  return passages.slice(0, 5).some(overlaps) ? 1 : 0
}

/** Documents in the order of their best passage. */
export function byDocument(passages: readonly { readonly documentId: string }[]): string[] {
  return [...new Set(passages.map(({ documentId }) => documentId))]
}

/** A passage that was indexed. */
export interface Passage extends AnswerSpan {
  readonly number: number
}

/** Stretches of a text that become passages. */
export type Cut = (text: string) => readonly { readonly start: number; readonly end: number }[]

/** The text as one passage. */
export const wholeText: Cut = (text) => [{ start: 0, end: text.length }]

/** Sentences packed into passages of 400 characters, as the library does by default. */
export function sentencePassages(): Cut {
  const chunker = createSentenceChunker({ chunkSize: 400, chunkOverlap: 0, minChunkSize: 0 })
  return (text) => sections(text).flatMap(({ start, end }) => cutSection(text.slice(start, end), start))

  function cutSection(section: string, offset: number) {
    const spans = chunker.chunk({ text: section, whole: [] })
    if (spans instanceof Promise) throw new Error('The sentence chunker is synchronous.')
    return spans.map(({ start, end }) => ({ start: start + offset, end: end + offset }))
  }
}

/** A section holds 64 Ki code units at most; these end with a line where there is one. */
export function sections(text: string): { start: number; end: number }[] {
  const limit = 60_000
  const found: { start: number; end: number }[] = []
  for (let start = 0; start < text.length; ) {
    const line = text.length - start > limit ? text.lastIndexOf('\n', start + limit) : -1
    const end = line > start ? line + 1 : Math.min(text.length, start + limit)
    found.push({ start, end })
    start = end
  }
  return found
}

/** Indexes a set, cut into passages, and tells which passage has which number. */
export async function indexSet(
  index: LexicalIndex,
  set: RetrievalSet,
  cut: Cut,
): Promise<ReadonlyMap<number, Passage>> {
  const passages = new Map<number, Passage>()
  const update = index.update()
  let base = 1
  for (const { id, title, text } of set.documents) {
    const spans = cut(text)
    // A document without text is still found by its title.
    const chunks = (spans.length > 0 ? spans : [{ start: 0, end: 0 }]).map((span) => ({ id, span, headings: [] }))
    await update.add({
      base,
      title,
      language: 'en',
      pieces: [encodePiece({ firstOrdinal: 0, start: 0, text, chunks })],
    })
    for (const { span } of chunks) passages.set(base, { number: base++, documentId: id, ...span })
  }
  await update.publish(1)
  return passages
}
