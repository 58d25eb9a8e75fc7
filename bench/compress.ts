import { encodePiece } from '../src/core/piece.js'
import { createLatentSemanticFitter } from '../src/embed/latent-semantic.js'
import { fitPca } from '../src/embed/pca.js'
import { createReducedEmbedder } from '../src/embed/reduced.js'
import type { Embedder, PassagePart, Reduction } from '../src/embed/types.js'
import { mean, ndcg } from '../src/eval/metrics.js'
import { dot } from '../src/util/vector-math.js'
import { createFlatIndex } from '../src/vector-index/flat.js'
import type { Bench, Metrics } from './lib/bench.js'
import { compare, processorTime } from './lib/measure.js'
import { byDocument, loadRetrievalSet, type RetrievalSet, sentencePassages } from './lib/retrieval.js'
import { inOneGroup } from './lib/vectors.js'

const sets = ['cranfield', 'med', 'nfcorpus', 'product-docs']
/** Values of the vectors that are made smaller: latent semantic ones of the set itself, whose values come in the order of their weight. */
const width = 256
const topK = 200
/** Rows that searches are timed over. */
const timedRows = 20_000

/** What making vectors smaller costs in nDCG@10 of the vectors alone, and gains in bytes and time of a search in the flat index. */
const bench: Bench = async ({ data, log, table, quick }) => {
  if (data === undefined) {
    log('skipped: the retrieval sets are not there (UFRAG_DATA)')
    return {}
  }
  const scores = new Map<string, number[]>()
  const stored = new Map<string, Float32Array>()
  for (const name of sets) {
    const set = loadRetrievalSet(data, name)
    if (set === undefined) {
      log(`skipped: ${name} is not there`)
      continue
    }
    const vectors = await embedSet(set)
    for (const variant of await variantsOf(vectors)) {
      const { passages, questions, dimensions, rank } = variant
      const values = set.queries.map(({ relevant }, i) => {
        const query = questions.subarray(i * dimensions, (i + 1) * dimensions)
        const found = rank(query, topK).map((row) => vectors.documents[row] as string)
        return ndcg(byDocument(found.map((documentId) => ({ documentId }))), relevant)
      })
      scores.set(variant.name, [...(scores.get(variant.name) ?? []), mean(values)])
      // Searches are timed over the largest set: copies of a few rows would all be as near as each other.
      const { length = 0 } = stored.get(variant.name) ?? {}
      if (variant.isRows && passages.length > length) stored.set(variant.name, passages)
    }
  }
  const times = await timeFlat(stored, quick)
  const base = scores.get('fp32') as number[]
  const metrics: Metrics = {}
  const rows: (string | number)[][] = [['vectors', ...sets, 'nDCG@10 of full', 'bytes each', 'flat search']]
  for (const [name, values] of scores) {
    const share = mean(values.map((value, i) => value / (base[i] as number)))
    const time = times.get(name)
    metrics[`ndcg10.${keyOf(name)}`] = share
    if (time !== undefined) metrics[`speed.${keyOf(name)}`] = time.ratio
    rows.push([
      name,
      ...values.map((value) => value.toFixed(4)),
      `${(share * 100).toFixed(1)}%`,
      bytesOf(name),
      time === undefined ? '' : `${time.ms.toFixed(2)} ms, ${time.ratio.toFixed(2)}x`,
    ])
  }
  table(rows)
  return metrics
}
export default bench

interface SetVectors {
  readonly passages: Float32Array
  readonly questions: Float32Array
  /** Of each passage. */
  readonly documents: readonly string[]
}

/** Fits the embedder to the set and embeds its passages and questions. */
async function embedSet({ documents, queries }: RetrievalSet): Promise<SetVectors> {
  const cut = sentencePassages()
  const parts = documents.map(({ title, text }): PassagePart & { readonly chunks: number } => {
    const spans = cut(text)
    const chunks = (spans.length > 0 ? spans : [{ start: 0, end: 0 }]).map((span) => ({
      id: '0'.repeat(32),
      span,
      headings: [],
    }))
    const piece = encodePiece({ firstOrdinal: 0, start: 0, text, chunks })
    return { title, language: 'en', pieces: [piece], chunks: chunks.length }
  })
  const copies = () =>
    parts.map((part) => ({ ...part, pieces: part.pieces.map((piece) => piece.slice()), from: 0, to: part.chunks }))
  const corpusChunks = parts.reduce((sum, { chunks }) => sum + chunks, 0)
  const fitter = createLatentSemanticFitter({ dimensions: width })
  try {
    const embedder = await fitter.fit(inOneGroup(copies()), { corpusChunks, corpusDocuments: documents.length })
    const embedded = await embedder.embedParts(copies(), {})
    const passages = new Float32Array(corpusChunks * embedder.dimensions)
    let place = 0
    for (const rows of embedded) {
      passages.set(rows, place)
      place += rows.length
    }
    const { vectors: questions } = await embedder.embed(
      queries.map(({ text }) => text),
      { kind: 'query' },
    )
    return {
      passages,
      questions,
      documents: documents.flatMap(({ id }, i) => Array<string>((parts[i] as { chunks: number }).chunks).fill(id)),
    }
  } finally {
    await fitter.close()
  }
}

