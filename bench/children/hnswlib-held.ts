import { readFileSync } from 'node:fs'
import hnswlib from 'hnswlib-node'
import { settledAnonymousBytes } from '../lib/memory.js'

/** Opens what was written, and tells what that and some searches hold in anonymous memory. */
export default async function hnswlibHeld({
  indexFile,
  queriesFile,
  dimensions,
}: {
  indexFile: string
  queriesFile: string
  dimensions: number
}): Promise<{ heldBytes: number }> {
  const bytes = readFileSync(queriesFile)
  const queries = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
  const before = await settledAnonymousBytes()
  const index = new hnswlib.HierarchicalNSW('ip', dimensions)
  index.readIndexSync(indexFile)
  index.setEf(64)
  for (let start = 0; start < queries.length; start += dimensions) {
    index.searchKnn(Array.from(queries.subarray(start, start + dimensions)), 10)
  }
  return { heldBytes: (await settledAnonymousBytes()) - before }
}
