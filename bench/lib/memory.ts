import { readFileSync } from 'node:fs'
import { Worker } from 'node:worker_threads'

/**
 * Anonymous resident memory of a process in bytes (`RssAnon`): heap, native allocations and worker threads, without the mapped files
 * that the kernel can drop at any time. `undefined` where `/proc` does not exist or the process has ended.
 */
export function anonymousBytes(processId: number | 'self' = 'self'): number | undefined {
  return residentBytes(processId)?.anonymous
}

/** What a process holds in memory, bytes. */
export interface ResidentBytes {
  readonly anonymous: number
  /** Pages of mapped files that it has touched, and that the kernel has not dropped since. */
  readonly mapped: number
}

function residentBytes(processId: number | 'self' = 'self'): ResidentBytes | undefined {
  let status: string
  try {
    status = readFileSync(`/proc/${processId}/status`, 'utf8')
  } catch {
    // No /proc on this system, or the process is gone: there is nothing to read, and the caller is told by `undefined`.
    return undefined
  }
  const read = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024
  const [anonymous, mapped] = [read('RssAnon'), read('RssFile')] as const
  return Number.isNaN(anonymous) ? undefined : { anonymous, mapped }
}

/** The anonymous memory of this process once it has come to rest: what was compiled and read at the start is given back late, and threads without work
 * end after two seconds. `NaN` without `/proc`. */
export async function settledAnonymousBytes(): Promise<number> {
  return (await settledBytes()).anonymous
}

/** {@link settledAnonymousBytes}, with the mapped files of that moment. */
export async function settledBytes(): Promise<ResidentBytes> {
  let least: ResidentBytes | undefined
  for (let look = 0; look < 35; look++) {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 100))
    const now = residentBytes()
    if (now !== undefined && !(now.anonymous >= (least?.anonymous ?? Number.POSITIVE_INFINITY))) least = now
  }
  return least ?? { anonymous: Number.NaN, mapped: Number.NaN }
}

/** Highest resident memory of this process since it began, bytes (`VmHWM`): mapped files included. `NaN` without `/proc`. */
export function peakResidentBytes(): number {
  try {
    const match = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))
    return match === null ? Number.NaN : Number(match[1]) * 1024
  } catch {
    // No /proc on this system.
    return Number.NaN
  }
}

export interface MemoryReading<Result> {
  readonly result: Result
  /** Bytes before, at the highest sample while it ran, and after a garbage collection (when `--expose-gc` is given). `NaN` off Linux. */
  readonly beforeBytes: number
  readonly peakBytes: number
  readonly afterBytes: number
}

/** Runs something and samples this process's anonymous memory every 5 ms from a thread of its own, so that a blocked loop hides no peak. */
export async function measureMemory<Result>(run: () => Promise<Result> | Result): Promise<MemoryReading<Result>> {
  const peak = new BigInt64Array(new SharedArrayBuffer(8))
  const sampler = new Worker(samplerSource, { eval: true, workerData: peak })
  await new Promise((resolve, reject) => sampler.once('message', resolve).once('error', reject))
  globalThis.gc?.()
  const beforeBytes = anonymousBytes() ?? Number.NaN
  Atomics.store(peak, 0, 0n)
  try {
    const result = await run()
    const atEnd = anonymousBytes() ?? Number.NaN
    const peakBytes = Math.max(Number(Atomics.load(peak, 0)), atEnd, beforeBytes)
    globalThis.gc?.()
    return { result, beforeBytes, peakBytes, afterBytes: anonymousBytes() ?? Number.NaN }
  } finally {
    await sampler.terminate()
  }
}

/** Plain JavaScript because a worker started from source text is not compiled by tsx. */
const samplerSource = `
const { readFileSync } = require('node:fs')
const { parentPort, workerData: peak } = require('node:worker_threads')
const sample = () => {
  try {
    const kilobytes = /RssAnon:\\s+(\\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))
    if (kilobytes === null) return
    const bytes = BigInt(kilobytes[1]) * 1024n
    if (bytes > Atomics.load(peak, 0)) Atomics.store(peak, 0, bytes)
  } catch {
    // Not Linux: the peak stays zero and the reading is NaN.
  }
}
sample()
setInterval(sample, 5)
parentPort.postMessage('ready')
`