interface Variant {
  readonly name: string
  readonly passages: Float32Array
  readonly questions: Float32Array
  readonly dimensions: number
  /** Whether the flat index is timed with these rows. */
  readonly isRows: boolean
  readonly rank: (query: Float32Array, topK: number) => number[]
}

async function variantsOf({ passages, questions }: SetVectors): Promise<Variant[]> {
  const bases = new Map(
    await Promise.all(
      [128, 64].map(async (dimensions) => {
        const known = nonZero(passages, width)
        return [dimensions, (await fitPca(known, { from: width, dimensions })).basis] as const
      }),
    ),
  )
  const reductions: [string, Reduction][] = [
    ...[128, 64, 32].map((dimensions): [string, Reduction] => [`cut to ${dimensions}`, { kind: 'cut', dimensions }]),
    ...[...bases].map(([dimensions, basis]): [string, Reduction] => [`pca to ${dimensions}`, { kind: 'pca', basis }]),
    ...[64, 32].map((topK): [string, Reduction] => [`largest ${topK}`, { kind: 'sparsify', topK }]),
  ]
  const reduced: Variant[] = []
  for (const [name, reduction] of reductions) {
    const [rows, asked] = [await reduce(passages, reduction), await reduce(questions, reduction)]
    const dimensions = reduction.kind === 'sparsify' ? width : rows.length / (passages.length / width)
    reduced.push({ name, passages: rows, questions: asked, dimensions, isRows: true, rank: exactly(rows, dimensions) })
  }
  const plain = { passages, questions, dimensions: width }
  const quantised = int8Rows(passages, width)
  const signs = signRows(passages, width)
  return [
    { ...plain, name: 'fp32', isRows: true, rank: exactly(passages, width) },
    ...reduced,
    { ...plain, name: 'fp16', isRows: false, rank: exactly(passages.map(toHalf), width) },
    { ...plain, name: 'int8', isRows: false, rank: exactly(quantised, width) },
    {
      ...plain,
      name: '1 bit',
      isRows: false,
      rank: (query, topK) => bySigns(signs, signRows(query, width), width, topK),
    },
    ...[4, 10].map((factor) => ({
      ...plain,
      name: `1 bit, ${factor}x rescored`,
      isRows: false,
      rank: (query: Float32Array, topK: number) => {
        const candidates = bySigns(signs, signRows(query, width), width, topK * factor)
        const scored = candidates.map((row) => ({ row, score: dot(query, 0, passages, row * width, width) }))
        return scored
          .sort((a, b) => b.score - a.score)
          .slice(0, topK)
          .map(({ row }) => row)
      },
    })),
  ]
}

/** Rows through the embedder that the option makes. */
async function reduce(rows: Float32Array, reduction: Reduction): Promise<Float32Array> {
  const count = rows.length / width
  const given: Embedder = {
    id: 'given',
    fingerprint: 'given',
    dimensions: width,
    capabilities: { fitted: false, batchSize: count },
    embed: async () => ({ vectors: rows, failed: [], tokens: 0 }),
    close: async () => {},
  }
  return (await createReducedEmbedder(given, reduction).embed(Array(count).fill(''), { kind: 'passage' })).vectors
}

function nonZero(rows: Float32Array, dimensions: number): Float32Array {
  const kept: number[] = []
  for (let start = 0; start < rows.length; start += dimensions)
    if (rows.subarray(start, start + dimensions).some((value) => value !== 0)) kept.push(start)
  const known = new Float32Array(kept.length * dimensions)
  for (const [i, start] of kept.entries()) known.set(rows.subarray(start, start + dimensions), i * dimensions)
  return known
}

