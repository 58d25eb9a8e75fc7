import { RagError } from '../core/errors.js'
import type { WaitOptions } from '../core/lifecycle.js'
import {
  type BootstrapOptions,
  checkBootstrapOptions,
  type PairedDifference,
  pairedBootstrap,
} from '../eval/bootstrap.js'
import { type Judgements, mean, ndcg } from '../eval/metrics.js'
import { type FoundLegs, type Fuse, findLegs, type RankedList, type RetrieveTools } from './retrieve.js'
import { joinLegs } from './steps/search-legs.js'

/** A question and what answers it. */
export interface LabelledQuestion {
  readonly question: string
  /** Ids of the documents that answer it, or the grade of each by id (above 0 is relevant). At least one. */
  readonly relevant: readonly string[] | Readonly<Record<string, number>> | Judgements
}

/** Options of `tune()`. */
export interface TuneOptions extends WaitOptions, Pick<BootstrapOptions, 'confidence' | 'seed'> {
  /** Documents per question that count (nDCG at so many places), 1 to 100. Default 10. */
  readonly k?: number
}

/** What `tune()` has learnt. */
export interface Tuned {
  /** The option `fusion` for the constructor. */
  readonly fusion: {
    readonly kind: 'weighted'
    readonly weights: { readonly lexical: number; readonly vector: number }
  }
  readonly questions: number
  /** Mean nDCG of the fusion that was configured. */
  readonly before: number
  /**
   * Mean nDCG to be expected of the tuned weight, each question measured with the weight that the others chose (leave-one-out): the
   * questions that chose a weight say too much good of it.
   */
  readonly after: number
  /** `after` less `before`, with its interval: one that holds 0 says that the weight may be no better. */
  readonly gain: PairedDifference
  /** Mean nDCG of each weight of the vector leg that was tried, ascending. */
  readonly curve: readonly { readonly vector: number; readonly ndcg: number }[]
  /** The result in a line. */
  readonly summary: string
}

export interface TuneTools extends RetrieveTools {
  /** Joins the legs by score, weighted. */
  readonly fuseWith: (weights: { readonly lexical: number; readonly vector: number }) => Promise<Fuse>
}

/** Weights of the vector leg: 0, 0.05, … 1. nDCG is flat around its best, and finer steps would fit the noise. */
const weightSteps = 20
/** Passages of each leg that are joined: enough for the documents of the first places to be among them. */
const depth = 200
const limits = { k: [1, 100] } as const
/** Fewer questions say nothing about others. */
const leastQuestions = 5

/**
 * Learns how much the vector leg should weigh beside the lexical one from questions whose answers are known: a convex combination of
 * scaled scores has one weight, which few labels can tell (Bruch, Gai, Ingber 2023). Each leg is searched once per question; all weights
 * are tried on what it found. Of equally good weights the one in the middle is taken. Rejects with `BAD_INPUT` for questions that are none or
 * too few, `BAD_OPTION` where there is only one leg.
 */
export async function tune(
  labelled: readonly LabelledQuestion[],
  options: TuneOptions,
  tools: TuneTools,
): Promise<Tuned> {
  const { k = 10 } = options
  check(labelled, k)
  checkBootstrapOptions(options)
  await requireTwoLegs(tools)
  const weights = Array.from({ length: weightSteps + 1 }, (_, step) => step / weightSteps)
  const fuses: Fuse[] = []
  for (const vector of weights) fuses.push(await tools.fuseWith({ lexical: 1 - vector, vector }))
  const before: number[] = []
  /** Of each weight, the value of each question. */
  const values: number[][] = weights.map(() => [])
  for (const { question, relevant } of labelled) {
    const configured = await findLegs(question, depth, options.signal, tools)
    // As they are searched where the fusion is weighted.
    const found = await findLegs(question, depth, options.signal, { ...tools, adaptive: false, addsScores: true })
    const judgements = toJudgements(relevant)
    const documents = createDocumentLookUp(tools)
    const measure = ({ lists, weights: own }: FoundLegs, fuse: Fuse) =>
      ndcg(documentsOf(joinLegs(lists, fuse, own), documents, k), judgements, { k })
    before.push(measure(configured, tools.fuse))
    for (const [place, fuse] of fuses.entries()) {
      await tools.turn()
      options.signal?.throwIfAborted()
      values[place]?.push(measure(found, fuse))
    }
  }
  const sums = values.map((own) => own.reduce((sum, value) => sum + value, 0))
  const after = labelled.map((_, question) => {
    const others = sums.map((sum, place) => sum - (values[place]?.[question] as number))
    return values[middleOfBest(others)]?.[question] as number
  })
  const vector = weights[middleOfBest(sums)] as number
  return describe({ vector, before, after, weights, values }, options)
}

