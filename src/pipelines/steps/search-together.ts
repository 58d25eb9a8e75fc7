import type { VectorIndex, VectorMatch, VectorSearchOptions } from '../../vector-index/types.js'
import type { RetrieveTools } from '../retrieve.js'

/** The tools for many questions at once: vectors that are searched in one turn of the event loop go to the index in one call. */
export function searchingTogether<Tools extends RetrieveTools>(tools: Tools): Tools {
  const together = new WeakMap<VectorIndex, VectorIndex>()
  return {
    ...tools,
    useIndexes: (task) =>
      tools.useIndexes((indexes) => {
        const { vector } = indexes
        if (vector?.index.searchMany === undefined) return task(indexes)
        const index = together.get(vector.index) ?? createJoint(vector.index)
        together.set(vector.index, index)
        return task({ ...indexes, vector: { ...vector, index } })
      }),
  }
}

interface Waiting {
  readonly vector: Float32Array
  readonly resolve: (matches: VectorMatch[]) => void
  readonly reject: (error: unknown) => void
}

/** The index, with searches of the same options joined. */
export function createJoint(index: VectorIndex): VectorIndex {
  let groups: { readonly options: VectorSearchOptions; readonly waiting: Waiting[] }[] = []

  const flush = (): void => {
    const due = groups
    groups = []
    for (const { options, waiting } of due) {
      searchGroup(index, waiting, options).then(
        (found) => {
          for (const [place, { resolve }] of waiting.entries()) resolve(found[place] as VectorMatch[])
        },
        (error) => {
          for (const { reject } of waiting) reject(error)
        },
      )
    }
  }

  return {
    id: index.id,
    dimensions: index.dimensions,
    capabilities: index.capabilities,
    get epoch() {
      return index.epoch
    },
    stats: () => index.stats(),
    update: () => index.update(),
    persist: () => index.persist(),
    close: () => index.close(),
    search: (vector, { signal: _own, ...options }) =>
      new Promise((resolve, reject) => {
        if (groups.length === 0) setImmediate(flush)
        const one: Waiting = { vector, resolve, reject }
        const group = groups.find((other) => areSame(other.options, options))
        if (group === undefined) groups.push({ options, waiting: [one] })
        else group.waiting.push(one)
      }),
  }
}

async function searchGroup(
  index: VectorIndex,
  waiting: readonly Waiting[],
  options: VectorSearchOptions,
): Promise<VectorMatch[][]> {
  const [first] = waiting
  if (waiting.length === 1 && first !== undefined) return [await index.search(first.vector, options)]
  const vectors = new Float32Array(waiting.length * index.dimensions)
  for (const [place, { vector }] of waiting.entries()) vectors.set(vector, place * index.dimensions)
  return (index.searchMany as NonNullable<VectorIndex['searchMany']>).call(index, vectors, options)
}

function areSame(a: VectorSearchOptions, b: VectorSearchOptions): boolean {
  return a.topK === b.topK && a.allow === b.allow && a.exact === b.exact
}