function exactly(rows: Float32Array, dimensions: number) {
  const count = rows.length / dimensions
  return (query: Float32Array, topK: number): number[] => {
    const scores = Float64Array.from({ length: count }, (_, row) => dot(query, 0, rows, row * dimensions, dimensions))
    return best(scores, topK)
  }
}

function best(scores: Float64Array, topK: number): number[] {
  return [...scores.keys()].sort((a, b) => (scores[b] as number) - (scores[a] as number) || a - b).slice(0, topK)
}

/** IEEE 754 half precision, as a round trip: 11 significant bits. */
function toHalf(value: number): number {
  if (value === 0) return 0
  const unit = 2 ** (Math.max(-14, Math.floor(Math.log2(Math.abs(value)))) - 10)
  return Math.round(value / unit) * unit
}

/** Each row with 127 steps to its largest value, as the flat index scans it. */
function int8Rows(rows: Float32Array, dimensions: number): Float32Array {
  const quantised = new Float32Array(rows.length)
  for (let start = 0; start < rows.length; start += dimensions) {
    const row = rows.subarray(start, start + dimensions)
    const step = Math.max(...row.map(Math.abs)) / 127
    if (step > 0)
      quantised.set(
        row.map((value) => Math.round(value / step) * step),
        start,
      )
  }
  return quantised
}

function signRows(rows: Float32Array, dimensions: number): Uint32Array {
  const words = dimensions / 32
  const signs = new Uint32Array((rows.length / dimensions) * words)
  for (let i = 0; i < rows.length; i++) {
    const place = Math.floor(i / dimensions) * words + Math.floor((i % dimensions) / 32)
    if ((rows[i] as number) > 0) signs[place] = (signs[place] as number) | (1 << (i % 32))
  }
  return signs
}

/** By the number of values whose signs agree. */
function bySigns(rows: Uint32Array, query: Uint32Array, dimensions: number, topK: number): number[] {
  const words = dimensions / 32
  const scores = new Float64Array(rows.length / words)
  for (let row = 0; row < scores.length; row++) {
    let differ = 0
    for (let i = 0; i < words; i++) {
      let word = ((rows[row * words + i] as number) ^ (query[i] as number)) >>> 0
      for (; word !== 0; word = (word & (word - 1)) >>> 0) differ++
    }
    scores[row] = -differ
  }
  return best(scores, topK)
}

/** `1 bit, 4x rescored` as `bit1x4Rescored`, for keys begin with a letter. */
function keyOf(name: string): string {
  return name
    .replace('1 bit', 'bit1')
    .replace(', ', 'x')
    .replace('x rescored', 'Rescored')
    .replaceAll(/ (?:to )?/g, '')
}

function bytesOf(name: string): number {
  const kept = Number(/\d+/.exec(name)?.[0])
  if (name.startsWith('cut') || name.startsWith('pca')) return kept * 4
  // A value and its place, where what stores them packs the zeros; the flat index does not.
  if (name.startsWith('largest')) return kept * 5
  if (name.startsWith('1 bit')) return width / 8
  return { fp32: 4, fp16: 2, int8: 1 }[name as 'fp32'] * width
}

/** Searches of rows of each width, all 20,000 long, against those of full width. */
async function timeFlat(stored: ReadonlyMap<string, Float32Array>, quick: boolean) {
  const contenders = []
  for (const [name, rows] of stored) {
    const dimensions = /^(?:cut|pca)/.test(name) ? Number(/\d+/.exec(name)?.[0]) : width
    const index = createFlatIndex({ dimensions, fingerprint: name })
    const update = index.update()
    const count = rows.length / dimensions
    const known = nonZero(rows, dimensions)
    for (let number = 0; number < timedRows; number++) {
      const start = (number % (known.length / dimensions)) * dimensions
      await update.add([number], known.subarray(start, start + dimensions))
    }
    await update.publish(1)
    let next = 0
    const run = () => {
      const start = (next++ % count) * dimensions
      return index.search(rows.slice(start, start + dimensions), { topK: 10 })
    }
    contenders.push({ name, run })
  }
  const compared = await compare(contenders, {
    warmup: 5,
    blocks: quick ? 2 : 5,
    repetitions: quick ? 10 : 40,
    clock: processorTime,
  })
  return new Map(compared.map(({ name, times, ratio }) => [name, { ms: times.median, ratio }]))
}
