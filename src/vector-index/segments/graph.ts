import { createRequire } from 'node:module'
import { importOptional } from '../../util/import-optional.js'

const require = createRequire(import.meta.url)

/** Which graph is built over the rows of a segment, and how. */
export interface GraphOptions {
  readonly engine: 'usearch' | 'hnswlib'
  /** How the graph keeps its vectors; found rows are always scored with the full ones. */
  readonly quantization: 'f32' | 'f16' | 'i8'
  /** Neighbours of a row in each layer but the lowest, which has twice as many (M of the paper). */
  readonly connectivity: number
  /** Candidates looked at when a row is added (efConstruction), and when one is searched (efSearch; absent: see {@link searchExpansion}). */
  readonly expansionAdd: number
  readonly expansionSearch?: number
}

/** Candidates of a search at least, and at most when nobody says how many. */
const fewestCandidates = 64
const mostCandidates = 512
/** On latent semantic vectors 64 candidates find 0.997 of the ten nearest of 20,000 rows, 250 find 0.99 of those of 100,000 (`bench/ann.ts`). */
const rowsPerExpansion = 400

/** How many candidates a search looks at: what was chosen, or what keeps the recall as rows become more. */
export function searchExpansion({ expansionSearch }: GraphOptions, count: number): number {
  return expansionSearch ?? Math.min(mostCandidates, Math.max(fewestCandidates, Math.round(count / rowsPerExpansion)))
}

/** A graph that is being built. Keys are places: 0, 1, 2, … in the order of adding. */
export interface GraphBuilder {
  /** Adds `rows.length / dimensions` rows. Blocks for as long as that takes. */
  add(rows: Float32Array, threads: number): void
  save(path: string): void
}

/** A graph that can be searched. */
export interface Graph {
  /** Bytes it holds in memory. */
  readonly bytes: number
  /** The places of about the `count` nearest, best first. Blocks. */
  search(vector: Float32Array, count: number): Float64Array
}

interface Shape {
  readonly dimensions: number
  readonly options: GraphOptions
  readonly critical: Critical
}

/**
 * Runs native code. A thread that is ended while it is there would take the process down: what comes back finds its engine gone and throws where
 * nobody can catch it.
 */
export type Critical = <Result>(section: () => Result) => Result

/** Begins a graph; with `base`, a file of `base.count` rows, it goes on from there. `largest` is about the largest value in any row. */
export async function buildGraph(
  shape: Shape & {
    readonly capacity: number
    readonly largest: number
    readonly base?: { readonly path: string; readonly count: number }
  },
): Promise<GraphBuilder> {
  return shape.options.engine === 'usearch' ? buildUsearch(shape) : buildHnswlib(shape)
}

/** Opens a graph file that is known to be sound: an unsound one can take the process down. */
export async function openGraph(shape: Shape & { readonly path: string; readonly count: number }): Promise<Graph> {
  return shape.options.engine === 'usearch' ? openUsearch(shape) : openHnswlib(shape)
}

/**
 * usearch 2.25 has no kernels for the cosine of half floats and bytes on common machines, but for their inner product: vectors are of unit length.
 */
async function makeUsearch({ dimensions, options, critical }: Shape, count: number) {
  // Loading native code counts, too: `import()` would do it when nobody guards it.
  const { Index, MetricKind, ScalarKind } = await importOptional(
    'usearch',
    async () => critical(() => require('usearch') as typeof import('usearch')),
    'npm i usearch@2.25',
  )
  const config = {
    dimensions,
    metric: MetricKind.IP,
    quantization: { f32: ScalarKind.F32, f16: ScalarKind.F16, i8: ScalarKind.I8 }[options.quantization],
    connectivity: options.connectivity,
    expansion_add: options.expansionAdd,
    expansion_search: searchExpansion(options, count),
    multi: false,
  }
  return critical(() => new Index(config))
}

