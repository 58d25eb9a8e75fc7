import { execFileSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { getPriority, tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { RagError } from '../../../src/core/errors.js'
import { WorkerPool, type WorkerPoolOptions } from '../../../src/util/worker-pool.js'
import { inSoak } from '../../lib/soak.js'

let worker: URL
const pools: WorkerPool[] = []

beforeAll(() => {
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-pool-'))
  const source = 'test/fixtures/workers/echo.worker.ts'
  execFileSync('npx', [
    'tsup',
    source,
    '--no-config',
    '--format',
    'esm',
    '--target',
    'node20',
    '--out-dir',
    folder,
    '--silent',
  ])
  worker = pathToFileURL(join(folder, 'echo.worker.js'))
}, 60_000)

afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.close()))
})

function createPool(options: Partial<WorkerPoolOptions> = {}): WorkerPool {
  const pool = new WorkerPool({ worker, size: 2, ...options })
  pools.push(pool)
  return pool
}

const task = (type: string, payload: unknown = undefined) => ({ type, payload })

describe('running tasks', () => {
  it('starts no thread before there is work', () => {
    expect(createPool().threads).toBe(0)
  })

  it('returns what the handler returns, for every task, in the caller’s order', async () => {
    const pool = createPool()
    const results = await Promise.all(Array.from({ length: 100 }, (_, i) => pool.run(task('echo', { i }))))
    expect(results).toEqual(Array.from({ length: 100 }, (_, i) => ({ i })))
    expect(pool.threads).toBe(2)
  })

  it('moves buffers instead of copying them', async () => {
    const pool = createPool()
    const bytes = new Uint8Array([1, 2, 3])
    const echoed = await pool.run<Uint8Array>({ type: 'echo', payload: bytes, transfer: [bytes.buffer] })
    expect([...echoed]).toEqual([1, 2, 3])
    expect(bytes.byteLength).toBe(0)
    expect((await pool.run<Uint8Array>(task('fill', 1 << 20))).length).toBe(1 << 20)
  })

  it('rejects with the handler’s error and keeps the thread', async () => {
    const pool = createPool({ size: 1 })
    await expect(pool.run(task('fail', 'broken'))).rejects.toMatchObject({ name: 'TypeError', message: 'broken' })
    await expect(pool.run(task('nonsense'))).rejects.toSatisfy((error) => RagError.isInstance(error, 'WORKER'))
    expect(await pool.run(task('served'))).toBe(1)
    expect(pool.replaced).toEqual({ crashed: 0, timedOut: 0, aborted: 0, recycled: 0 })
  })

  it('fails a payload that cannot be cloned, and goes on', async () => {
    const pool = createPool({ size: 1 })
    await expect(pool.run(task('echo', () => 1))).rejects.toThrow(/could not be cloned/)
    expect(await pool.run(task('echo', 1))).toBe(1)
  })
})

describe('streams', () => {
  it('yields every emitted value in order and returns the result', async () => {
    const stream = createPool().stream<number, number>(task('count', { to: 500, bytes: 100 }), { creditBytes: 300 })
    const values: number[] = []
    let next = await stream.next()
    for (; next.done !== true; next = await stream.next()) values.push(next.value)
    expect(values).toEqual(Array.from({ length: 500 }, (_, i) => i))
    expect(next.value).toBe(500)
  })

  it('holds the worker back while the reader is slow', async () => {
    const stream = createPool().stream<unknown>(task('progress'), { creditBytes: 4096 })
    const emitted = (await stream.next()).value as Int32Array
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(Atomics.load(emitted, 0)).toBeLessThanOrEqual(5)
    await stream.return(undefined)
  })

  inSoak('does not take a worker that waits for its reader for a hanging one', async () => {
    const pool = createPool({ size: 1 })
    await pool.run(task('echo'))
    const options = { creditBytes: 100, timeoutMs: 1000 }
    const stream = pool.stream<number, number>(task('count', { to: 3, bytes: 100 }), options)
    expect((await stream.next()).value).toBe(0)
    await new Promise((resolve) => setTimeout(resolve, 2500))
    expect((await stream.next()).value).toBe(1)
    expect(pool.replaced.timedOut).toBe(0)
    await stream.return(0)
  })

  it('throws the error after the values before it', async () => {
    const values: number[] = []
    const read = async () => {
      for await (const value of createPool().stream<number>(task('count', { to: 9, bytes: 1, failAt: 3 })))
        values.push(value)
    }
    await expect(read()).rejects.toMatchObject({ name: 'RangeError' })
    expect(values).toEqual([0, 1, 2])
  })

  it('stops the task when the reader stops, and the thread serves on', async () => {
    const pool = createPool({ size: 1 })
    for await (const value of pool.stream<number>(task('count', { to: 1e9, bytes: 1000 }))) if (value === 3) break
    expect(await pool.run(task('echo', 'alive'))).toBe('alive')
    expect(pool.threads).toBe(1)
  })
})

