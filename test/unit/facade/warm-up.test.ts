import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { UltraFastRAG } from '../../../src/index.js'

let folder: string
const opened: UltraFastRAG[] = []
let started = 0
const count = () => {
  started++
}
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ufrag-warm-'))
})
afterEach(async () => {
  process.off('worker', count)
  await Promise.all(opened.splice(0).map((rag) => rag.close()))
  rmSync(folder, { recursive: true, force: true })
})

async function threadsOfFirstDocument(isWarm: boolean): Promise<number> {
  const rag = new UltraFastRAG({ storage: join(folder, String(isWarm)), embedder: false, maxWorkers: 1 })
  opened.push(rag)
  if (isWarm) await rag.warmUp()
  else await rag.stats()
  started = 0
  process.on('worker', count)
  await rag.ingest([{ id: 'a', text: 'The tower is tall.' }])
  process.off('worker', count)
  return started
}

it('warmUp() starts the thread that prepares documents ahead of the first one', async () => {
  expect(await threadsOfFirstDocument(true)).toBe((await threadsOfFirstDocument(false)) - 1)
})

it('warmUp() of a store that is only read starts no thread', async () => {
  await threadsOfFirstDocument(false)
  await opened.pop()?.close()
  started = 0
  process.on('worker', count)
  const reader = new UltraFastRAG({ storage: join(folder, 'false'), embedder: false, readOnly: true })
  opened.push(reader)
  await reader.warmUp()
  expect(await reader.retrieve('tower')).toHaveLength(1)
  expect(started).toBe(0)
})
