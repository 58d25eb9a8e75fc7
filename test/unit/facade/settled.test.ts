import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { UltraFastRAG } from '../../../src/index.js'
import { createFakeEmbedder } from '../../../src/testing/index.js'
import { randomNumbers } from '../../../src/testing/support.js'
import { inSoak } from '../../lib/soak.js'

const dimensions = 16
/** Graphs are built over 20,000 passages; up to 10,000 more may be in memory. */
const documents = 62
const passages = 500

let storage: string
let rag: UltraFastRAG

beforeEach(() => {
  storage = mkdtempSync(join(tmpdir(), 'ufrag-settled-'))
  rag = open()
})
afterEach(async () => {
  await rag.close()
  rmSync(storage, { recursive: true, force: true })
})

function open(): UltraFastRAG {
  return new UltraFastRAG({ storage, embedder: createFakeEmbedder({ dimensions }), cache: false })
}

function* madeDocuments(count: number) {
  const random = randomNumbers(7)
  for (let document = 0; document < count; document++) {
    const chunks = Array.from({ length: passages }, (_, i) => {
      const vector = Float32Array.from({ length: dimensions }, () => random() - 0.5)
      return { text: `Passage p${i} of d${document}.`, vector: vector.map((value) => value / Math.hypot(...vector)) }
    })
    yield { id: `document ${document}`, chunks }
  }
}

describe('settled()', () => {
  it('resolves when the graph is built and written, which neither ingest() nor close() waits for', async () => {
    await rag.ingest(madeDocuments(documents))
    await expect(rag.settled({ signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough')
    await expect(rag.settled({ deadlineMs: 1 })).rejects.toMatchObject({ code: 'DEADLINE' })
    const waiting = rag.settled()
    waiting.catch(() => {})
    await rag.close()
    await expect(waiting).rejects.toMatchObject({ code: 'CLOSED' })
    rag = open()
    expect(await rag.retrieve('Passage p3 of d5.', { topK: 3 })).toHaveLength(3)
    await rag.settled()
    await expectGraph()
    await rag.settled()
    expect((await rag.stats()).indexes.vector?.building).toBe(false)
  })

  it('resolves at once where there is nothing to do', async () => {
    await rag.settled()
    await rag.ingest(madeDocuments(1))
    await rag.settled()
    expect(await rag.stats()).toMatchObject({ chunks: passages, indexes: { vector: { building: false } } })
  })

  inSoak('is not needed: a graph is written as soon as it is built', async () => {
    await rag.ingest(madeDocuments(documents))
    await vi.waitFor(expectGraph, { timeout: 120_000, interval: 500 })
  })
})

/** What a kill would leave now. */
async function expectGraph(): Promise<void> {
  const folder = join(storage, 'indexes', '@root', 'vectors')
  const graphs = readdirSync(folder).filter((name) => name.startsWith('graph-'))
  expect(graphs).toHaveLength(1)
  expect(readFileSync(join(folder, 'manifest'), 'latin1')).toContain(graphs[0])
  const reader = new UltraFastRAG({ storage, readOnly: true, embedder: createFakeEmbedder({ dimensions }) })
  expect(await reader.retrieve('Passage p3 of d5.')).not.toEqual([])
  expect((await reader.stats()).indexes.vector?.vectors).toBe(documents * passages)
  await reader.close()
}
