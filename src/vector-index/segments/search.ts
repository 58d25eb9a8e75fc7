import { RagError } from '../../core/errors.js'
import { TopK } from '../../util/top-k.js'
import { dot } from '../../util/vector-math.js'
import type { QuantisedRows } from '../flat-kernel.js'
import { contenders, type Places, placesOf } from '../flat-view.js'
import { type Critical, type Graph, type GraphOptions, openGraph, searchExpansion } from './graph.js'
import { RowsReader } from './rows-file.js'
import { packMatches, pairsOf, type SegmentMatches } from './storage.js'
import { isRemoved } from './view.js'

/** A segment as a search names it: enough to open it in a thread that does not know it yet. */
export interface SegmentRef {
  readonly id: number
  readonly path: string
  readonly count: number
  readonly dimensions: number
  /** Ascending, of shared memory. */
  readonly numbers: Float64Array
  /** Bit by place of what is no longer there, in shared memory; absent when all are. */
  readonly removed?: Uint8Array
  /** How many are there. */
  readonly alive: number
  /** Absent: every row is looked at. */
  readonly graph?: { readonly path: string; readonly options: GraphOptions }
}

export interface SegmentSearch {
  readonly segments: readonly SegmentRef[]
  /** `count x dimensions` values. */
  readonly queries: Float32Array
  readonly topK: number
  /** Start and end of ranges, one after the other. */
  readonly allow?: Float64Array
  readonly exact: boolean
  /** Rows of a scan that cost about as much as one candidate of a graph search. */
  readonly rowsPerCandidate: number
}

/** Found beyond what is wanted, because full vectors may order them otherwise; bytes are coarser than half floats. */
const overFetch = { f32: 4, f16: 8, i8: 16 }
const overFetchFactor = { f32: 1, f16: 1, i8: 2 }

/** Searches segments, which it opens when they are first asked for. Blocks while it computes: for worker threads. */
export class SegmentSearcher {
  readonly #open = new Map<number, OpenSegment>()

  async open(segments: readonly SegmentRef[], critical: Critical): Promise<number> {
    for (const ref of segments) await this.#find(ref, critical)
    return this.#bytes()
  }

