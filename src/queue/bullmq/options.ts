import { resolve } from 'node:path'
import { RagError } from '../../core/errors.js'
import type { Logger } from '../../core/lifecycle.js'
import { checkWhole } from '../check-whole.js'
import { checkAddress, type RedisAddress } from './connection.js'

/** Options of {@link createBullmqQueue}. */
export interface BullmqQueueOptions extends RedisAddress {
  /** Of this queue among those of the server; no `:`. All who work on it give the same. Default `'ingest'`. */
  readonly name?: string
  /** Before every key, so that others may use the same server. Default `'ufrag'`. */
  readonly prefix?: string
  /** Folder that relative paths are relative to: that of the workers' `UltraFastRAG`. Default: the working directory. */
  readonly root?: string
  /** Jobs that may wait, from 1. Default 100,000. Beyond, `enqueue()` waits or rejects; several at once may go a little further. */
  readonly maxWaiting?: number
  /** Bytes of one job's text or data; larger ones are `LIMIT`. Default 1 MiB. Files travel as paths, whatever their size. */
  readonly maxPayloadBytes?: number
  /** Attempts at a job whose failure may pass, the first included; 1 never tries again. Default 3. */
  readonly attempts?: number
  /** Milliseconds before the second attempt at most; doubled with each further one, up to ten minutes. Default 1,000. */
  readonly retryDelayMs?: number
  /** Completed jobs, and failed ones, that are remembered. Default 1,000 of each. */
  readonly keep?: number
  /** Milliseconds a call waits for the server before it rejects with `PROVIDER`. Default 5,000. Workers wait as long as it takes. */
  readonly timeoutMs?: number
  /**
   * Milliseconds without a sign of life after which a worker counts as dead and its jobs are taken from it, from 1,000. Default 30,000. A
   * main thread that is blocked for longer loses its jobs, too.
   */
  readonly lockMs?: number
  /** Milliseconds between two looks for jobs of dead workers, from 100. Default: `lockMs`. */
  readonly stalledIntervalMs?: number
  /** Workers a job may outlive; it fails with the next that dies on it. Default 3. */
  readonly maxStalls?: number
  readonly logger?: Logger
}

/** Options with their defaults. */
export type BullmqSettings = Required<Omit<BullmqQueueOptions, 'client' | 'logger'>>

/** Throws `BAD_OPTION`. */
export function checkOptions(options: BullmqQueueOptions): BullmqSettings {
  const { url, name = 'ingest', prefix = 'ufrag', root = '.', lockMs = 30_000 } = options
  const { maxWaiting = 100_000, maxPayloadBytes = 1 << 20, attempts = 3, retryDelayMs = 1_000 } = options
  const { keep = 1_000, timeoutMs = 5_000, stalledIntervalMs = lockMs, maxStalls = 3 } = options
  checkAddress(url)
  for (const [option, value] of Object.entries({ name, prefix })) {
    if (typeof value === 'string' && /^[^:\s]{1,128}$/.test(value)) continue
    throw new RagError('BAD_OPTION', `The ${option} of a queue is 1 to 128 characters, without ":" and white space.`, {
      data: { option },
    })
  }
  checkWhole({ maxWaiting, maxPayloadBytes, attempts, keep, timeoutMs }, 1)
  checkWhole({ retryDelayMs, maxStalls }, 0)
  checkWhole({ lockMs }, 1_000)
  checkWhole({ stalledIntervalMs }, 100)
  const limits = {
    maxWaiting,
    maxPayloadBytes,
    attempts,
    retryDelayMs,
    keep,
    timeoutMs,
    lockMs,
    stalledIntervalMs,
    maxStalls,
  }
  return { url, name, prefix, root: resolve(root), ...limits }
}
