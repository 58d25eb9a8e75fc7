import { connect } from 'node:net'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { RagError } from '../../../src/core/errors.js'
import { type BullmqQueueOptions, createBullmqQueue } from '../../../src/queue/bullmq.js'
import type { ActiveJob, JobEvent, JobHandler, JobQueue, JobResult } from '../../../src/queue/types.js'
import { startRedis } from '../../lib/redis-server.js'
import { inSoak } from '../../lib/soak.js'

const server = await startRedis(['--maxmemory', '24mb', '--maxmemory-policy', 'noeviction', '--appendonly', 'yes'])
const queues: JobQueue[] = []
afterEach(async () => {
  await Promise.all(queues.splice(0).map((queue) => queue.close()))
})
afterAll(() => server?.stop())

const done: JobResult = { documents: 1, unchanged: 0, chunks: 3 }
const one = { concurrency: 1, target: 'here' }
let names = 0

/** Queues of one name speak to each other; each test has a name of its own. */
function open(options: Partial<BullmqQueueOptions> = {}): JobQueue {
  const queue = createBullmqQueue({
    url: server?.url ?? '',
    name: `q${names}`,
    retryDelayMs: 20,
    lockMs: 1_000,
    stalledIntervalMs: 250,
    timeoutMs: 2_000,
    ...options,
  })
  queues.push(queue)
  return queue
}

function byHand() {
  const jobs: { job: ActiveJob; end(result?: JobResult): void; fail(error: unknown): void }[] = []
  const handler: JobHandler = (job) =>
    new Promise((resolve, reject) => {
      jobs.push({ job, end: (result = done) => resolve(result), fail: reject })
      job.signal.addEventListener('abort', () => reject(job.signal.reason), { once: true })
    })
  return { jobs, handler }
}

const text = (id: string, content = id) => ({ id, text: content })
const until = (check: () => void | Promise<void>) => vi.waitFor(check, { timeout: 10_000, interval: 20 })

function command(line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(server?.port ?? 0, '127.0.0.1')
    socket.once('error', reject)
    socket.once('data', (data) => {
      socket.destroy()
      resolve(String(data))
    })
    socket.write(`${line}\r\n`)
  })
}

