import { connect } from 'node:net'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import type { BullmqQueueOptions } from '../../../src/queue/bullmq/options.js'
import { createBullmqQueue } from '../../../src/queue/bullmq.js'
import type { ActiveJob, JobHandler, JobQueue, JobResult } from '../../../src/queue/types.js'
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

  it('keeps an older content whose successor was announced but never enqueued', async () => {
    const queue = open()
    const id = await queue.enqueue(text('a', '1'))
    // As far as an enqueue() comes that is killed in the middle.
    const [latest] = (await command(`KEYS ufrag:q${names}:x:latest:*`)).match(/ufrag:\S+/) ?? []
    await command(`SET ${latest} "0123456789abcdef0123456789abcdef 99"`)
    queue.process(async () => done, one)
    expect(await queue.finished(id)).toMatchObject({ state: 'completed', result: done })
  })

  it('refuses options that are none, without telling the address', async () => {
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
