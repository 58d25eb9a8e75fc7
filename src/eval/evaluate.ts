import type { Hit, RetrieveOptions } from '../core/search.js'
import type { UltraFastRAG } from '../ultra-fast-rag.js'
import { Distribution } from '../util/distribution.js'
import { inLanes } from '../util/in-lanes.js'
import { type PairedDifference, pairedBootstrap } from './bootstrap.js'
import type { LabelledDocument, LabelledSet } from './dataset.js'
import { averagePrecision, mean, ndcg, precision, type RankOptions, recall, reciprocalRank } from './metrics.js'

/** What is evaluated: an `UltraFastRAG`, a namespace of one, or anything that retrieves like it. */
export type EvaluatedRag = Pick<UltraFastRAG, 'retrieve'>

/** Options of {@link evaluate}. */
export interface EvaluateOptions extends RankOptions {
  /** Shown in tables and pictures. Default `'default'`. */
  readonly name?: string
  /** How questions are asked; `topK` and `groupBy` are the evaluation's. */
  readonly retrieve?: Omit<RetrieveOptions, 'topK' | 'groupBy' | 'signal' | 'deadlineMs' | 'perDocument'>
  /** As in {@link NdcgOptions}. Default `'linear'`. */
  readonly gains?: 'linear' | 'exponential'
  /** Questions asked at a time, at least 1. Default 1: latencies are those of one user. */
  readonly concurrency?: number
  readonly signal?: AbortSignal
  /** Called after each question. */
  readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void
}

/** The measures, each a value from 0 to 1; see `metrics.ts`. */
export const measureNames = ['ndcg', 'recall', 'precision', 'reciprocalRank', 'averagePrecision'] as const

/** One of {@link measureNames}. */
export type MeasureName = (typeof measureNames)[number]

/** How well, and how fast, one system answered the questions of a set. */
export interface Evaluation {
  readonly name: string
  readonly set: string
  /** Places that counted. */
  readonly k: number
  /** Ids of the questions, in the order of the values. */
  readonly questions: readonly string[]
  /** Mean of each measure. */
  readonly means: Readonly<Record<MeasureName, number>>
  /** Of each question. */
  readonly values: Readonly<Record<MeasureName, readonly number[]>>
  /** Milliseconds of a `retrieve()`. */
  readonly latency: { readonly meanMs: number; readonly p50Ms: number; readonly p95Ms: number; readonly maxMs: number }
}

const usualPlaces = 10

/**
 * Asks every question of a set and measures what is found: documents in the order of their best passages, the first `k`. The documents
 * must be there already; see {@link documentsOf}. A first question that does not count loads whatever the first one loads.
 */
export async function evaluate(
  rag: EvaluatedRag,
  { name: set, queries }: LabelledSet,
  options: EvaluateOptions = {},
): Promise<Evaluation> {
  const { concurrency = 1, gains = 'linear', k = usualPlaces, name = 'default', onProgress, signal } = options
  const asked: RetrieveOptions = { ...options.retrieve, topK: k, groupBy: 'document' }
  const values = Object.fromEntries(measureNames.map((measure) => [measure, new Array<number>(queries.length).fill(0)]))
  const latencies = new Distribution()
  let done = 0
  const first = queries[0]
  if (first !== undefined) await rag.retrieve(first.text, { ...asked, ...(signal === undefined ? {} : { signal }) })
  await inLanes(queries.entries(), { lanes: concurrency, signal }, async ([place, { relevant, text }], own) => {
    const began = performance.now()
    const hits = await rag.retrieve(text, { ...asked, signal: own })
    latencies.add(performance.now() - began)
    const ranked = documentIds(hits)
    const found: Record<MeasureName, number> = {
      ndcg: ndcg(ranked, relevant, { k, gains }),
      recall: recall(ranked, relevant, { k }),
      precision: precision(ranked, relevant, { k }),
      reciprocalRank: reciprocalRank(ranked, relevant, { k }),
      averagePrecision: averagePrecision(ranked, relevant, { k }),
    }
    for (const measure of measureNames) (values[measure] as number[])[place] = found[measure]
    onProgress?.({ done: ++done, total: queries.length })
  })
  const { max, mean: meanMs, p50, p95 } = latencies.summary()
  return {
    name,
    set,
    k,
    questions: queries.map(({ id }) => id),
    means: byMeasure((measure) => mean(values[measure] as number[])),
    values: byMeasure((measure) => values[measure] as number[]),
    latency: { meanMs, p50Ms: p50, p95Ms: p95, maxMs: max },
  }
}

/** The documents of a set as `ingest()` takes them. One without text is found by its title. */
export function* documentsOf({ documents }: LabelledSet): Generator<LabelledDocument> {
  for (const document of documents) yield document.text.trim() === '' ? { ...document, text: document.title } : document
}

/** Whether a system is better than another that answered the same questions: the paired difference of a measure, with its interval. */
export function compareEvaluations(
  baseline: Evaluation,
  candidate: Evaluation,
  measure: MeasureName = 'ndcg',
): PairedDifference {
  return pairedBootstrap(baseline.values[measure], candidate.values[measure])
}

function documentIds(hits: readonly Hit[]): string[] {
  return hits.map(({ chunk }) => chunk.documentId)
}

function byMeasure<Value>(read: (measure: MeasureName) => Value): Record<MeasureName, Value> {
  return Object.fromEntries(measureNames.map((measure) => [measure, read(measure)])) as Record<MeasureName, Value>
}