describe.skipIf(server === undefined)('the queue on Redis', () => {
  afterEach(() => {
    names++
  })

  it('runs a job of another process and tells both sides what it did', async () => {
    const [here, there] = [open(), open()]
    const events: JobEvent[] = []
    here.subscribe((event) => events.push(event))
    // Events are heard from the moment on at which the listener is connected.
    await here.counts()
    await new Promise((resolve) => setTimeout(resolve, 50))
    const inputs: unknown[] = []
    there.process(async (job) => {
      inputs.push(job.input)
      job.report({ documentsDone: 1, documentsTotal: 1, failed: 0, chunks: 3 })
      return done
    }, one)
    const id = await here.enqueue(
      { id: 'a', data: Uint8Array.of(1, 2, 255), metadata: { data: 'x' } },
      { priority: 'high' },
    )
    expect(await here.finished(id)).toMatchObject({
      id,
      state: 'completed',
      source: 'memory:a',
      namespace: '',
      priority: 'high',
      attempts: 1,
      result: done,
    })
    expect(inputs).toEqual([{ id: 'a', data: Uint8Array.of(1, 2, 255), metadata: { data: 'x' } }])
    await until(() => expect(events.map(({ type }) => type)).toEqual(['waiting', 'active', 'progress', 'completed']))
    expect(await here.counts()).toEqual({ waiting: 0, active: 0, completed: 1, failed: 0 })
    expect(await here.job('nobody')).toBeUndefined()
  })

  it('takes the same content of the same document for one job, whoever enqueues it, and runs it again after its end', async () => {
    const [a, b] = [open(), open()]
    const ids = await Promise.all(
      Array.from({ length: 20 }, (_, place) => (place % 2 ? a : b).enqueue(text('x', 'same'))),
    )
    expect(new Set(ids).size).toBe(1)
    expect(await a.counts()).toMatchObject({ waiting: 1 })
    let runs = 0
    a.process(async () => {
      runs++
      return done
    }, one)
    await a.finished(ids[0] as string)
    expect(await b.enqueue(text('x', 'same'))).toBe(ids[0])
    await until(async () => expect(await b.job(ids[0] as string)).toMatchObject({ state: 'completed' }))
    await b.idle()
    expect(runs).toBe(2)
  })

  it('ingests of a document what was enqueued last, and never two of its contents at once', async () => {
    const queue = open()
    const { jobs, handler } = byHand()
    queue.process(handler, { ...one, concurrency: 3 })
    const first = await queue.enqueue(text('a', '1'))
    await until(() => expect(jobs).toHaveLength(1))
    const second = await queue.enqueue(text('a', '2'))
    const third = await queue.enqueue(text('a', '3'))
    expect(await queue.finished(second)).toMatchObject({ state: 'completed', result: { superseded: true } })
    expect(jobs).toHaveLength(1)
    jobs[0]?.fail(new RagError('PROVIDER', 'away', { retryable: true }))
    expect(await queue.finished(first)).toMatchObject({ state: 'completed', result: { superseded: true } })
    await until(() => expect(jobs).toHaveLength(2))
    jobs[1]?.end()
    expect(await queue.finished(third)).toMatchObject({ state: 'completed', result: done })
  })

  it('keeps an older content whose successor was announced but never enqueued', async () => {
    const queue = open()
    const id = await queue.enqueue(text('a', '1'))
    // As far as an enqueue() comes that is killed in the middle.
    const [latest] = (await command(`KEYS ufrag:q${names}:x:latest:*`)).match(/ufrag:\S+/) ?? []
    await command(`SET ${latest} 0123456789abcdef0123456789abcdef`)
    queue.process(async () => done, one)
    expect(await queue.finished(id)).toMatchObject({ state: 'completed', result: done })
  })

  it('walks a folder anew when it is enqueued while it is walked', async () => {
    const queue = open({ root: '.' })
    const { jobs, handler } = byHand()
    queue.process(handler, { ...one, concurrency: 3 })
    const first = await queue.enqueue('docs')
    await until(() => expect(jobs).toHaveLength(1))
    const second = await queue.enqueue('docs')
    expect(await queue.enqueue('docs')).toBe(second)
    expect(second).not.toBe(first)
    jobs[0]?.end()
    await until(() => expect(jobs).toHaveLength(2))
    expect(jobs.map(({ job }) => job.id)).toEqual([first, second])
    jobs[1]?.end()
    await queue.idle()
  })

  it('begins what is urgent first', async () => {
    const queue = open()
    for (const [name, priority] of [
      ['a', 'low'],
      ['b', 'normal'],
      ['c', 'high'],
      ['d', 'normal'],
    ] as const)
      await queue.enqueue(text(name), { priority })
    const order: string[] = []
    queue.process(async ({ source }) => {
      order.push(source.slice(-1))
      return done
    }, one)
    await queue.idle()
    expect(order.join('')).toBe('cbda')
  })

  it('cancels what waits, and what runs in another process', async () => {
    const [here, there] = [open(), open()]
    const { jobs, handler } = byHand()
    there.process(handler, one)
    const running = await here.enqueue(text('a'))
    const waiting = await here.enqueue(text('b'))
    await until(() => expect(jobs).toHaveLength(1))
    expect(await here.cancel(waiting)).toBe(true)
    expect(await here.job(waiting)).toBeUndefined()
    expect(await here.cancel(running)).toBe(true)
    expect(await here.finished(running)).toMatchObject({ state: 'cancelled' })
    expect(jobs[0]?.job.signal.aborted).toBe(true)
    await until(async () => expect(await here.counts()).toEqual({ waiting: 0, active: 0, completed: 0, failed: 0 }))
    expect(await here.cancel(running)).toBe(false)
    // And again from the beginning.
    expect(await here.enqueue(text('a'))).toBe(running)
    await until(() => expect(jobs).toHaveLength(2))
    jobs[1]?.end()
    expect(await here.finished(running)).toMatchObject({ state: 'completed' })
  })

  it('runs a job that is enqueued again while it is being cancelled', async () => {
    const queue = open()
    let release = () => {}
    let runs = 0
    queue.process(async ({ signal }) => {
      if (++runs > 1) return done
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
      await new Promise<void>((resolve) => {
        release = resolve
      })
      throw signal.reason
    }, one)
    const id = await queue.enqueue(text('a'))
    await until(() => expect(runs).toBe(1))
    await queue.cancel(id)
    await until(() => expect(release).not.toBeUndefined())
    await new Promise((resolve) => setTimeout(resolve, 600))
    expect(await queue.enqueue(text('a'))).toBe(id)
    release()
    await until(async () => expect(await queue.job(id)).toMatchObject({ state: 'completed' }))
    expect(runs).toBe(2)
  })

  it('tries again what may pass, fails what will not, and lets failed jobs wait again', async () => {
    const queue = open({ attempts: 2 })
    const events: JobEvent['type'][] = []
    queue.subscribe(({ type }) => events.push(type))
    const failures: Record<string, RagError[]> = {
      'memory:a': [new RagError('PROVIDER', 'away', { retryable: true })],
      'memory:b': [
        new RagError('STORAGE_FULL', 'full', { data: { directory: 'x' } }),
        new RagError('STORAGE_FULL', 'full', { data: { directory: 'x' } }),
      ],
      'memory:c': [new RagError('CORRUPT', 'not a PDF', { hint: 'get another' })],
    }
    queue.process(async ({ source }) => {
      const failure = failures[source]?.shift()
      if (failure !== undefined) throw failure
      return done
    }, one)
    const ids = await Promise.all(['a', 'b', 'c'].map((name) => queue.enqueue(text(name))))
    const [a, b, c] = await Promise.all(ids.map((id) => queue.finished(id)))
    expect(a).toMatchObject({ state: 'completed', attempts: 2 })
    expect(a?.error).toBeUndefined()
    expect(b).toMatchObject({ state: 'failed', attempts: 2, error: { code: 'STORAGE_FULL', data: { directory: 'x' } } })
    expect(c).toMatchObject({ state: 'failed', attempts: 1, error: { code: 'CORRUPT', hint: 'get another' } })
    expect((await queue.failed()).map(({ id }) => id).sort()).toEqual([b?.id, c?.id].sort())
    expect(await queue.failed({ limit: 1 })).toHaveLength(1)
    expect(await queue.retry(ids[1] as string)).toBe(true)
    await queue.idle()
    expect(await queue.job(ids[1] as string)).toMatchObject({ state: 'completed', attempts: 1 })
    expect(await queue.retry(ids[0] as string)).toBe(false)
  })

  it('lets enqueue wait for room, or rejects when asked to', async () => {
    const queue = open({ maxWaiting: 2 })
    await queue.enqueue(text('a'))
    const b = await queue.enqueue(text('b'))
    await expect(queue.enqueue(text('c'), { whenFull: 'reject' })).rejects.toMatchObject({ code: 'OVERLOADED' })
    expect(await queue.enqueue(text('b'), { whenFull: 'reject' })).toBe(b)
    await expect(queue.enqueue(text('c'), { deadlineMs: 50 })).rejects.toMatchObject({ code: 'DEADLINE' })
    const late = queue.enqueue(text('d'))
    queue.process(async () => done, one)
    expect(await queue.finished(await late)).toMatchObject({ state: 'completed' })
  })

  it('gives back what a closed worker has not done, to the next one', async () => {
    const [first, second] = [open(), open()]
    const { jobs, handler } = byHand()
    const processor = first.process(handler, one)
    const id = await first.enqueue(text('a'))
    await until(() => expect(jobs).toHaveLength(1))
    await processor.close(0)
    await processor.ended
    expect(await first.job(id)).toMatchObject({ state: 'waiting', attempts: 0 })
    second.process(async ({ attempt }) => ({ ...done, chunks: attempt }), one)
    expect(await second.finished(id)).toMatchObject({ state: 'completed', result: { chunks: 1 } })
  })

  it('lets in only workers that write to the same storage', async () => {
    const [first, second] = [open(), open()]
    const { jobs, handler } = byHand()
    first.process(handler, one)
    await first.enqueue(text('a'))
    await until(() => expect(jobs).toHaveLength(1))
    const foreign = second.process(handler, { ...one, target: 'elsewhere' })
    const id = await first.enqueue(text('b'))
    await expect(foreign.ended).rejects.toMatchObject({ code: 'BAD_OPTION' })
    jobs[0]?.end()
    await until(() => expect(jobs).toHaveLength(2))
    jobs[1]?.end()
    expect(await first.finished(id)).toMatchObject({ state: 'completed' })
  })

  it('refuses what it cannot carry, and addresses that are none, without telling them', async () => {
    const queue = open({ maxPayloadBytes: 100 })
    await expect(queue.enqueue(text('a', 'x'.repeat(51)))).rejects.toMatchObject({ code: 'LIMIT' })
    await expect(queue.enqueue({ path: 'a.pdf', password: 'x' })).rejects.toMatchObject({ code: 'BAD_INPUT' })
    for (const options of [{ url: 'http://user:word@host' }, { name: 'a:b' }, { lockMs: 10 }, { attempts: 0 }]) {
      const failure = (() => {
        try {
          return open(options)
        } catch (error) {
          return error
        }
      })()
      expect(failure).toMatchObject({ code: 'BAD_OPTION' })
      expect(String(failure)).not.toContain('word')
    }
  })
})

