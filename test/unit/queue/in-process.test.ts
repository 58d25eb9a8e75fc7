import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { RagError } from '../../../src/core/errors.js'
import { createInProcessQueue } from '../../../src/queue/in-process.js'
import type { ActiveJob, JobHandler, JobResult } from '../../../src/queue/types.js'
import { createFakeClock } from '../../lib/fake-clock.js'

const folder = mkdtempSync(join(tmpdir(), 'ufrag-queue-'))
afterAll(() => rmSync(folder, { recursive: true }))

const done: JobResult = { documents: 1, unchanged: 0, chunks: 3 }
const one = { concurrency: 1, target: 'here' }

/** A handler whose jobs end when the test says so. */
function byHand() {
  const jobs: { job: ActiveJob; end(result?: JobResult): void; fail(error: unknown): void }[] = []
  const handler: JobHandler = (job) =>
    new Promise((resolve, reject) => {
      jobs.push({ job, end: (result = done) => resolve(result), fail: reject })
      job.signal.addEventListener('abort', () => reject(job.signal.reason), { once: true })
    })
  return { jobs, handler }
}

const turn = async () => {
  for (let round = 0; round < 5; round++) await new Promise(setImmediate)
}
const text = (id: string, content = id) => ({ id, text: content })

describe('the in-process queue', () => {
  it('takes the same content of the same document for one job, and anything else for another', async () => {
    const queue = createInProcessQueue({ root: folder })
    writeFileSync(join(folder, 'a.txt'), 'one')
    const first = await queue.enqueue('a.txt')
    expect(await queue.enqueue(`${folder}/./a.txt`)).toBe(first)
    expect(await queue.enqueue({ path: 'a.txt' })).toBe(first)
    const others = [
      await queue.enqueue({ path: 'a.txt', metadata: { year: 1 } }),
      await queue.enqueue('a.txt', { namespace: 'other' }),
      await queue.enqueue({ path: 'a.txt', id: 'b' }),
      await queue.enqueue({ id: 'a.txt', text: 'two' }),
    ]
    expect(new Set([first, ...others]).size).toBe(5)
    expect(await queue.enqueue(text('x'))).toBe(await queue.enqueue(text('x')))
    expect(await queue.enqueue({ text: 'no id' })).toBe(await queue.enqueue({ text: 'no id' }))
    await queue.close()
  })

  it('tries again what may pass, later each time, and gives up after the last attempt', async () => {
    const clock = createFakeClock()
    const queue = createInProcessQueue({ attempts: 3, retryDelayMs: 1_000 }, clock)
    let attempts = 0
    queue.process(async ({ attempt }) => {
      expect(attempt).toBe(++attempts)
      throw new RagError('PROVIDER', 'away', { retryable: true, data: { status: 503 } })
    }, one)
    const id = await queue.enqueue(text('a'))
    const status = await clock.settle(queue.finished(id))
    expect(status).toMatchObject({ state: 'failed', attempts: 3, error: { code: 'PROVIDER', data: { status: 503 } } })
    expect(clock.sleeps).toHaveLength(2)
    for (const [retry, ms] of clock.sleeps.entries()) {
      expect(ms).toBeGreaterThanOrEqual(500 * 2 ** retry)
      expect(ms).toBeLessThanOrEqual(1_000 * 2 ** retry)
    }
    expect(await queue.failed()).toEqual([status])
    await queue.close()
  })

  it('bounds the bytes that wait', async () => {
    const queue = createInProcessQueue({ maxWaitingBytes: 1_000, maxPayloadBytes: 10_000 })
    await queue.enqueue(text('a', 'x'.repeat(600)))
    await expect(queue.enqueue(text('b'), { whenFull: 'reject' })).rejects.toMatchObject({ code: 'OVERLOADED' })
    await expect(queue.enqueue(text('c', 'x'.repeat(6_000)))).rejects.toMatchObject({ code: 'LIMIT' })
    await queue.close()
  })

  it('gives back what it has not run when it is closed, and those who wait for room are told', async () => {
    const queue = createInProcessQueue({ maxWaiting: 3 })
    const { jobs, handler } = byHand()
    const processor = queue.process(handler, one)
    await queue.enqueue(text('a'))
    await turn()
    await queue.enqueue(text('b'), { priority: 'low' })
    const c = await queue.enqueue(text('c'))
    await queue.enqueue(text('d'), { priority: 'low' })
    const late = queue.enqueue(text('e'))
    const wanted = queue.finished(c)
    await Promise.all([
      processor.close(0),
      expect(late).rejects.toMatchObject({ code: 'CLOSED' }),
      expect(wanted).rejects.toMatchObject({ code: 'CLOSED' }),
      turn().then(async () => {
        const left = await queue.close()
        expect(left.map(({ input }) => (input as { id: string }).id).sort()).toEqual(['a', 'b', 'c', 'd'])
        expect(left[0]).toMatchObject({ priority: 'normal' })
      }),
    ])
    expect(jobs).toHaveLength(1)
    await expect(queue.enqueue(text('x'))).rejects.toMatchObject({ code: 'CLOSED' })
    expect(await queue.close()).toHaveLength(4)
  })

  it('refuses options that are none', () => {
    for (const options of [{ maxWaiting: 0 }, { maxWaitingBytes: 1.5 }, { attempts: 0 }, { keep: -1 }])
      expect(() => createInProcessQueue(options)).toThrow(RagError)
  })
})
