import { RagError } from '../core/errors.js'
import type { Logger } from '../core/lifecycle.js'
import { Breaker } from '../util/breaker.js'
import { type Clock, systemClock } from '../util/clock.js'
import { delegateTo } from './delegate.js'
import type { Cache } from './types.js'

/** Options of {@link createSafeCache}. */
export interface SafeCacheOptions {
  /**
   * Milliseconds a read may take before it counts as a miss, from 1. Default 50: a sick cache must not be slower than none. Writes,
   * which nobody waits for, may take ten times as long.
   */
  readonly timeoutMs?: number
  readonly logger?: Logger
  /** Told of every failure, `'error'`, and of every call that was not made because the cache is sick, `'skipped'`. */
  readonly onTrouble?: (kind: 'error' | 'skipped') => void
}

const defaultTimeoutMs = 50
const writeShare = 10
/** Failures in a row after which a cache is left alone for half a second, then longer, up to half a minute. */
const patience = { failures: 3, leastMs: 500, mostMs: 30_000 }
/** Writes under way at most: a server that takes them slower than they come must not fill our memory. */
const maxWrites = 64

/**
 * A cache that costs time at worst: what it throws, or does not answer in time, is a miss, and a write is forgotten. After three
 * failures in a row it is left alone for a while, so that abandoned calls do not pile up; then one call finds out whether it is back.
 * One warning is logged when it falls sick and one when it is well again. `clear()`, `prune()` and `stats()` fail as usual: somebody
 * asked for them.
 */
export function createSafeCache(cache: Cache, options: SafeCacheOptions = {}, clock: Clock = systemClock): Cache {
  const { timeoutMs = defaultTimeoutMs, logger, onTrouble } = options
  const breaker = new Breaker(patience, clock)
  let writes = 0

  async function attempt<Result>(call: () => Promise<Result>, limitMs: number): Promise<Result | undefined> {
    if (!breaker.admit()) {
      onTrouble?.('skipped')
      return undefined
    }
    try {
      const result = await withLimit(call, limitMs)
      if (breaker.isOpen) logger?.info('A cache works again.', { cache: cache.id })
      breaker.succeeded()
      return result
    } catch (error) {
      const wasOpen = breaker.isOpen
      breaker.failed()
      onTrouble?.('error')
      if (breaker.isOpen && !wasOpen) {
        logger?.warn('A cache does not work; everything goes on without it.', { cache: cache.id, error: String(error) })
      }
      return undefined
    }
  }

  async function write(call: () => Promise<void>): Promise<void> {
    if (writes >= maxWrites) {
      onTrouble?.('skipped')
      return
    }
    writes++
    try {
      await attempt(call, timeoutMs * writeShare)
    } finally {
      writes--
    }
  }

  return delegateTo(cache, {
    async get(keys) {
      const hits = await attempt(() => cache.get(keys), timeoutMs)
      return keys.map((_, place) => hits?.[place])
    },
    set: (entries) => write(() => cache.set(entries)),
    delete: (keys) => write(() => cache.delete(keys)),
  })
}

async function withLimit<Result>(call: () => Promise<Result>, limitMs: number): Promise<Result> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<never>((_, reject) => {
    // Made when it is needed: an error with its stack takes longer than a look-up in memory.
    const expire = () =>
      reject(new RagError('TIMEOUT', `The cache did not answer within ${limitMs} ms.`, { retryable: true }))
    timer = setTimeout(expire, limitMs).unref()
  })
  try {
    return await Promise.race([call(), limit])
  } finally {
    clearTimeout(timer)
  }
}