describe('cancellation and limits', () => {
  it('rejects at once with the signal’s reason, running or waiting', async () => {
    const pool = createPool({ size: 1 })
    const running = new AbortController()
    const waiting = new AbortController()
    const first = pool.run(task('sleep', 60_000), { signal: running.signal })
    const second = pool.run(task('echo', 2), { signal: waiting.signal })
    waiting.abort(new Error('not needed'))
    await expect(second).rejects.toThrow('not needed')
    running.abort(new Error('enough'))
    await expect(first).rejects.toThrow('enough')
    expect(await pool.run(task('echo', 3))).toBe(3)
    await expect(pool.run(task('echo'), { signal: AbortSignal.abort(new Error('before')) })).rejects.toThrow('before')
  })

  it('ends a thread that ignores an abort', async () => {
    const pool = createPool({ size: 1 })
    const controller = new AbortController()
    const begun = new Int32Array(new SharedArrayBuffer(4))
    const spinning = pool.run(task('spin', begun), { signal: controller.signal })
    await expect.poll(() => Atomics.load(begun, 0), { interval: 1 }).toBe(1)
    controller.abort(new Error('stop'))
    await expect(spinning).rejects.toThrow('stop')
    expect(await pool.run(task('echo', 1))).toBe(1)
    expect(pool.replaced.aborted).toBe(1)
  })

  it('ends a hanging thread after its time limit; the others go on', async () => {
    const pool = createPool()
    const hanging = pool.run(task('spin'), { timeoutMs: 100 })
    const others = Promise.all(Array.from({ length: 10 }, (_, i) => pool.run(task('echo', i))))
    await expect(hanging).rejects.toSatisfy((error) => RagError.isInstance(error, 'TIMEOUT'))
    expect(await others).toHaveLength(10)
    expect(pool.replaced.timedOut).toBe(1)
  })
})

describe('threads that die', () => {
  it('fails only its own task when a thread exits', async () => {
    const pool = createPool()
    const dying = pool.run(task('exit'))
    const others = Promise.all(Array.from({ length: 10 }, (_, i) => pool.run(task('echo', i))))
    await expect(dying).rejects.toMatchObject({ code: 'WORKER', retryable: true })
    expect(await others).toHaveLength(10)
    expect(pool.replaced.crashed).toBe(1)
  })

  it('fails with LIMIT when a thread runs out of memory; the process lives', async () => {
    const pool = createPool({ size: 1, resourceLimits: { maxOldGenerationSizeMb: 32 } })
    await expect(pool.run(task('outOfMemory'))).rejects.toMatchObject({ code: 'LIMIT' })
    expect(await pool.run(task('echo', 'alive'))).toBe('alive')
  })

  it('replaces a thread that holds too much memory', async () => {
    const pool = createPool({ size: 1, maxHeldBytes: 1000 })
    expect(await pool.run(task('hold', 999))).toBe(1)
    expect(await pool.run(task('hold', 1001))).toBe(2)
    expect(await pool.run(task('hold', 0))).toBe(1)
    expect(pool.replaced.recycled).toBe(1)
  })

  it('ends idle threads', async () => {
    const pool = createPool({ idleMs: 20 })
    await pool.run(task('echo'))
    await expect.poll(() => pool.threads).toBe(0)
    expect(await pool.run(task('echo', 1))).toBe(1)
  })

  it('ends a thread sooner or later by what it has worked', async () => {
    const told: number[] = []
    const pool = createPool({
      size: 1,
      idleMs: (workedMs) => {
        told.push(workedMs)
        return told.length < 3 ? 60_000 : 1
      },
    })
    for (const ms of [0, 200]) await pool.run(task('block', ms))
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    expect(pool.threads).toBe(1)
    await pool.run(task('block', 200))
    await expect.poll(() => pool.threads).toBe(0)
    const [first = 0, second = 0, third = 0] = told
    expect(second - first).toBeGreaterThan(150)
    expect(third - second).toBeGreaterThan(150)
    expect(third - second, 'not the time between tasks').toBeLessThan(1_000)
  })
})

