import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createInProcessQueue, createWorker, type WorkedJob } from '../../../src/queue/index.js'
import { UltraFastRAG } from '../../../src/ultra-fast-rag.js'

const folder = mkdtempSync(join(tmpdir(), 'ufrag-worker-'))
beforeAll(() => {
  writeFileSync(join(folder, 'good.txt'), 'The crane lifts eight tonnes.')
  writeFileSync(join(folder, 'bad.txt'), ' ')
})
afterAll(() => rmSync(folder, { recursive: true }))

async function setUp() {
  const rag = new UltraFastRAG({ root: folder })
  const queue = createInProcessQueue({ root: folder, attempts: 1 })
  const worked: WorkedJob[] = []
  const worker = await createWorker({ queue, rag, onJob: (job) => worked.push(job) })
  const end = async () => {
    await worker.close()
    await queue.close()
    await rag.close()
  }
  return { rag, queue, worker, worked, end }
}

describe('a worker', () => {
  it('ingests files, texts and bytes, each into its namespace', async () => {
    const { rag, queue, worked, end } = await setUp()
    await queue.enqueue('good.txt')
    await queue.enqueue({ id: 'note', text: 'The bridge is closed.', metadata: { year: 2020 } }, { namespace: 'other' })
    await queue.enqueue({ id: 'bytes', data: new TextEncoder().encode('A ferry goes at nine.') })
    await queue.idle()
    expect((await rag.retrieve('crane'))[0]?.chunk.documentId).toBe('good.txt')
    expect((await rag.retrieve('ferry'))[0]?.chunk.documentId).toBe('bytes')
    expect(await rag.retrieve('bridge')).toEqual([])
    expect((await rag.namespace('other').retrieve('bridge'))[0]?.chunk.documentId).toBe('note')
    expect(worked.map(({ namespace, result }) => [namespace, result?.documents]).sort()).toEqual([
      ['', 1],
      ['', 1],
      ['other', 1],
    ])
    await end()
  })

  it('fails the job of a bad document with its code, and that of a folder with the names of the bad ones', async () => {
    const { rag, queue, end } = await setUp()
    const alone = await queue.finished(await queue.enqueue('bad.txt'))
    expect(alone).toMatchObject({ state: 'failed', error: { code: 'EMPTY' } })
    const folderJob = await queue.finished(await queue.enqueue('.'))
    expect(folderJob).toMatchObject({
      state: 'failed',
      error: { code: 'EMPTY', data: { documents: 1, failed: [{ source: 'bad.txt', code: 'EMPTY' }] } },
      progress: { documentsDone: 2 },
    })
    expect((await rag.stats()).documents).toBe(1)
    await end()
  })

  it('gives up when its documents were closed, and its job goes to the next worker', async () => {
    const { rag, queue, worker } = await setUp()
    await rag.close()
    const id = await queue.enqueue('good.txt')
    await expect(worker.ended).rejects.toMatchObject({ code: 'CLOSED' })
    const second = new UltraFastRAG({ root: folder })
    const other = await createWorker({ queue, rag: second })
    expect(await queue.finished(id)).toMatchObject({ state: 'completed', attempts: 1 })
    await other.close()
    await queue.close()
    await second.close()
  })

  it('does not begin on a storage that may not be written, or with options that are none', async () => {
    const queue = createInProcessQueue()
    const stats = async () => ({ storage: { id: 'x', directory: undefined, readOnly: true } }) as never
    const rag = { stats, ingest: async () => ({}) as never, namespace: () => rag }
    await expect(createWorker({ queue, rag })).rejects.toMatchObject({ code: 'READ_ONLY' })
    await expect(createWorker({ queue, rag, concurrency: 0 })).rejects.toMatchObject({ code: 'BAD_OPTION' })
    await queue.close()
  })
})
