import { type LevelName, type LevelTerm, type Units, unitsOf } from './level.js'
import type { Pace } from './pace.js'
import { Saturation } from './saturation.js'
import { findTerm } from './segment.js'
import type { QueryTerm } from './types.js'
import { hasBit, type SegmentView } from './view.js'

export interface WeighedTerms {
  /** In the order of the question. */
  readonly known: readonly QueryTerm[]
  readonly chunks: WeighedLevel
  /** Absent when documents do not count. */
  readonly windows: WeighedLevel | undefined
}

/** The terms as a level scores them, the weightiest first. */
export interface WeighedLevel {
  readonly units: readonly Units[]
  readonly terms: readonly LevelTerm[]
  readonly saturation: Saturation
}

interface Question {
  readonly views: readonly SegmentView[]
  /** Distinct terms, with how often the question repeats them. */
  readonly terms: ReadonlyMap<string, number>
  readonly k1: number
  readonly b: number
  readonly documentWeight: number
}

/** What looking a term up in a segment costs, in postings. */
const costOfFinding = 200

/**
 * Weighs the terms of a question by what is there in all segments. Both levels have them in one order, by what an occurrence in a chunk is worth at
 * most.
 */
export async function weighTerms({ views, terms, k1, b, documentWeight }: Question, pace: Pace): Promise<WeighedTerms> {
  const chunks = levelOf(views, 'chunks', { k1, b })
  const windows = documentWeight === 0 ? undefined : levelOf(views, 'windows', { k1, b })
  const weighed: { readonly known: QueryTerm; readonly chunk: LevelTerm; readonly window: LevelTerm | undefined }[] = []
  for (const [term, repeated] of terms) {
    const bytes = Buffer.from(term)
    const places = views.map(({ segment }) => findTerm(segment, bytes))
    const scaleOf = (idf: number) => idf * repeated * (k1 + 1)
    if (pace.spend(places.length * costOfFinding + uncountedPostings(chunks.units, places))) await pace.turn()
    const documentFrequency = frequency(chunks.units, places)
    const idf = inverseFrequency(chunks.count, documentFrequency)
    weighed.push({
      known: { term, idf, documentFrequency },
      chunk: { scale: scaleOf(idf), places },
      window: windows && {
        scale: scaleOf(inverseFrequency(windows.count, frequency(windows.units, places))),
        places,
      },
    })
  }
  const known = weighed.map(({ known }) => known)
  // Stable: equal weights stay in the order of the question, so that sums are the same whatever the segments are.
  weighed.sort((one, other) => other.chunk.scale - one.chunk.scale)
  return {
    known,
    chunks: { ...chunks, terms: weighed.map(({ chunk }) => chunk) },
    windows: windows && { ...windows, terms: weighed.flatMap(({ window }) => window ?? []) },
  }
}

/** What a level is like whatever is asked. */
interface LevelStatistics extends Pick<WeighedLevel, 'units' | 'saturation'> {
  readonly count: number
  readonly k1: number
  readonly b: number
}

/** By list of views: another takes its place with every change. */
const statisticsOf: Record<LevelName, WeakMap<readonly SegmentView[], LevelStatistics>> = {
  chunks: new WeakMap(),
  windows: new WeakMap(),
}

function levelOf(
  views: readonly SegmentView[],
  level: LevelName,
  { k1, b }: Pick<Question, 'k1' | 'b'>,
): LevelStatistics {
  const known = statisticsOf[level].get(views)
  if (known?.k1 === k1 && known.b === b) return known
  let count = 0
  let tokens = 0
  for (const view of views) {
    count += view[level]
    tokens += level === 'chunks' ? view.chunkTokens : view.windowTokens
  }
  // Units of stop words alone have no length; 1 keeps the division defined.
  const averageLength = tokens === 0 ? 1 : tokens / count
  const units = views.map((view) => unitsOf(view, level))
  const statistics = { units, count, saturation: new Saturation({ k1, b, averageLength }), k1, b }
  statisticsOf[level].set(views, statistics)
  return statistics
}

/** ln(1 + (N - n + 0.5) / (n + 0.5)): the form of Lucene, never negative. */
function inverseFrequency(units: number, frequency: number): number {
  return Math.log(1 + (units - frequency + 0.5) / (frequency + 0.5))
}

/** Units that hold a term and are there. */
function frequency(units: readonly Units[], places: readonly number[]): number {
  let sum = 0
  for (let v = 0; v < places.length; v++) {
    const place = places[v] as number
    if (place < 0) continue
    sum += frequencyIn(units[v] as Units, place)
  }
  return sum
}

/** Lists that are counted once for a view; shorter ones are counted for each question. */
const rememberedPostings = 128

function frequencyIn({ postings, removed, starts, frequencies }: Units, term: number): number {
  const [from, to] = [starts[term] as number, starts[term + 1] as number]
  if (removed === undefined) return to - from
  const known = frequencies.get(term)
  if (known !== undefined) return known
  let frequency = to - from
  for (let i = from; i < to; i++) if (hasBit(removed, (postings[i] as number) >>> 8)) frequency--
  if (to - from >= rememberedPostings) frequencies.set(term, frequency)
  return frequency
}

/** Postings that have to be looked at one by one. */
function uncountedPostings(units: readonly Units[], places: readonly number[]): number {
  let sum = 0
  for (let v = 0; v < places.length; v++) {
    const place = places[v] as number
    const { removed, starts, frequencies } = units[v] as Units
    if (place >= 0 && removed !== undefined && !frequencies.has(place))
      sum += (starts[place + 1] as number) - (starts[place] as number)
  }
  return sum
}