  async search(
    { segments, queries, topK, allow, exact, rowsPerCandidate }: SegmentSearch,
    critical: Critical,
  ): Promise<SegmentMatches> {
    const open: [SegmentRef, OpenSegment][] = []
    for (const ref of segments) open.push([ref, await this.#find(ref, critical)])
    const dimensions = segments[0]?.dimensions ?? 1
    const results: { number: number; score: number }[][] = []
    for (let start = 0; start < queries.length; start += dimensions) {
      const query = queries.slice(start, start + dimensions)
      const best = new TopK(topK)
      for (const [ref, segment] of open)
        await segment.search(query, { best, topK, allow, exact, rowsPerCandidate, ref })
      results.push(best.drain())
    }
    return packMatches(results, this.#bytes())
  }

  drop(ids: readonly number[]): number {
    for (const id of ids) {
      this.#open.get(id)?.close()
      this.#open.delete(id)
    }
    return this.#bytes()
  }

  async #find(ref: SegmentRef, critical: Critical): Promise<OpenSegment> {
    let segment = this.#open.get(ref.id)
    if (segment === undefined) {
      segment = new OpenSegment(ref)
      this.#open.set(ref.id, segment)
    }
    await segment.openGraph(ref, critical)
    return segment
  }

  #bytes(): number {
    return [...this.#open.values()].reduce((sum, { bytes }) => sum + bytes, 0)
  }
}

interface OneSearch {
  readonly best: TopK
  readonly topK: number
  readonly allow: Float64Array | undefined
  readonly exact: boolean
  readonly rowsPerCandidate: number
  readonly ref: SegmentRef
}

class OpenSegment {
  readonly #rows: RowsReader
  readonly #numbers: Float64Array
  readonly #count: number
  readonly #dimensions: number
  #graph: Graph | undefined
  #graphPath: string | undefined
  #coarse: QuantisedRows | undefined
  #coarseTried = false

  constructor({ path, count, dimensions, numbers }: SegmentRef) {
    this.#rows = new RowsReader(path, count, dimensions)
    this.#numbers = numbers
    this.#count = count
    this.#dimensions = dimensions
  }

  get bytes(): number {
    return (this.#graph?.bytes ?? 0) + (this.#coarse?.bytes ?? 0)
  }

  async openGraph({ graph, count, dimensions }: SegmentRef, critical: Critical): Promise<void> {
    if (graph === undefined || graph.path === this.#graphPath) return
    try {
      this.#graph = await openGraph({ path: graph.path, count, dimensions, options: graph.options, critical })
    } catch (cause) {
      if (RagError.isInstance(cause)) throw cause
      throw new RagError('INTEGRITY', 'A graph of vectors could not be opened.', { cause, data: { graph: graph.path } })
    }
    this.#graphPath = graph.path
    // Scans are rare from now on; the first one reads the coarse rows again.
    this.#coarse = undefined
    this.#coarseTried = false
  }

  /** Offers its nearest to `best`. */
  async search(query: Float32Array, search: OneSearch): Promise<void> {
    const { allow, ref } = search
    const places: readonly Places[] =
      allow === undefined
        ? [[0, this.#count]]
        : placesOf({ numbers: this.#numbers, count: this.#count }, pairsOf(allow))
    const allowed = countLiving(places, ref)
    if (allowed === 0 || search.topK === 0) return
    const found =
      ref.graph === undefined || search.exact ? undefined : this.#searchGraph(query, { ...search, places, allowed })
    for (const place of found ?? (await this.#scan(query, { ...search, places, allowed }))) {
      search.best.push(dot(query, 0, this.#rows.row(place), 0, this.#dimensions), this.#numbers[place] as number)
    }
  }

  close(): void {
    this.#rows.close()
    this.#graph = undefined
    this.#coarse = undefined
  }

  /**
   * Asks the graph for so many that enough allowed ones are probably among them, and for twice as many while they are not: whatever is allowed
   * among the n nearest are the nearest that are allowed. `undefined` when a scan is less work.
   */
  #searchGraph(
    query: Float32Array,
    {
      topK,
      ref,
      places,
      allowed,
      rowsPerCandidate,
    }: OneSearch & { readonly places: readonly Places[]; readonly allowed: number },
  ): number[] | undefined {
    const { options } = ref.graph as NonNullable<SegmentRef['graph']>
    const kind = options.engine === 'hnswlib' ? 'f32' : options.quantization
    const wanted = Math.min(allowed, topK * overFetchFactor[kind] + overFetch[kind])
    let isFound: ((place: number) => boolean) | undefined
    for (let asked = Math.ceil((wanted * this.#count) / allowed); ; asked *= 2) {
      if (
        Math.max(asked, searchExpansion(options, this.#count)) * rowsPerCandidate > allowed ||
        this.#graph === undefined
      )
        return undefined
      isFound ??= livingIn(places, ref, allowed)
      const found: number[] = []
      for (const place of this.#graph.search(query, asked)) {
        // A row that was added twice would be found twice; a graph pads what it does not find with numbers that are no places.
        if (place < this.#count && isFound(place)) found.push(place)
        if (found.length === wanted) return found
      }
      if (found.length >= Math.min(topK, allowed)) return found
    }
  }

  /** The places that can be among the nearest. */
  async #scan(
    query: Float32Array,
    { topK, ref, places, allowed }: OneSearch & { readonly places: readonly Places[]; readonly allowed: number },
  ): Promise<Iterable<number>> {
    const wanted = Math.min(topK, allowed)
    const coarse = allowed < wanted * 4 ? undefined : this.#coarseRows()
    const living = allowed === this.#count && coarse !== undefined ? undefined : livingPlaces(places, ref, allowed)
    if (coarse === undefined) return living ?? []
    return contenders(coarse, query, { places: living, count: this.#count, wanted, pause: () => undefined })
  }

  #coarseRows(): QuantisedRows | undefined {
    if (!this.#coarseTried) this.#coarse = this.#rows.coarse()
    this.#coarseTried = true
    return this.#coarse
  }
}

function countLiving(places: readonly Places[], { removed, count, alive }: SegmentRef): number {
  const [first] = places
  if (first !== undefined && first[0] === 0 && first[1] === count) return alive
  let living = 0
  for (const [start, end] of places) {
    if (removed === undefined) living += end - start
    else for (let place = start; place < end; place++) if (!isRemoved(removed, place)) living++
  }
  return living
}

/** Tells of a place whether it is allowed and there. */
function livingIn(
  places: readonly Places[],
  { removed, count, alive }: SegmentRef,
  allowed: number,
): (place: number) => boolean {
  if (allowed === alive) return (place) => !isRemoved(removed, place)
  const bits = new Uint8Array(count)
  for (const [start, end] of places) bits.fill(1, start, end)
  return (place) => bits[place] === 1 && !isRemoved(removed, place)
}

function livingPlaces(places: readonly Places[], { removed }: SegmentRef, allowed: number): Uint32Array {
  const living = new Uint32Array(allowed)
  let length = 0
  for (const [start, end] of places) {
    for (let place = start; place < end; place++) if (!isRemoved(removed, place)) living[length++] = place
  }
  return living
}