function check(labelled: readonly LabelledQuestion[], k: number): void {
  const [least, most] = limits.k
  if (!Number.isInteger(k) || k < least || k > most) {
    throw new RagError('BAD_OPTION', `k must be a whole number from ${least} to ${most}.`, { data: { option: 'k', k } })
  }
  if (!Array.isArray(labelled) || labelled.length < leastQuestions) {
    throw new RagError('BAD_INPUT', `tune() takes a list of ${leastQuestions} labelled questions at least.`, {
      data: { questions: Array.isArray(labelled) ? labelled.length : null },
    })
  }
  for (const [index, one] of (labelled as readonly Partial<LabelledQuestion>[]).entries()) {
    const isSound = typeof one?.question === 'string' && typeof one.relevant === 'object' && one.relevant !== null
    if (isSound && [...toJudgements(one.relevant as LabelledQuestion['relevant']).values()].some((grade) => grade > 0))
      continue
    throw new RagError('BAD_INPUT', `The labelled question at place ${index} has no text or no relevant document.`, {
      data: { index },
      hint: 'Give { question, relevant: [documentId] }, or grades by document id.',
    })
  }
}

async function requireTwoLegs({ freshen, useIndexes }: TuneTools): Promise<void> {
  await freshen()
  if (await useIndexes(async ({ vector }) => vector !== undefined)) return
  throw new RagError('BAD_OPTION', 'There is one leg only, so there is nothing to weigh.', {
    data: { option: 'embedder' },
    hint: 'Set the option "embedder"; one that is fitted on the documents begins when there are enough of them.',
  })
}

function toJudgements(relevant: LabelledQuestion['relevant']): Judgements {
  if (relevant instanceof Map) return relevant
  if (Array.isArray(relevant)) return new Map(relevant.map((id) => [id, 1]))
  return new Map(Object.entries(relevant))
}

/** Ids of documents by the numbers of their chunks; `undefined` for a chunk that is gone. */
function createDocumentLookUp({ namespace }: TuneTools): (number: number) => string | undefined {
  const known = new Map<number, string | undefined>()
  return (number) => {
    if (!known.has(number)) known.set(number, namespace.locate(number)?.id)
    return known.get(number)
  }
}

/** The first `k` documents, in the order of their best passages. */
function documentsOf(
  fused: RankedList['matches'],
  documentOf: (number: number) => string | undefined,
  k: number,
): string[] {
  const documents = new Set<string>()
  for (const { number } of fused) {
    const id = documentOf(number)
    if (id !== undefined) documents.add(id)
    if (documents.size === k) break
  }
  return [...documents]
}

/** What rounding leaves between equal sums. */
const tolerance = 1e-9

/** The middle of the first run of places whose value is the highest. */
function middleOfBest(values: readonly number[]): number {
  const best = values.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY) - tolerance
  const first = values.findIndex((value) => value >= best)
  let last = first
  while (last + 1 < values.length && (values[last + 1] as number) >= best) last++
  return Math.floor((first + last) / 2)
}

interface Found {
  readonly vector: number
  readonly before: readonly number[]
  readonly after: readonly number[]
  readonly weights: readonly number[]
  readonly values: readonly (readonly number[])[]
}

function describe(
  { vector, before, after, weights, values }: Found,
  { confidence = 0.95, k = 10, seed = 1 }: TuneOptions,
): Tuned {
  const gain = pairedBootstrap(before, after, { confidence, seed })
  const figure = (value: number) => value.toFixed(4)
  const signed = (value: number) => `${value < 0 ? '-' : '+'}${figure(Math.abs(value))}`
  const interval = `${signed(gain.low)} to ${signed(gain.high)} at ${Math.round(confidence * 100)}%`
  return {
    fusion: { kind: 'weighted', weights: { lexical: rounded(1 - vector), vector: rounded(vector) } },
    questions: before.length,
    before: mean(before),
    after: mean(after),
    gain,
    curve: weights.map((weight, place) => ({
      vector: rounded(weight),
      ndcg: mean(values[place] as readonly number[]),
    })),
    summary:
      `vector weight ${rounded(vector)}: nDCG@${k} ${figure(mean(before))} to ${figure(mean(after))} ` +
      `(${signed(gain.difference)}; ${interval}), ${before.length} questions, leave-one-out`,
  }
}

/** 1 - 0.35 is not 0.65. */
function rounded(weight: number): number {
  return Math.round(weight * 1_000) / 1_000
}
