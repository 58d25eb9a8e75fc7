import assert from 'node:assert/strict'
import { RagError } from '../core/errors.js'
import type { ActiveJob, JobEvent, JobHandler, JobQueue, JobResult, JobState } from '../queue/types.js'
import {
  itWith,
  type NotApplicable,
  type RegisterTest,
  randomNumbers,
  rejectsWith,
  rejectsWithReason,
} from './support.js'

/** Options that every queue has. */
export interface JobQueueSettings {
  readonly maxWaiting?: number
  readonly maxPayloadBytes?: number
  readonly attempts?: number
  readonly retryDelayMs?: number
  readonly keep?: number
}

/** How the suite gets its queues. */
export interface JobQueueHarness {
  /** A queue without jobs, whose relative paths begin in the working directory. The suite closes it. */
  create(settings: JobQueueSettings): Promise<JobQueue>
  /** Another one with the same jobs, as another process would open it. The suite closes it before the first. */
  readonly open: { readonly again: (first: JobQueue, settings: JobQueueSettings) => Promise<JobQueue> } | NotApplicable
  /** Milliseconds that something may take that is waited for. Default 10,000. */
  readonly patienceMs?: number
}

/**
 * What every {@link JobQueue} must do. Call it inside a `describe` with the `it` of your test framework:
 * `jobQueueConformance(it, { create: async (settings) => createMyQueue(settings), open: { skip: 'it is of one process' } })`.
 */
