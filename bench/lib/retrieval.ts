import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

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

/** nDCG@10 with graded gains (2^grade - 1 gives the same order here; trec_eval's linear gain is used). */
export function ndcg10(ranked: readonly string[], relevant: ReadonlyMap<string, number>): number {
  const gain = (grade: number, rank: number) => grade / Math.log2(rank + 2)
  const actual = ranked.slice(0, 10).reduce((sum, id, rank) => sum + gain(relevant.get(id) ?? 0, rank), 0)
  const ideal = [...relevant.values()]
    .sort((a, b) => b - a)
    .slice(0, 10)
    .reduce((sum, grade, rank) => sum + gain(grade, rank), 0)
  return ideal === 0 ? 0 : actual / ideal
}

/** Share of the relevant documents (of ten at most) among the first ten. */
export function recall10(ranked: readonly string[], relevant: ReadonlyMap<string, number>): number {
  const found = ranked.slice(0, 10).filter((id) => relevant.has(id)).length
  return found / Math.max(1, Math.min(10, relevant.size))
}

/** 1 when any of the first five passages overlaps a span that answers, else 0. */
export function spanHit5(passages: readonly AnswerSpan[], answers: readonly AnswerSpan[]): number {
  const overlaps = (passage: AnswerSpan) =>
    answers.some(
      (answer) =>
        answer.documentId === passage.documentId && passage.start < answer.end && answer.start < passage.end,
    )
  return passages.slice(0, 5).some(overlaps) ? 1 : 0
}

/** Documents in the order of their best passage. */
export function byDocument(passages: readonly { readonly documentId: string }[]): string[] {
  return [...new Set(passages.map(({ documentId }) => documentId))]
}

export function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length
}