async function buildUsearch({ base, largest, ...shape }: Parameters<typeof buildGraph>[0]): Promise<GraphBuilder> {
  const index = await makeUsearch(shape, shape.capacity)
  const { critical } = shape
  if (base !== undefined) critical(() => index.load(base.path))
  let next = base?.count ?? 0
  return {
    add: (rows, threads) => {
      const count = rows.length / shape.dimensions
      const keys = BigUint64Array.from({ length: count }, (_, i) => BigInt(next + i))
      const values = shape.options.quantization === 'i8' ? toBytes(rows, largest) : rows
      critical(() => index.add(keys, values, threads))
      next += count
    },
    save: (path) => critical(() => index.save(path)),
  }
}

async function openUsearch({ path, count, ...shape }: Parameters<typeof openGraph>[0]): Promise<Graph> {
  const index = await makeUsearch(shape, count)
  const { critical } = shape
  critical(() => index.view(path))
  return {
    // The rows and their neighbours are mapped; what is held is a pointer to each, and marks of what a search has visited.
    bytes: 2 ** Math.ceil(Math.log2(Math.max(count, 2))) * 9,
    search: (vector, wanted) => {
      const query = shape.options.quantization === 'i8' ? toBytes(vector, largestOf(vector)) : vector
      return critical(() => Float64Array.from(index.search(query, wanted, 1).keys, Number))
    },
  }
}

/**
 * Rows as signed bytes, `largest` being 127. usearch would divide each row by its length first, which leaves a unit vector of 384
 * dimensions some six of 127 steps; bytes it takes as they are. Its JavaScript, though, copies all that does not say it was made of floats: hence
 * the constructor that is not.
 */
function toBytes(rows: Float32Array, largest: number): Float32Array {
  const scale = largest === 0 ? 0 : 127 / largest
  const bytes = Int8Array.from(rows, (value) => Math.max(-127, Math.min(127, Math.round(value * scale))))
  Object.defineProperty(bytes, 'constructor', { value: Float32Array })
  return bytes as unknown as Float32Array
}

export function largestOf(values: Float32Array): number {
  let largest = 0
  for (const value of values) largest = Math.max(largest, Math.abs(value))
  return largest
}

async function importHnswlib(critical: Critical) {
  const load = async () => critical(() => require('hnswlib-node') as typeof import('hnswlib-node'))
  return (await importOptional('hnswlib-node', load, 'npm i hnswlib-node@3')).HierarchicalNSW
}

async function buildHnswlib({
  base,
  capacity,
  dimensions,
  options,
  critical,
}: Parameters<typeof buildGraph>[0]): Promise<GraphBuilder> {
  const HierarchicalNSW = await importHnswlib(critical)
  const index = critical(() => new HierarchicalNSW('ip', dimensions))
  let next = base?.count ?? 0
  if (base === undefined) critical(() => index.initIndex(capacity, options.connectivity, options.expansionAdd))
  else {
    critical(() => index.readIndexSync(base.path))
    critical(() => index.resizeIndex(capacity))
  }
  return {
    add: (rows) => {
      for (let start = 0; start < rows.length; start += dimensions) {
        const row = Array.from(rows.subarray(start, start + dimensions))
        critical(() => index.addPoint(row, next++))
      }
    },
    save: (path) => critical(() => index.writeIndexSync(path)),
  }
}

async function openHnswlib({
  path,
  count,
  dimensions,
  options,
  critical,
}: Parameters<typeof openGraph>[0]): Promise<Graph> {
  const HierarchicalNSW = await importHnswlib(critical)
  const index = critical(() => new HierarchicalNSW('ip', dimensions))
  critical(() => index.readIndexSync(path))
  return {
    // Rows, links of the lowest layer, label; the layers above come to a tenth of them.
    bytes: count * (dimensions * 4 + options.connectivity * 2 * 4 * 1.1 + 20),
    search: (vector, wanted) => {
      const values = Array.from(vector)
      return critical(() => {
        index.setEf(Math.max(searchExpansion(options, count), wanted))
        return Float64Array.from(index.searchKnn(values, Math.min(wanted, count)).neighbors)
      })
    },
  }
}
