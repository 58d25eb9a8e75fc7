import { readFileSync } from 'node:fs'
import { settledAnonymousBytes } from '../lib/memory.js'
import { type IndexChoice, openIndexOf } from '../lib/vector-indexes.js'

/** Opens an index that was closed, and asks it. */
export default async function indexSearch({
  directory,
  queriesFile,
  dimensions,
  ...choice
}: IndexChoice & { directory: string; queriesFile: string; dimensions: number }): Promise<{
  firstAnswerMs: number
  vectors: number
  found: number[][]
  searchMs: number[]
  /** Anonymous memory that opening and searching took. */
  heldBytes: number
}> {
  const bytes = readFileSync(queriesFile)
  const queries = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
  const before = await settledAnonymousBytes()
  const began = performance.now()
  const index = await openIndexOf(choice, { directory, dimensions })
  await index.search(queries.slice(0, dimensions), { topK: 10 })
  const firstAnswerMs = performance.now() - began
  const found: number[][] = []
  const searchMs: number[] = []
  for (let start = 0; start < queries.length; start += dimensions) {
    const asked = performance.now()
    const matches = await index.search(queries.slice(start, start + dimensions), { topK: 10 })
    searchMs.push(performance.now() - asked)
    found.push(matches.map(({ number }) => number))
  }
  const { vectors } = index.stats()
  const heldBytes = (await settledAnonymousBytes()) - before
  await index.close()
  return { firstAnswerMs, vectors, found, searchMs, heldBytes }
}