export function jobQueueConformance(it: RegisterTest, harness: JobQueueHarness): void {
  const patienceMs = harness.patienceMs ?? 10_000
  const until = createUntil(patienceMs)
  const { byHand, release } = createHands()
  const withQueue = (name: string, settings: JobQueueSettings, run: (queue: JobQueue) => Promise<void>) =>
    it(name, async () => {
      const queue = await harness.create({ retryDelayMs: 10, ...settings })
      try {
        await run(queue)
      } finally {
        release()
        await queue.close()
      }
    })
  /** Runs a test with two queues that have the same jobs. */
  const withTwo = (name: string, run: (here: JobQueue, there: JobQueue) => Promise<void>) =>
    itWith(it, name, harness.open, async ({ again }) => {
      const settings = { retryDelayMs: 10 }
      const here = await harness.create(settings)
      try {
        const there = await again(here, settings)
        await run(here, there).finally(() => {
          release()
          return there.close()
        })
      } finally {
        await here.close()
      }
    })

  withQueue('tells what it is, and knows nothing at first', {}, async (queue) => {
    assert.ok(queue.id.length > 0)
    assert.equal(typeof queue.capabilities.shared, 'boolean')
    assert.equal(typeof queue.capabilities.persistent, 'boolean')
    assert.deepEqual(await queue.counts(), { waiting: 0, active: 0, completed: 0, failed: 0 })
    assert.equal(await queue.job('nobody'), undefined)
    assert.deepEqual(await queue.failed(), [])
    assert.deepEqual([await queue.cancel('nobody'), await queue.retry('nobody')], [false, false])
    await rejectsWith(queue.finished('nobody'), 'NOT_FOUND')
    await queue.idle()
  })

  withQueue('runs a job and tells what it did', {}, async (queue) => {
    const seen: ActiveJob[] = []
    const input = { id: 'a', data: Uint8Array.of(1, 2, 255), title: 'A', metadata: { data: 'x', list: [1, null] } }
    const id = await queue.enqueue(input, { priority: 'high', namespace: 'n' })
    const waiting = await queue.job(id)
    assert.equal(waiting?.state, 'waiting')
    queue.process(async (job) => {
      seen.push(job)
      job.report({ documentsDone: 1, documentsTotal: 1, failed: 0, chunks: 3 })
      return done
    }, one)
    const { enqueuedAt, startedAt = 0, finishedAt = 0, progress, ...status } = await queue.finished(id)
    assert.deepEqual(status, {
      id,
      state: 'completed',
      source: 'memory:a',
      namespace: 'n',
      priority: 'high',
      attempts: 1,
      result: done,
    })
    assert.ok(enqueuedAt <= startedAt && startedAt <= finishedAt)
    const [job] = seen
    assert.deepEqual(job?.input, input)
    assert.deepEqual([job?.id, job?.source, job?.namespace, job?.attempt], [id, 'memory:a', 'n', 1])
    assert.deepEqual(await queue.counts(), { waiting: 0, active: 0, completed: 1, failed: 0 })
    await until(async () => assert.equal((await queue.job(id))?.progress?.chunks, 3))
  })

  withQueue('tells those who listen what happens, whatever they throw', {}, async (queue) => {
    const events: JobEvent['type'][] = []
    queue.subscribe(async () => {
      throw new Error('of the listener')
    })
    const end = queue.subscribe(({ type }) => events.push(type))
    await heard(queue)
    queue.process(async ({ report }) => {
      report({ documentsDone: 1, documentsTotal: 1, failed: 0, chunks: 3 })
      return done
    }, one)
    await queue.finished(await queue.enqueue(text('a')))
    await until(async () => assert.deepEqual(events, ['waiting', 'active', 'progress', 'completed']))
    end()
    await queue.finished(await queue.enqueue(text('b')))
    assert.equal(events.length, 4)
  })

  withQueue(
    'takes the same content of the same document for one job, and anything else for another',
    {},
    async (queue) => {
      const same = await Promise.all(Array.from({ length: 12 }, () => queue.enqueue(text('x', 'same'))))
      assert.equal(new Set(same).size, 1)
      assert.equal((await queue.counts()).waiting, 1)
      const others = [
        await queue.enqueue({ ...text('x', 'same'), title: 'Another' }),
        await queue.enqueue({ ...text('x', 'same'), metadata: { year: 1 } }),
        await queue.enqueue(text('x', 'same'), { namespace: 'other' }),
        await queue.enqueue(text('y', 'same')),
        await queue.enqueue(text('x', 'other')),
        await queue.enqueue({ text: 'same' }),
      ]
      assert.equal(new Set([...same, ...others]).size, 7)
    },
  )

  withQueue('runs a job again under its id when it is enqueued again after its end', {}, async (queue) => {
    let runs = 0
    queue.process(async () => {
      runs++
      return done
    }, one)
    const id = await queue.enqueue(text('a'))
    await queue.finished(id)
    assert.equal(await queue.enqueue(text('a')), id)
    await queue.idle()
    assert.equal((await queue.job(id))?.state, 'completed')
    assert.equal(runs, 2)
  })

  withQueue(
    'ingests of a document what was enqueued last, and never two of its contents at once',
    {},
    async (queue) => {
      const { jobs, handler } = byHand()
      queue.process(handler, { ...one, concurrency: 3 })
      const first = await queue.enqueue(text('a', '1'))
      await until(async () => assert.equal(jobs.length, 1))
      const second = await queue.enqueue(text('a', '2'))
      const third = await queue.enqueue(text('a', '3'))
      assert.deepEqual((await queue.finished(second)).result?.superseded, true)
      assert.equal(jobs.length, 1)
      jobs[0]?.fail(away())
      assert.deepEqual((await queue.finished(first)).result?.superseded, true)
      await until(async () => assert.equal(jobs.length, 2))
      jobs[1]?.end()
      assert.deepEqual((await queue.finished(third)).result, done)
    },
  )

  withQueue('keeps the content that runs when the newer one is cancelled', {}, async (queue) => {
    const { jobs, handler } = byHand()
    queue.process(handler, one)
    const older = await queue.enqueue(text('a', '1'))
    await until(async () => assert.equal(jobs.length, 1))
    assert.equal(await queue.cancel(await queue.enqueue(text('a', '2'))), true)
    jobs[0]?.fail(away())
    await until(async () => assert.equal(jobs.length, 2))
    jobs[1]?.end()
    const { state, result, attempts } = await queue.finished(older)
    assert.deepEqual({ state, result, attempts }, { state: 'completed', result: done, attempts: 2 })
  })

  withQueue(
    'does not let an older content be tried again when a newer one has ended',
    { attempts: 1 },
    async (queue) => {
      queue.process(async ({ input }) => {
        if ((input as { text: string }).text === 'old') throw new RagError('CORRUPT', 'bad')
        return done
      }, one)
      const old = await queue.enqueue(text('a', 'old'))
      assert.equal((await queue.finished(old)).state, 'failed')
      await queue.finished(await queue.enqueue(text('a', 'new')))
      assert.equal(await queue.retry(old), false)
    },
  )

  withQueue('walks a folder anew when it is enqueued while it is walked, and once however often', {}, async (queue) => {
    const { jobs, handler } = byHand()
    queue.process(handler, { ...one, concurrency: 3 })
    const first = await queue.enqueue('.')
    await until(async () => assert.equal(jobs.length, 1))
    const second = await queue.enqueue('.')
    assert.equal(await queue.enqueue('.'), second)
    assert.notEqual(second, first)
    jobs[0]?.end()
    await until(async () => assert.equal(jobs.length, 2))
    assert.deepEqual(
      jobs.map(({ job }) => job.id),
      [first, second],
    )
    jobs[1]?.end()
    await queue.idle()
  })

  withQueue('begins what is urgent first, and keeps the order among equals', {}, async (queue) => {
    const priorities = { a: 'low', b: 'normal', c: 'high', d: 'normal', e: 'high' } as const
    for (const [name, priority] of Object.entries(priorities)) await queue.enqueue(text(name), { priority })
    const order: string[] = []
    queue.process(async ({ source }) => {
      order.push(source.slice(-1))
      return done
    }, one)
    await queue.idle()
    assert.equal(order.join(''), 'cebda')
  })

  withQueue('runs so many jobs at once as it is told, and no more', {}, async (queue) => {
    const { jobs, handler } = byHand()
    queue.process(handler, { ...one, concurrency: 2 })
    for (const name of 'abcd') await queue.enqueue(text(name))
    await until(async () => assert.equal(jobs.length, 2))
    await pause(50)
    assert.equal(jobs.length, 2)
    assert.deepEqual(await queue.counts(), { waiting: 2, active: 2, completed: 0, failed: 0 })
    for (let ended = 0; ended < 4; ended++) {
      await until(async () => assert.ok(jobs.length > ended))
      jobs[ended]?.end()
    }
    await queue.idle()
  })

  withQueue('cancels what waits, and what runs by its signal', {}, async (queue) => {
    const { jobs, handler } = byHand()
    queue.process(handler, one)
    const running = await queue.enqueue(text('a'))
    const waiting = await queue.enqueue(text('b'))
    await until(async () => assert.equal(jobs.length, 1))
    assert.equal(await queue.cancel(waiting), true)
    assert.ok([undefined, 'cancelled'].includes((await queue.job(waiting))?.state))
    assert.equal(await queue.cancel(running), true)
    assert.equal((await queue.finished(running, { deadlineMs: patienceMs })).state, 'cancelled')
    assert.equal(jobs[0]?.job.signal.aborted, true)
    assert.equal(jobs.length, 1)
    await until(async () => assert.equal(await queue.cancel(running), false))
    // And again from the beginning.
    assert.equal(await queue.enqueue(text('a')), running)
    await until(async () => assert.equal(jobs.length, 2))
    jobs[1]?.end()
    assert.equal((await queue.finished(running)).state, 'completed')
  })

  withQueue('runs a job that is enqueued again while it is being cancelled', {}, async (queue) => {
    let release: (() => void) | undefined
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
    await until(async () => assert.equal(runs, 1))
    await queue.cancel(id)
    await until(async () => assert.ok(release))
    assert.equal(await queue.enqueue(text('a')), id)
    release?.()
    await until(async () => assert.equal((await queue.job(id))?.state, 'completed'))
    assert.equal(runs, 2)
  })

  withQueue(
    'tries again what may pass, fails what will not, and lets failed jobs wait again',
    { attempts: 2 },
    async (queue) => {
      const full = () => new RagError('STORAGE_FULL', 'full', { data: { directory: 'x' } })
      const failures: Record<string, RagError[]> = {
        'memory:a': [away()],
        'memory:b': [full(), full()],
        'memory:c': [new RagError('CORRUPT', 'not a PDF', { hint: 'get another' })],
      }
      const attempts: string[] = []
      queue.process(async ({ attempt, source }) => {
        attempts.push(`${source} ${attempt}`)
        const failure = failures[source]?.shift()
        if (failure !== undefined) throw failure
        return done
      }, one)
      const ids: string[] = []
      for (const name of 'abc') ids.push(await queue.enqueue(text(name)))
      const [a, b, c] = await Promise.all(ids.map((id) => queue.finished(id)))
      assert.deepEqual([a?.state, a?.attempts, a?.error], ['completed', 2, undefined])
      assert.deepEqual([b?.state, b?.attempts, b?.error?.code], ['failed', 2, 'STORAGE_FULL'])
      assert.deepEqual(b?.error?.data, { directory: 'x' })
      assert.deepEqual([c?.state, c?.attempts, c?.error?.code, c?.error?.hint], ['failed', 1, 'CORRUPT', 'get another'])
      assert.deepEqual(attempts.sort(), ['memory:a 1', 'memory:a 2', 'memory:b 1', 'memory:b 2', 'memory:c 1'])
      assert.deepEqual(new Set((await queue.failed()).map(({ id }) => id)), new Set([b?.id, c?.id]))
      assert.equal((await queue.failed({ limit: 1 })).length, 1)
      assert.deepEqual(await queue.failed({ limit: 0 }), [])
      assert.deepEqual(await queue.counts(), { waiting: 0, active: 0, completed: 1, failed: 2 })

      assert.equal(await queue.retry(ids[1] as string), true)
      await queue.idle()
      const again = await queue.job(ids[1] as string)
      assert.deepEqual([again?.state, again?.attempts, again?.error], ['completed', 1, undefined])
      assert.deepEqual([await queue.retry(ids[0] as string), await queue.retry(ids[1] as string)], [false, false])
    },
  )

  withQueue('keeps the words of a foreign error to itself', { attempts: 1 }, async (queue) => {
    queue.process(async () => {
      throw new TypeError('secret sentence of a document')
    }, one)
    const { error } = await queue.finished(await queue.enqueue(text('a')))
    assert.equal(error?.code, 'WORKER')
    assert.ok(!JSON.stringify(error).includes('secret'))
  })

  withQueue('lets enqueue wait for room, or rejects when asked to', { maxWaiting: 2 }, async (queue) => {
    await queue.enqueue(text('a'))
    const b = await queue.enqueue(text('b'))
    await rejectsWith(queue.enqueue(text('c'), { whenFull: 'reject' }), 'OVERLOADED')
    assert.equal(await queue.enqueue(text('b'), { whenFull: 'reject' }), b)
    await rejectsWith(queue.enqueue(text('c'), { deadlineMs: 20 }), 'DEADLINE')
    const reason = new Error('enough')
    await rejectsWithReason(() => queue.enqueue(text('c'), { signal: AbortSignal.abort(reason) }), reason)
    assert.equal((await queue.counts()).waiting, 2)
    const late = [queue.enqueue(text('d')), queue.enqueue(text('d')), queue.enqueue(text('e'))]
    queue.process(async () => done, one)
    const [d, again] = await Promise.all(late)
    assert.equal(again, d)
    await queue.idle()
    assert.deepEqual(await queue.counts(), { waiting: 0, active: 0, completed: 4, failed: 0 })
  })

  withQueue('stops waiting when it is asked to', {}, async (queue) => {
    const id = await queue.enqueue(text('a'))
    await within(rejectsWith(queue.finished(id, { deadlineMs: 20 }), 'DEADLINE'), patienceMs)
    await within(rejectsWith(queue.idle({ deadlineMs: 20 }), 'DEADLINE'), patienceMs)
    const controller = new AbortController()
    const reason = new Error('enough')
    const waits = [queue.finished(id, controller), queue.idle(controller)]
    controller.abort(reason)
    for (const wait of waits)
      await within(
        rejectsWithReason(() => wait, reason),
        patienceMs,
      )
    assert.equal((await queue.job(id))?.state, 'waiting')
  })

  withQueue('gives back what a closed worker has not done, to the next one', {}, async (queue) => {
    const { jobs, handler } = byHand()
    const first = queue.process(handler, one)
    const id = await queue.enqueue(text('a'))
    await until(async () => assert.equal(jobs.length, 1))
    await Promise.all([first.close(0), first.close(0)])
    await within(first.ended, patienceMs)
    const given = await queue.job(id)
    assert.deepEqual([given?.state, given?.attempts], ['waiting', 0])
    queue.process(async ({ attempt }) => ({ ...done, chunks: attempt }), one)
    assert.equal((await queue.finished(id)).result?.chunks, 1)
  })

  withQueue('lets a closed worker finish what it runs, in its time', {}, async (queue) => {
    const { jobs, handler } = byHand()
    const processor = queue.process(handler, one)
    const id = await queue.enqueue(text('a'))
    await until(async () => assert.equal(jobs.length, 1))
    const next = await queue.enqueue(text('b'))
    const closing = processor.close(10_000)
    await pause(20)
    jobs[0]?.end()
    await closing
    assert.equal((await queue.job(id))?.state, 'completed')
    assert.equal((await queue.job(next))?.state, 'waiting')
    assert.equal(jobs.length, 1)
  })

  withQueue('lets in only workers that write to the same storage', {}, async (queue) => {
    const { jobs, handler } = byHand()
    queue.process(handler, one)
    await queue.enqueue(text('a'))
    await until(async () => assert.equal(jobs.length, 1))
    const foreign = async () => queue.process(handler, { ...one, target: 'elsewhere' }).ended
    // A queue that others share finds out with the first job.
    const refused = rejectsWith(foreign(), 'BAD_OPTION')
    const id = await queue.enqueue(text('b'))
    await within(refused, patienceMs)
    jobs[0]?.end()
    await until(async () => assert.equal(jobs.length, 2))
    jobs[1]?.end()
    assert.equal((await queue.finished(id)).state, 'completed')
  })

  withQueue(
    'refuses credentials, what is no document, what it cannot carry, and options that are none',
    { maxPayloadBytes: 100 },
    async (queue) => {
      const bad: readonly (readonly [unknown, 'BAD_INPUT' | 'NOT_FOUND' | 'LIMIT'])[] = [
        [{ path: 'a.pdf', password: 'x' }, 'BAD_INPUT'],
        ['https://user:word@example.com/a.pdf', 'BAD_INPUT'],
        [{}, 'BAD_INPUT'],
        [null, 'BAD_INPUT'],
        [7, 'BAD_INPUT'],
        ['there is no such file.txt', 'NOT_FOUND'],
        [text('a', 'x'.repeat(51)), 'LIMIT'],
        [new Uint8Array(101), 'LIMIT'],
      ]
      for (const [input, code] of bad) await rejectsWith(queue.enqueue(input as string), code)
      for (const options of [{ namespace: 'a b' }, { priority: 'urgent' }, { whenFull: 'drop' }])
        await rejectsWith(queue.enqueue(text('a'), options as never), 'BAD_OPTION')
      assert.throws(() => queue.process(async () => done, { ...one, concurrency: 0 }), { code: 'BAD_OPTION' })
      assert.equal((await queue.counts()).waiting, 0)
      const versions = ['1', '2'].map((contentHash) => queue.enqueue('there is no such file.txt', { contentHash }))
      assert.equal(new Set(await Promise.all(versions)).size, 2)
    },
  )

  withQueue('forgets what is over beyond what it keeps', { keep: 2 }, async (queue) => {
    queue.process(async () => done, one)
    const ids: string[] = []
    for (const name of 'abcd') {
      ids.push(await queue.enqueue(text(name)))
      await queue.idle()
    }
    const states = await Promise.all(ids.map(async (id) => (await queue.job(id))?.state))
    assert.deepEqual(states, [undefined, undefined, 'completed', 'completed'])
    await rejectsWith(queue.finished(ids[0] as string), 'NOT_FOUND')
  })

  it('refuses every call once it is closed, ends what waits, and closes twice', async () => {
    const queue = await harness.create({})
    const { jobs, handler } = byHand()
    const processor = queue.process(handler, one)
    const id = await queue.enqueue(text('a'))
    await until(async () => assert.equal(jobs.length, 1))
    jobs[0]?.end()
    await queue.finished(id)
    await Promise.all([queue.close(), queue.close()])
    await within(processor.ended, patienceMs)
    await rejectsWith(queue.enqueue(text('b')), 'CLOSED')
    assert.throws(() => queue.process(handler, one), { code: 'CLOSED' })
    assert.deepEqual(await queue.close(), [])
  })

  withQueue(
    'ends every job and stores what was enqueued last, in any history',
    { attempts: 50, maxWaiting: 6 },
    async (queue) => {
      for (const seed of [1, 2, 3]) await tellHistory(queue, seed, until)
    },
  )

  withQueue('stores what was enqueued last, however soon the one before begins', {}, async (queue) => {
    const stored = new Map<string, string>()
    const store: JobHandler = async ({ input }) => {
      const { id, text } = input as { id: string; text: string }
      stored.set(id, text)
      return done
    }
    queue.process(store, { ...one, concurrency: 4 })
    const documents = Array.from({ length: 60 }, (_, place) => String(place))
    for (const document of documents) {
      // The second is announced while the first is taken.
      await queue.enqueue(text(document, 'older'))
      await queue.enqueue(text(document, 'newer'))
    }
    await queue.idle()
    assert.deepEqual(
      documents.filter((document) => stored.get(document) !== 'newer'),
      [],
    )
  })

  withTwo('runs what another process has enqueued, and tells both', async (here, there) => {
    const events: JobEvent['type'][] = []
    here.subscribe(({ type }) => events.push(type))
    await heard(here)
    there.process(async () => done, one)
    const id = await here.enqueue(text('a'))
    assert.equal((await here.finished(id)).state, 'completed')
    assert.equal((await there.job(id))?.state, 'completed')
    await until(async () => assert.deepEqual(events, ['waiting', 'active', 'completed']))
  })

  withTwo(
    'takes the same content for one job, whoever enqueues it, and cancels what another process runs',
    async (here, there) => {
      const ids = await Promise.all(Array.from({ length: 8 }, (_, i) => (i % 2 ? here : there).enqueue(text('x'))))
      assert.equal(new Set(ids).size, 1)
      const { jobs, handler } = byHand()
      there.process(handler, one)
      await until(async () => assert.equal(jobs.length, 1))
      assert.equal(await here.cancel(ids[0] as string), true)
      assert.equal((await here.finished(ids[0] as string)).state, 'cancelled')
      assert.equal(jobs[0]?.job.signal.aborted, true)
    },
  )

  withTwo('keeps its jobs when it is closed', async (here, there) => {
    const id = await there.enqueue(text('a'))
    assert.deepEqual(await there.close(), [])
    here.process(async () => done, one)
    assert.equal((await here.finished(id)).state, 'completed')
  })
}

