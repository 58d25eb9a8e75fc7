import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { RagError } from '../core/errors.js'
import type { Judgements } from './metrics.js'

/** A labelled set: documents, questions, and which documents answer which question. */
export interface LabelledSet {
  readonly name: string
  readonly documents: readonly LabelledDocument[]
  /** Questions that somebody judged. */
  readonly queries: readonly LabelledQuery[]
}

export interface LabelledDocument {
  readonly id: string
  /** `''` for none. */
  readonly title: string
  readonly text: string
}

export interface LabelledQuery {
  readonly id: string
  readonly text: string
  /** Grades above 0 by document id; at least one. */
  readonly relevant: Judgements
}

/** Options of {@link readDataset}. */
export interface DatasetOptions {
  /** The judgements to take where there are several (`qrels/test.tsv`, `qrels/dev.tsv`). Default `'test'`. */
  readonly split?: string
}

/**
 * Reads a folder in the layout of BEIR (Thakur et al. 2021): `corpus.jsonl` (`_id` or `id`, `title`, `text`), `queries.jsonl` (`_id`
 * or `id`, `text`) and judgements as tab-separated lines of question, document and grade, in `qrels/SPLIT.tsv`, `qrels.SPLIT.tsv` or
 * `qrels.tsv`, with or without a heading. Questions that nobody judged, or without a relevant document, are left out; a relevant
 * document that is not in the corpus counts as one that is never found, both as in trec_eval.
 *
 * Rejects with `NOT_FOUND` for a folder or a file that is not there, with `CORRUPT` that names file and line for a line that is
 * not what it should be, or judgements of another set.
 */
export async function readDataset(folder: string, { split = 'test' }: DatasetOptions = {}): Promise<LabelledSet> {
  const directory = resolve(folder)
  const documents = await readDocuments(await requireFile(directory, ['corpus.jsonl']))
  const file = await requireFile(directory, [join('qrels', `${split}.tsv`), `qrels.${split}.tsv`, 'qrels.tsv'])
  const judgements = await readJudgements(file, new Set(documents.map(({ id }) => id)))
  const queries = await readQueries(await requireFile(directory, ['queries.jsonl']), judgements)
  if (queries.length > 0) return { name: basename(directory), documents, queries }
  throw new RagError('CORRUPT', `No question of "${directory}" has a relevant document.`, {
    data: { directory, file },
    hint: 'Check that queries.jsonl and the judgements are of the same set.',
  })
}

async function requireFile(directory: string, names: readonly string[]): Promise<string> {
  for (const name of names) {
    const file = join(directory, name)
    if ((await stat(file).catch(() => undefined))?.isFile()) return file
  }
  const there = await readdir(directory).catch(() => undefined)
  const missing = there === undefined ? 'does not exist' : `has no ${names.join(' or ')}`
  throw new RagError('NOT_FOUND', `The data set "${directory}" ${missing}.`, {
    data: { directory, lookedFor: names, found: there?.slice(0, 20) ?? null },
    hint: 'A set in the layout of BEIR is a folder with corpus.jsonl, queries.jsonl and qrels/test.tsv or qrels.tsv.',
  })
}

async function readDocuments(file: string): Promise<LabelledDocument[]> {
  const documents: LabelledDocument[] = []
  const known = new Set<string>()
  for await (const { row, line } of jsonLines(file)) {
    const { title } = row
    const id = idOf(row, { file, line })
    if (known.has(id)) throw damaged(file, line, 'its id has been used before')
    known.add(id)
    documents.push({ id, title: typeof title === 'string' ? title : '', text: textOf(row, { file, line }) })
  }
  return documents
}

async function readQueries(
  file: string,
  judgements: ReadonlyMap<string, Map<string, number>>,
): Promise<LabelledQuery[]> {
  const queries: LabelledQuery[] = []
  for await (const { row, line } of jsonLines(file)) {
    const id = idOf(row, { file, line })
    const relevant = judgements.get(id)
    if (relevant !== undefined) queries.push({ id, text: textOf(row, { file, line }), relevant })
  }
  return queries
}

/** Grades above 0 by question and document. */
async function readJudgements(file: string, documents: ReadonlySet<string>): Promise<Map<string, Map<string, number>>> {
  const judgements = new Map<string, Map<string, number>>()
  let known = 0
  for await (const { text, line } of linesOf(file)) {
    const fields = text.split('\t').map((field) => field.trim())
    // trec's own four columns have an unused one in the second place.
    const [query = '', document = '', value = ''] = fields.length === 4 ? [fields[0], fields[2], fields[3]] : fields
    const grade = Number(value)
    if (value === '' || !Number.isFinite(grade)) {
      if (line === 1) continue
      throw damaged(file, line, 'it has no grade in its third column')
    }
    if (grade <= 0) continue
    if (documents.has(document)) known++
    const relevant = judgements.get(query) ?? new Map<string, number>()
    judgements.set(query, relevant.set(document, grade))
  }
  if (known > 0) return judgements
  throw new RagError('CORRUPT', `No document that "${file}" judges relevant is in corpus.jsonl.`, {
    data: { file, judged: judgements.size },
    hint: 'The second column holds document ids, as they stand in corpus.jsonl.',
  })
}

interface Place {
  readonly file: string
  readonly line: number
}

function idOf({ _id: underscored, id = underscored }: Row, { file, line }: Place): string {
  if (typeof id === 'number') return String(id)
  if (typeof id === 'string' && id !== '') return id
  throw damaged(file, line, 'it has no "_id" or "id"')
}

function textOf({ text }: Row, { file, line }: Place): string {
  if (typeof text === 'string') return text
  throw damaged(file, line, 'it has no "text"')
}

type Row = Readonly<Record<string, unknown>>

async function* jsonLines(file: string): AsyncGenerator<{ readonly row: Row; readonly line: number }> {
  for await (const { text, line } of linesOf(file)) {
    let row: unknown
    try {
      row = JSON.parse(text)
    } catch (cause) {
      throw damaged(file, line, 'it is not JSON', cause)
    }
    if (typeof row !== 'object' || row === null || Array.isArray(row)) throw damaged(file, line, 'it is no object')
    yield { row: row as Row, line }
  }
}

/** Lines that are not blank, numbered from 1. Not by `node:readline`, for which U+2028 within a text ends a line. */
async function* linesOf(file: string): AsyncGenerator<{ readonly text: string; readonly line: number }> {
  let line = 0
  let held = ''
  const clean = (text: string) => {
    line++
    return (line === 1 ? text.replace(/^\ufeff/, '') : text).replace(/\r$/, '')
  }
  for await (const part of createReadStream(file, 'utf8')) {
    const lines = (held + part).split('\n')
    held = lines.pop() ?? ''
    for (const raw of lines) {
      const text = clean(raw)
      if (text.trim() !== '') yield { text, line }
    }
  }
  const last = clean(held)
  if (last.trim() !== '') yield { text: last, line }
}

function damaged(file: string, line: number, why: string, cause?: unknown): RagError {
  return new RagError('CORRUPT', `Line ${line} of "${file}" cannot be used: ${why}.`, { cause, data: { file, line } })
}
