import { readFileSync } from 'node:fs'
import hnswlib from 'hnswlib-node'
import { anonymousBytes } from '../lib/memory.js'

/** Builds an index of hnswlib-node as its users do, and searches it; the vectors are read from files. */
export default async function hnswlibBuild(options: {
  rowsFile: string
  queriesFile: string
  dimensions: number
  M: number
  efConstruction: number
  efSearch: number
}): Promise<{ buildMs: number; bytes: number; found: number[][]; searchMs: number[] }> {
  const { dimensions, M, efConstruction, efSearch } = options
  const rows = read(options.rowsFile)
  const queries = read(options.queriesFile)
  const count = rows.length / dimensions
  globalThis.gc?.()
  const before = anonymousBytes() ?? Number.NaN
  const index = new hnswlib.HierarchicalNSW('ip', dimensions)
  index.initIndex(count, M, efConstruction)
  const began = performance.now()
  for (let row = 0; row < count; row++) {
    index.addPoint(Array.from(rows.subarray(row * dimensions, (row + 1) * dimensions)), row)
  }
  const buildMs = performance.now() - began
  globalThis.gc?.()
  const bytes = (anonymousBytes() ?? Number.NaN) - before
  index.setEf(efSearch)
  const found: number[][] = []
  const searchMs: number[] = []
  for (let start = 0; start < queries.length; start += dimensions) {
    const query = Array.from(queries.subarray(start, start + dimensions))
    const asked = performance.now()
    found.push(index.searchKnn(query, 10).neighbors)
    searchMs.push(performance.now() - asked)
  }
  return { buildMs, bytes, found, searchMs }
}

function read(path: string): Float32Array {
  const bytes = readFileSync(path)
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
}