const done: JobResult = { documents: 1, unchanged: 0, chunks: 3 }
const one = { concurrency: 1, target: 'here' }

function text(id: string, content = id): { readonly id: string; readonly text: string } {
  return { id, text: content }
}

function away(): RagError {
  return new RagError('PROVIDER', 'away', { retryable: true })
}

/** Handlers whose jobs end when the test says so, or when they are stopped. */
function createHands() {
  const held: (() => void)[] = []
  return {
    byHand() {
      const jobs: { readonly job: ActiveJob; end(): void; fail(error: unknown): void }[] = []
      const handler: JobHandler = (job) =>
        new Promise((resolve, reject) => {
          const end = () => resolve(done)
          jobs.push({ job, end, fail: reject })
          held.push(end)
          job.signal.addEventListener('abort', () => reject(job.signal.reason), { once: true })
        })
      return { jobs, handler }
    },
    /** A test that has failed leaves jobs behind, and a queue that closes waits for what runs. */
    release() {
      for (const end of held.splice(0)) end()
    },
  }
}

type Until = (check: () => Promise<void>) => Promise<void>

/** Waits until an assertion holds. */
function createUntil(patienceMs: number): Until {
  return async (check) => {
    const lookMs = 10
    for (let waitedMs = 0; ; waitedMs += lookMs) {
      try {
        return await check()
      } catch (error) {
        if (waitedMs >= patienceMs) throw error
      }
      await pause(lookMs)
    }
  }
}