describe('two tasks per thread', () => {
  it('hands a thread its next task while it serves the first, in order', async () => {
    const pool = createPool({ size: 1, depth: 2 })
    const tasks = [50, 0, 0].map((ms) => pool.run(task('block', ms)))
    expect(pool.queued).toBe(1)
    expect(await Promise.all(tasks)).toEqual([1, 2, 3])
  })

  it('gives work to idle and new threads first', async () => {
    const pool = createPool({ size: 2, depth: 2 })
    const tasks = [pool.run(task('sleep', 50)), pool.run(task('sleep', 50))]
    expect(pool.threads).toBe(2)
    tasks.push(...[1, 2, 3].map(() => pool.run(task('sleep', 1))))
    expect(pool.queued).toBe(1)
    await Promise.all(tasks)
  })

  it('never begins a task that was aborted while the thread served another', async () => {
    const pool = createPool({ size: 1, depth: 2 })
    const controller = new AbortController()
    const first = pool.run(task('block', 100))
    const second = pool.run(task('block', 0), { signal: controller.signal })
    controller.abort(new Error('not needed'))
    await expect(second).rejects.toThrow('not needed')
    expect(await first).toBe(1)
    expect(await pool.run(task('served'))).toBe(2)
  })

  it('lets the second go on when the first is aborted', async () => {
    const pool = createPool({ size: 1, depth: 2 })
    const controller = new AbortController()
    const first = pool.run(task('sleep', 60_000), { signal: controller.signal })
    const second = pool.run(task('echo', 2))
    controller.abort(new Error('enough'))
    await expect(first).rejects.toThrow('enough')
    expect(await second).toBe(2)
    expect(pool.replaced.aborted).toBe(0)
  })

  it('fails both with WORKER, to be tried again, when their thread dies', async () => {
    const pool = createPool({ size: 1, depth: 2 })
    const results = await Promise.allSettled([pool.run(task('exit')), pool.run(task('echo', 1))])
    for (const result of results) expect(result).toMatchObject({ reason: { code: 'WORKER', retryable: true } })
    expect(pool.replaced.crashed).toBe(1)
    expect(await pool.run(task('echo', 'alive'))).toBe('alive')
  })

  it('fails only the first with TIMEOUT when their thread hangs', async () => {
    const pool = createPool({ size: 1, depth: 2 })
    const hanging = pool.run(task('spin'), { timeoutMs: 100 })
    const waiting = pool.run(task('echo'), { timeoutMs: 100 })
    const results = await Promise.allSettled([hanging, waiting])
    expect(results).toMatchObject([{ reason: { code: 'TIMEOUT' } }, { reason: { code: 'WORKER', retryable: true } }])
  })

  inSoak('measures the time limit of a task from when it is served', async () => {
    const pool = createPool({ size: 1, depth: 2 })
    await pool.run(task('echo'))
    const first = pool.run(task('block', 1500))
    const second = pool.run(task('echo', 2), { timeoutMs: 1000 })
    expect(await Promise.all([first, second])).toEqual([1, 2])
  })

  it('replaces a thread that holds too much only after its last task', async () => {
    const pool = createPool({ size: 1, depth: 2, maxHeldBytes: 1000 })
    const results = [pool.run(task('hold', 1001)), pool.run(task('served')), pool.run(task('served'))]
    expect(await Promise.all(results)).toEqual([1, 2, 1])
    expect(pool.replaced).toMatchObject({ recycled: 1, crashed: 0 })
  })

  it('fails all with CLOSED when the pool is closed', async () => {
    const pool = createPool({ size: 1, depth: 2 })
    const settled = Promise.allSettled([1, 2, 3].map(() => pool.run(task('sleep', 60_000))))
    await pool.close()
    for (const result of await settled) expect(result).toMatchObject({ reason: { code: 'CLOSED' } })
  })
})

