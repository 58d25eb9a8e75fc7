import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { type IndexChoice, openIndexOf } from '../lib/vector-indexes.js'

/** Builds an index from a file of rows, read by batches, until nothing is left to improve, and closes it. */
export default async function indexBuild({
  directory,
  rowsFile,
  dimensions,
  ...choice
}: IndexChoice & { directory: string; rowsFile: string; dimensions: number }): Promise<{
  addMs: number
  buildMs: number
}> {
  const descriptor = openSync(rowsFile, 'r')
  const count = fstatSync(descriptor).size / 4 / dimensions
  const index = await openIndexOf(choice, { directory, dimensions })
  const began = performance.now()
  const update = index.update()
  const rowsAtOnce = 1_000
  for (let first = 0; first < count; first += rowsAtOnce) {
    const rows = new Float32Array(Math.min(rowsAtOnce, count - first) * dimensions)
    readSync(descriptor, new Uint8Array(rows.buffer), 0, rows.byteLength, first * dimensions * 4)
    await update.add(
      Array.from({ length: rows.length / dimensions }, (_, i) => first + i),
      rows,
    )
  }
  closeSync(descriptor)
  await update.publish(1)
  const addMs = performance.now() - began
  const enough = Math.ceil(count / (1 << 18))
  while (index.stats().segments > enough) await new Promise((resolve) => setTimeout(resolve, 20))
  const buildMs = performance.now() - began
  await index.persist()
  await index.close()
  return { addMs, buildMs }
}
