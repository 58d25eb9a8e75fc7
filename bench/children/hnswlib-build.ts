import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import { setPriority } from 'node:os'
import hnswlib from 'hnswlib-node'

/**
 * Builds an index of hnswlib-node as its users do, searches it and writes it to a file. At the priority of our builders: on a machine that does other
 * work the priorities would be compared and nothing else.
 */
export default async function hnswlibBuild(options: {
  rowsFile: string
  queriesFile: string
  indexFile: string
  dimensions: number
  count: number
  M: number
  efConstruction: number
  efSearch: number
}): Promise<{ buildMs: number; cpuMs: number; found: number[][]; searchMs: number[] }> {
  const { count, dimensions, M, efConstruction, efSearch } = options
  if (process.platform === 'linux') setPriority(10)
  const queries = read(options.queriesFile)
  const index = new hnswlib.HierarchicalNSW('ip', dimensions)
  index.initIndex(count, M, efConstruction)
  const descriptor = openSync(options.rowsFile, 'r')
  const row = new Float32Array(dimensions)
  const cpu = process.cpuUsage()
  const began = performance.now()
  for (let place = 0; place < count; place++) {
    readSync(descriptor, row, 0, row.byteLength, place * row.byteLength)
    index.addPoint(Array.from(row), place)
  }
  const buildMs = performance.now() - began
  const { user, system } = process.cpuUsage(cpu)
  closeSync(descriptor)
  index.writeIndexSync(options.indexFile)
  index.setEf(efSearch)
  const found: number[][] = []
  const searchMs: number[] = []
  for (let start = 0; start < queries.length; start += dimensions) {
    const query = Array.from(queries.subarray(start, start + dimensions))
    const asked = performance.now()
    found.push(index.searchKnn(query, 10).neighbors)
    searchMs.push(performance.now() - asked)
  }
  return { buildMs, cpuMs: (user + system) / 1_000, found, searchMs }
}

function read(path: string): Float32Array {
  const bytes = readFileSync(path)
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
}
