import { RagError } from '../core/errors.js'
import { type Clock, systemClock } from '../util/clock.js'
import { noModels } from './fallback.js'
import {
  begunBy,
  Member,
  type MemberFailure,
  type MemberOptions,
  noneAnswered,
  relayed,
  retryAfterMs,
} from './member.js'
import type { Llm } from './types.js'

/** Options of {@link createBalancedLlm}. */
export interface BalancedLlmOptions extends MemberOptions {
  /** Models that are as good as each other: the same one under several keys, or at several places. */
  readonly models: readonly (() => Promise<Llm>)[]
  /**
   * `'least-busy'` (default): the one that writes the fewest answers now, of equals the one that was asked the longest time ago.
   * `'round-robin'`: always the latter.
   */
  readonly strategy?: 'least-busy' | 'round-robin'
  /** Milliseconds an answer waits at most for a model that asked to be left alone, when all others do, too: 0 to 600,000. Default 10,000. */
  readonly maxWaitMs?: number
}

const usualWaitMs = 10_000
/**
 * Spreads answers over models. One that says `Retry-After`, or keeps failing, is left alone meanwhile; where a model fails before its
 * first word, another is asked. Rejects with `OVERLOADED` (retryable, `data.retryAfterMs`) when all are to be left alone for longer than is waited,
 * and like a fallback chain when all have failed.
 */
export function createBalancedLlm(
  { models, strategy = 'least-busy', maxWaitMs = usualWaitMs, ...options }: BalancedLlmOptions,
  { clock = systemClock }: { readonly clock?: Clock } = {},
): Llm {
  if (models.length === 0) throw noModels()
  const members = models.map((open, place) => new Member(place, open, { ...options, clock }))
  /** The one that was asked the longest time ago first. */
  const queue = [...members]

  /** One that may be asked now. */
  const choose = (candidates: ReadonlySet<Member>): Member | undefined => {
    const inOrder = queue.filter((member) => candidates.has(member))
    if (strategy === 'least-busy') inOrder.sort((a, b) => a.running - b.running)
    const chosen = inOrder.find((member) => member.admit())
    if (chosen !== undefined) queue.push(...queue.splice(queue.indexOf(chosen), 1))
    return chosen
  }

  return {
    id: 'balance',
    async *generate(prompt, options) {
      const { signal } = options
      signal?.throwIfAborted()
      const failures: MemberFailure[] = []
      // One that asks to be left alone is asked once more, when others are no better.
      const waitedFor = new Set<Member>()
      const left = new Set(members)
      const until = clock.now() + maxWaitMs
      for (;;) {
        const member = choose(left)
        if (member === undefined) {
          const waitMs = Math.min(...[...left].map(({ restMs }) => restMs))
          if (clock.now() + waitMs > until) throw failures.length > 0 ? noneAnswered(failures) : overloaded(waitMs)
          await clock.sleep(Math.max(1, waitMs), signal)
          continue
        }
        const begun = await begunBy(member, prompt, { failures, signal })
        if (begun === undefined) {
          if (retryAfterMs(failures.at(-1)?.error) === 0 || waitedFor.has(member)) left.delete(member)
          waitedFor.add(member)
          continue
        }
        yield* relayed(begun, options)
        return
      }
    },
    async warmUp(options) {
      await Promise.all(members.map(async (member) => (await member.open()).warmUp?.(options)))
    },
    async close() {},
  }
}

function overloaded(waitMs: number): RagError {
  return new RagError('OVERLOADED', 'All models ask to be left alone for a while.', {
    data: { retryAfterMs: Math.ceil(waitMs) },
    hint: 'Ask less often, or add a model or a key.',
    retryable: true,
  })
}
