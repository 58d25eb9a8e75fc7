import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { RagError } from '../../../src/core/errors.js'
import { createInProcessQueue } from '../../../src/queue/in-process.js'
import type { ActiveJob, JobEvent, JobHandler, JobResult } from '../../../src/queue/types.js'
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
  it('runs a job and tells what it did', async () => {
    const queue = createInProcessQueue()
    const events: JobEvent['type'][] = []
    queue.subscribe(({ type }) => events.push(type))
    queue.process(async (job) => {
      job.report({ documentsDone: 1, documentsTotal: 1, failed: 0, chunks: 3 })
      return done
    }, one)
    const id = await queue.enqueue(text('a'))
    expect(await queue.finished(id)).toMatchObject({
      id,
      state: 'completed',
      source: 'memory:a',
      namespace: '',
      attempts: 1,
      result: done,
      progress: { chunks: 3 },
    })
    expect(events).toEqual(['waiting', 'active', 'progress', 'completed'])
    expect(await queue.counts()).toEqual({ waiting: 0, active: 0, completed: 1, failed: 0 })
    expect(await queue.close()).toEqual([])
  })

  it('does not let an older content be tried again when a newer one has ended', async () => {
    const queue = createInProcessQueue({ attempts: 1 })
    queue.process(async ({ input }) => {
      if ((input as { text: string }).text === 'old') throw new RagError('CORRUPT', 'bad')
      return done
    }, one)
    const old = await queue.enqueue(text('a', 'old'))
    expect((await queue.finished(old))?.state).toBe('failed')
    await queue.finished(await queue.enqueue(text('a', 'new')))
    expect(await queue.retry(old)).toBe(false)
    await queue.close()
  })

  it('is not ended by listeners that reject', async () => {
    const queue = createInProcessQueue()
    queue.subscribe(async () => {
      throw new Error('of the listener')
    })
    queue.process(async () => done, one)
    expect((await queue.finished(await queue.enqueue(text('a'))))?.state).toBe('completed')
    await queue.close()
  })

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

  it('runs a job again under its id when it is enqueued again after its end', async () => {
    const queue = createInProcessQueue()
    let runs = 0
    queue.process(async () => {
      runs++
      return done
    }, one)
    const id = await queue.enqueue(text('a'))
    await queue.finished(id)
    expect(await queue.enqueue(text('a'))).toBe(id)
    await queue.finished(id)
    expect(runs).toBe(2)
    await queue.close()
  })

  it('ingests of a document what was enqueued last, and never two of its contents at once', async () => {
    const queue = createInProcessQueue()
    const { jobs, handler } = byHand()
    queue.process(handler, { ...one, concurrency: 4 })
    const ids: string[] = []
    for (const content of ['1', '2', '3']) ids.push(await queue.enqueue(text('a', content)))
    await turn()
    expect(jobs.map(({ job }) => job.id)).toEqual([ids[0]])
    expect(await queue.job(ids[1] as string)).toMatchObject({ state: 'completed', result: { superseded: true } })
    jobs[0]?.fail(new RagError('PROVIDER', 'away', { retryable: true }))
    await turn()
    expect(await queue.job(ids[0] as string)).toMatchObject({ state: 'completed', result: { superseded: true } })
    expect(jobs.map(({ job }) => job.id)).toEqual([ids[0], ids[2]])
    jobs[1]?.end()
    await queue.idle()
    expect(await queue.job(ids[2] as string)).toMatchObject({ state: 'completed', result: done })
    await queue.close()
  })

  it('walks a folder anew when it is enqueued while it is walked, and once however often', async () => {
    const queue = createInProcessQueue({ root: folder })
    const { jobs, handler } = byHand()
    queue.process(handler, { ...one, concurrency: 4 })
    const first = await queue.enqueue('.')
    await turn()
    const second = await queue.enqueue('.')
    expect(await queue.enqueue('.')).toBe(second)
    expect(second).not.toBe(first)
    expect(jobs).toHaveLength(1)
    jobs[0]?.end()
    await turn()
    expect(jobs.map(({ job }) => job.id)).toEqual([first, second])
    expect(await queue.enqueue('.')).toBe(first)
    jobs[1]?.end()
    await turn()
    jobs[2]?.end()
    await queue.idle()
    await queue.close()
  })

  it('begins what is urgent first, and keeps the order among equals', async () => {
    const queue = createInProcessQueue()
    for (const [name, priority] of [
      ['a', 'low'],
      ['b', 'normal'],
      ['c', 'high'],
      ['d', 'normal'],
      ['e', 'high'],
    ] as const)
      await queue.enqueue(text(name), { priority })
    const order: string[] = []
    queue.process(async ({ source }) => {
      order.push(source.slice(-1))
      return done
    }, one)
    await queue.idle()
    expect(order.join('')).toBe('cebda')
    await queue.close()
  })

  it('cancels what waits at once, and what runs by its signal', async () => {
    const queue = createInProcessQueue()
    const { jobs, handler } = byHand()
    queue.process(handler, one)
    const running = await queue.enqueue(text('a'))
    const waiting = await queue.enqueue(text('b'))
    await turn()
    expect(await queue.cancel(waiting)).toBe(true)
    expect(await queue.job(waiting)).toMatchObject({ state: 'cancelled' })
    expect(await queue.cancel(running)).toBe(true)
    expect(await queue.finished(running)).toMatchObject({ state: 'cancelled' })
    expect(jobs).toHaveLength(1)
    expect([await queue.cancel(running), await queue.cancel('nobody')]).toEqual([false, false])
    await queue.close()
  })

  it('runs a job that is enqueued again while it is being cancelled', async () => {
    const queue = createInProcessQueue()
    const { jobs, handler } = byHand()
    queue.process(handler, one)
    const id = await queue.enqueue(text('a'))
    await turn()
    await queue.cancel(id)
    expect(await queue.enqueue(text('a'))).toBe(id)
    await turn()
    expect(jobs).toHaveLength(2)
    jobs[1]?.end()
    expect(await queue.finished(id)).toMatchObject({ state: 'completed' })
    await queue.close()
  })

  it('keeps the content that runs when the newer one is cancelled', async () => {
    const clock = createFakeClock()
    const queue = createInProcessQueue({}, clock)
    const { jobs, handler } = byHand()
    queue.process(handler, one)
    const older = await queue.enqueue(text('a', '1'))
    await turn()
    await queue.cancel(await queue.enqueue(text('a', '2')))
    jobs[0]?.fail(new RagError('PROVIDER', 'away', { retryable: true }))
    await clock.pass(2_000)
    jobs[1]?.end()
    expect(await queue.finished(older)).toMatchObject({ state: 'completed', result: done, attempts: 2 })
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

  it('fails at once what will never pass, and lets it wait again when it is told to', async () => {
    const queue = createInProcessQueue()
    let broken = true
    queue.process(async () => {
      if (broken) throw new RagError('CORRUPT', 'not a PDF')
      return done
    }, one)
    const id = await queue.enqueue(text('a'))
    expect(await queue.finished(id)).toMatchObject({ state: 'failed', attempts: 1, error: { code: 'CORRUPT' } })
    broken = false
    expect(await queue.retry(id)).toBe(true)
    const status = await queue.finished(id)
    expect(status).toMatchObject({ state: 'completed' })
    expect(status.error).toBeUndefined()
    expect(await queue.retry(id)).toBe(false)
    await queue.close()
  })

  it('keeps the words of a foreign error to itself', async () => {
    const queue = createInProcessQueue({ attempts: 1 })
    queue.process(async () => {
      throw new TypeError('secret sentence of a document')
    }, one)
    const { error } = await queue.finished(await queue.enqueue(text('a')))
    expect(error).toMatchObject({ code: 'WORKER', data: { name: 'TypeError' } })
    expect(JSON.stringify(error)).not.toContain('secret')
    await queue.close()
  })

  it('lets enqueue wait for room, or rejects when asked to', async () => {
    const queue = createInProcessQueue({ maxWaiting: 2 })
    await queue.enqueue(text('a'))
    const b = await queue.enqueue(text('b'))
    await expect(queue.enqueue(text('c'), { whenFull: 'reject' })).rejects.toMatchObject({
      code: 'OVERLOADED',
      retryable: true,
    })
    expect(await queue.enqueue(text('b'), { whenFull: 'reject' })).toBe(b)
    await expect(queue.enqueue(text('c'), { deadlineMs: 10 })).rejects.toMatchObject({ code: 'DEADLINE' })
    const waits = [queue.enqueue(text('d')), queue.enqueue(text('d')), queue.enqueue(text('e'))]
    await turn()
    expect(await queue.counts()).toMatchObject({ waiting: 2 })
    queue.process(async () => done, one)
    const [d, again] = await Promise.all(waits)
    expect(again).toBe(d)
    await queue.idle()
    expect(await queue.counts()).toMatchObject({ waiting: 0, completed: 4 })
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

  it('lets a closed worker finish what it runs, in its time', async () => {
    const queue = createInProcessQueue()
    const { jobs, handler } = byHand()
    const processor = queue.process(handler, one)
    const id = await queue.enqueue(text('a'))
    await queue.enqueue(text('b'))
    await turn()
    const closing = processor.close(10_000)
    await turn()
    jobs[0]?.end()
    await closing
    await processor.ended
    expect(await queue.job(id)).toMatchObject({ state: 'completed' })
    expect(await queue.counts()).toMatchObject({ waiting: 1, active: 0 })
    expect(jobs).toHaveLength(1)
    await queue.close()
  })

  it('refuses credentials, what is no document, and files that are not there', async () => {
    const queue = createInProcessQueue({ root: folder })
    const bad: [unknown, string][] = [
      [{ path: 'a.pdf', password: 'x' }, 'BAD_INPUT'],
      ['https://user:word@example.com/a.pdf', 'BAD_INPUT'],
      [{}, 'BAD_INPUT'],
      [null, 'BAD_INPUT'],
      [7, 'BAD_INPUT'],
      ['missing.txt', 'NOT_FOUND'],
    ]
    for (const [input, code] of bad) await expect(queue.enqueue(input as string)).rejects.toMatchObject({ code })
    for (const options of [{ namespace: 'a b' }, { priority: 'urgent' }, { whenFull: 'drop' }])
      await expect(queue.enqueue('x', options as never)).rejects.toMatchObject({ code: 'BAD_OPTION' })
    expect(await queue.enqueue('missing.txt', { contentHash: '1' })).not.toBe(
      await queue.enqueue('missing.txt', { contentHash: '2' }),
    )
    expect(() => createInProcessQueue({ maxWaiting: 0 })).toThrow(RagError)
    await queue.close()
  })

  it('forgets what is over beyond what it keeps', async () => {
    const queue = createInProcessQueue({ keep: 2 })
    queue.process(async () => done, one)
    const ids: string[] = []
    for (const name of 'abcd') ids.push(await queue.enqueue(text(name)))
    await queue.idle()
    expect(await Promise.all(ids.map(async (id) => (await queue.job(id))?.state))).toEqual([
      undefined,
      undefined,
      'completed',
      'completed',
    ])
    await expect(queue.finished(ids[0] as string)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await queue.close()
  })
})
