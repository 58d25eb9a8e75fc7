import { RagError } from '../../core/errors.js'
import type { AutoTuneOptions, AutoTuneResult, AutoTuneRow } from '../types.js'
import { kindOf, TokenBudgets } from './budgets.js'
import { EmbeddingCounters } from './counters.js'
import type { Lane } from './lane.js'
import { Scheduler } from './scheduler.js'

export interface TuneOptions extends AutoTuneOptions {
  readonly lanes: readonly Lane[]
  readonly dimensions: number
  readonly maxRows: number
  readonly deterministic: boolean
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number
}

const smallest = 256
const largest = 16_384
/** A larger budget costs memory and makes others wait longer: it must be faster by so much. */
const margin = 0.03
/** Budgets in a row without gain after which larger ones are not tried. */
const patience = 2
/** Full passes of each lane per measurement, and tokens of each lane at least: with fewer texts to choose from, more is padding. */
const measured = { passes: 3, tokens: 8_192 }

/**
 * Tries budgets, each twice the one before, on each kind of device among the lanes, until they bring nothing more or memory refuses.
 * Rejects with `signal.reason`, with why lanes cannot be loaded, or with why no text of the sample can be embedded.
 */
export async function tuneBudgets(options: TuneOptions): Promise<AutoTuneResult> {
  const { lanes, signal } = options
  if (options.sample?.length === 0) throw new RagError('BAD_OPTION', 'The sample to tune with is empty.')
  signal?.throwIfAborted()
  // Only a loaded lane knows its device.
  await Promise.all(lanes.map((lane) => lane.load(signal)))
  const tables: AutoTuneRow[][] = []
  for (const device of new Set(lanes.map((lane) => kindOf(lane.device)))) {
    tables.push(await tuneDevice(device, { ...options, lanes: lanes.filter((lane) => kindOf(lane.device) === device) }))
  }
  return {
    table: tables.flat(),
    best: Object.fromEntries(tables.flatMap((rows) => bestOf(rows) ?? []).map((row) => [row.device, row])),
  }
}

async function tuneDevice(device: string, options: TuneOptions): Promise<AutoTuneRow[]> {
  const { lanes, signal, sample = madeUpTexts() } = options
  const { ids } = await (lanes[0] as Lane).tokenize(sample, {
    kind: 'passage',
    ...(signal === undefined ? {} : { signal }),
  })
  const tokensPerText = Math.max(1, ids.length / sample.length)
  const rows: AutoTuneRow[] = []
  for (let budget = smallest; budget <= largest; budget *= 2) {
    const textsOf = (tokensPerLane: number) => {
      const count = Math.ceil((tokensPerLane * lanes.length) / tokensPerText)
      return Array.from({ length: count }, (_, place) => sample[place % sample.length] as string)
    }
    const texts = textsOf(Math.max(budget * measured.passes, measured.tokens))
    const row = await measure({ ...options, device, budget, warmUp: textsOf(budget), texts })
    rows.push(row)
    const best = bestOf(rows)
    if (row.refused || (best !== undefined && budget >= best.maxBatchTokens << patience)) break
  }
  return rows
}

/** The smallest that no other beats by the margin. */
function bestOf(rows: readonly AutoTuneRow[]): AutoTuneRow | undefined {
  let best: AutoTuneRow | undefined
  for (const row of rows) {
    if (!row.refused && row.tokensPerSecond > (best?.tokensPerSecond ?? 0) * (1 + margin)) best = row
  }
  return best
}

interface Measurement extends TuneOptions {
  readonly device: string
  readonly budget: number
  /** A pass for each lane. */
  readonly warmUp: readonly string[]
  readonly texts: readonly string[]
}

async function measure(options: Measurement): Promise<AutoTuneRow> {
  const { lanes, device, budget, warmUp, texts, signal, now = () => performance.now() } = options
  const budgets = new TokenBudgets(budget)
  const counters = new EmbeddingCounters(now)
  const scheduler = new Scheduler({ ...options, budgets, counters, now })
  const how = { kind: 'passage', ...(signal === undefined ? {} : { signal }) } as const
  await scheduler.embed(warmUp, how)
  const began = now()
  const { tokens, failed } = await scheduler.embed(texts, how)
  const ms = now() - began
  const refused = lanes.some((lane) => budgets.of(lane.device) < budget)
  if (tokens === 0 && !refused) throw failed[0]?.error
  const { paddingWaste } = counters.stats(0)
  return { device, maxBatchTokens: budget, tokensPerSecond: (tokens / ms) * 1_000, paddingWaste, refused }
}

/** Words that any vocabulary knows or knows how to cut. */
const words =
  'the time of a long journey through other countries was written down by people who knew how water moves'.split(' ')

function madeUpTexts(): string[] {
  // 37 and 113 have no common divisor: every length from 8 to 120 words comes once, in no order.
  return Array.from({ length: 113 }, (_, text) =>
    Array.from({ length: 8 + ((text * 37) % 113) }, (_, word) => words[(text + word * 7) % words.length]).join(' '),
  )
}