describe.skipIf(server === undefined)('the queue on a Redis that is hurt', () => {
  afterEach(() => {
    names++
  })

  it('tells that the server is away, at once, and works again when it is back; jobs outlive it', async () => {
    const queue = open()
    const { jobs, handler } = byHand()
    queue.process(handler, { ...one, concurrency: 2 })
    const running = await queue.enqueue(text('a'))
    await until(() => expect(jobs).toHaveLength(1))
    // Written to disk once a second.
    await new Promise((resolve) => setTimeout(resolve, 1_100))
    await server?.kill()
    const late = open()
    for (const one of [queue, late]) {
      await expect(one.enqueue(text('b'))).rejects.toMatchObject({ code: 'PROVIDER', retryable: true })
      await expect(one.counts()).rejects.toMatchObject({ code: 'PROVIDER' })
    }
    await server?.restart()
    let next = ''
    await until(async () => {
      next = await queue.enqueue(text('b'))
    })
    await until(() => expect(jobs.map(({ job }) => job.source)).toContain('memory:b'))
    // Whether the lock of the job that ran has outlived the outage or not: it is done in the end.
    const end = setInterval(() => {
      for (const { end } of jobs) end()
    }, 20)
    try {
      expect(await queue.finished(next)).toMatchObject({ state: 'completed' })
      expect(await queue.finished(running)).toMatchObject({ state: 'completed' })
    } finally {
      clearInterval(end)
    }
    expect(await late.counts()).toMatchObject({ waiting: 0, active: 0, completed: 2 })
  })

  it('tells that the server does not answer, and goes on when it does', async () => {
    const queue = open({ timeoutMs: 200 })
    await queue.counts()
    server?.pause()
    try {
      const late = open({ timeoutMs: 200 })
      for (const one of [queue, late])
        await expect(one.enqueue(text('a'))).rejects.toMatchObject({ code: 'PROVIDER', retryable: true })
    } finally {
      server?.resume()
    }
    queue.process(async () => done, one)
    await until(async () => {
      await queue.enqueue(text('a'))
    })
    await queue.idle()
  })

  it('tells that the server is full, and lets its worker go on when there is room', async () => {
    const queue = open()
    const filling = 'x'.repeat(450_000)
    const full = async () => {
      for (let place = 0; place < 60; place++) await queue.enqueue(text(`${place}`, filling + place))
    }
    await expect(full()).rejects.toMatchObject({ code: 'OVERLOADED', retryable: true })
    let runs = 0
    queue.process(async () => {
      runs++
      return done
    }, one)
    await new Promise((resolve) => setTimeout(resolve, 100))
    await command('CONFIG SET maxmemory 256mb')
    await until(async () => expect(await queue.counts()).toMatchObject({ waiting: 0, active: 0 }))
    expect(runs).toBeGreaterThan(5)
    await command('CONFIG SET maxmemory 24mb')
  })

  inSoak('closes while the server is away', async () => {
    const queue = open()
    const { handler } = byHand()
    queue.process(handler, one)
    queue.subscribe(() => {})
    await queue.counts()
    server?.pause()
    try {
      await queue.close()
    } finally {
      server?.resume()
    }
    await expect(queue.counts()).rejects.toMatchObject({ code: 'CLOSED' })
  })
})