describe('aborted tasks of threads that are dear', () => {
  it('are awaited and dropped, however long they take', async () => {
    const pool = createPool({ size: 1, abortGraceMs: Number.POSITIVE_INFINITY })
    const controller = new AbortController()
    const running = pool.run(task('block', 900), { signal: controller.signal })
    controller.abort(new Error('enough'))
    await expect(running).rejects.toThrow('enough')
    expect(await pool.run(task('served'))).toBeGreaterThan(0)
    expect(pool.replaced.aborted).toBe(0)
  })
})

describe('critical sections', () => {
  const begin = async (
    pool: WorkerPool,
    { ms = 700, type = 'critical', signal = undefined as AbortSignal | undefined },
  ) => {
    const state = new Int32Array(new SharedArrayBuffer(4))
    const result = pool.run(task(type, { state, ms }), { signal })
    const settled = Promise.allSettled([result])
    await expect.poll(() => Atomics.load(state, 0), { interval: 1 }).toBe(1)
    return { state, settled }
  }

  it.each(['critical', 'criticalLater'])('are not cut short by closing the pool (%s)', async (type) => {
    const pool = createPool({ size: 1 })
    const { state, settled } = await begin(pool, { type })
    await pool.close()
    expect(state[0]).toBe(2)
    expect(await settled).toMatchObject([{ reason: { code: 'CLOSED' } }])
    expect(pool.threads).toBe(0)
  })

  it('do not begin once the thread is about to end', async () => {
    const pool = createPool({ size: 1, depth: 2 })
    const { settled } = await begin(pool, { ms: 300 })
    const state = new Int32Array(new SharedArrayBuffer(4))
    const second = Promise.allSettled([pool.run(task('critical', { state, ms: 1 }))])
    await pool.close()
    expect(await Promise.all([settled, second])).toMatchObject([[{ status: 'rejected' }], [{ status: 'rejected' }]])
    expect(state[0]).toBe(0)
  })

  it('are waited for by an abort, and the thread serves on', async () => {
    const pool = createPool({ size: 1 })
    const controller = new AbortController()
    const { state, settled } = await begin(pool, { signal: controller.signal })
    controller.abort(new Error('enough'))
    expect(await settled).toMatchObject([{ reason: { message: 'enough' } }])
    expect(await pool.run(task('echo', 1))).toBe(1)
    expect(state[0]).toBe(2)
    expect(pool.replaced.aborted).toBe(0)
  })

  inSoak('outlive a time limit, which their caller sees at once', async () => {
    const pool = createPool({ size: 1 })
    const state = new Int32Array(new SharedArrayBuffer(4))
    const hanging = pool.run(task('critical', { state, ms: 1500 }), { timeoutMs: 700 })
    await expect(hanging).rejects.toMatchObject({ code: 'TIMEOUT' })
    expect(state[0]).toBe(1)
    expect(await pool.run(task('echo', 'another thread'))).toBe('another thread')
    await expect.poll(() => Atomics.load(state, 0), { timeout: 5000 }).toBe(2)
  })
})

describe('priority', () => {
  it.skipIf(process.platform !== 'linux')('is low unless it is asked for, and that of the process stays', async () => {
    const own = getPriority()
    expect(await createPool().run(task('priority'))).toBe(10)
    expect(await createPool({ priority: 'normal' }).run(task('priority'))).toBe(own)
    expect(getPriority()).toBe(own)
  })
})

describe('closing', () => {
  it('fails what runs and what waits with CLOSED, and is safe twice', async () => {
    const pool = createPool({ size: 1 })
    const tasks = [pool.run(task('sleep', 60_000)), pool.run(task('echo'))]
    const settled = Promise.allSettled(tasks)
    await Promise.all([pool.close(), pool.close()])
    for (const result of await settled) expect(result).toMatchObject({ status: 'rejected', reason: { code: 'CLOSED' } })
    await expect(pool.run(task('echo'))).rejects.toMatchObject({ code: 'CLOSED' })
  })
})
