import type { QueryOptions, QueryResult } from './answer.js'
import type { RagError } from './errors.js'

/** A question of a batch that could not be answered. */
export interface FailedQuery {
  readonly outcome: 'failed'
  readonly error: RagError
}

/** What became of a question of a batch: look at `outcome` first. */
export type BatchResult = QueryResult | FailedQuery

/** Options of `queryBatch()`. */
export interface BatchOptions extends QueryOptions {
  /** Questions answered at a time, 1 to 64. Default 8; fewer while other callers need the places of `maxConcurrentQueries`. */
  readonly concurrency?: number
  /**
   * `'report'` (default): a question that fails is an entry with `outcome: 'failed'` and stops no other. `'throw'`: the first failure rejects
   * and stops the rest. What no question could be answered with (`CLOSED`, `MISSING_PEER`, `BAD_OPTION`, an abort) always rejects.
   */
  readonly onFailure?: 'report' | 'throw'
}