/** Fails when something takes longer. */
async function within(work: Promise<unknown>, patienceMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('It takes too long.')), patienceMs)
  })
  await Promise.race([work, late]).finally(() => clearTimeout(timer))
}

/** Events of another process are heard from the moment on at which the listener is connected. */
async function heard(queue: JobQueue): Promise<void> {
  if (!queue.capabilities.shared) return
  await queue.counts()
  await pause(50)
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

/**
 * Enqueues, cancels and closes workers at random, while attempts end, fail and take their time at random; then lets everything end, and
 * compares what was stored with what the history alone tells.
 */
async function tellHistory(queue: JobQueue, seed: number, until: Until): Promise<void> {
  const random = randomNumbers(seed)
  const pick = <Value>(values: readonly Value[]): Value => values[Math.floor(random() * values.length)] as Value
  const last = new Map<string, { readonly content: string; readonly id: string }>()
  const cancelled = new Set<string>()
  const accepted = new Set<string>()
  const stored = new Map<string, string>()
  const running = new Set<string>()
  const overlaps: string[] = []
  let isCalm = false
  const handler: JobHandler = async ({ input, signal }) => {
    const { id, text } = input as { id: string; text: string }
    if (running.has(id)) overlaps.push(id)
    running.add(id)
    try {
      await pause(random() * 4)
      signal.throwIfAborted()
      if (!isCalm && random() < 0.3) throw away()
      stored.set(id, text)
      return done
    } finally {
      running.delete(id)
    }
  }
  const begin = () => queue.process(handler, { concurrency: 1 + Math.floor(random() * 3), target: 'here' })
  let processor = begin()
  for (let step = 0; step < 30; step++) {
    const dice = random()
    if (dice < 0.7) {
      const [document, content] = [`${seed} ${pick(['a', 'b', 'c', 'd'])}`, pick(['1', '2', '3'])]
      const id = await queue.enqueue(text(document, content), { priority: pick(['high', 'normal', 'low']) })
      last.set(document, { content, id })
      accepted.add(id)
      cancelled.delete(id)
    } else if (dice < 0.85 && accepted.size > 0) {
      const id = pick([...accepted])
      if (await queue.cancel(id)) cancelled.add(id)
    } else if (dice < 0.9) {
      await processor.close(random() < 0.5 ? 0 : 1_000)
      processor = begin()
    } else await pause(random() * 10)
  }
  isCalm = true
  await until(async () => {
    const { waiting, active } = await queue.counts()
    assert.deepEqual({ waiting, active }, { waiting: 0, active: 0 })
  })
  await processor.close(1_000)
  assert.deepEqual(overlaps, [])
  const over: readonly (JobState | undefined)[] = ['completed', 'cancelled', undefined]
  for (const id of accepted) assert.ok(over.includes((await queue.job(id))?.state), `${seed} ${id}`)
  for (const [document, { content, id }] of last) {
    if (!cancelled.has(id)) assert.equal(stored.get(document), content, `document ${document}`)
  }
}
