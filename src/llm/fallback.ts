import { RagError } from '../core/errors.js'
import type { Logger } from '../core/lifecycle.js'
import { type Clock, systemClock } from '../util/clock.js'
import { begunBy, factsOf, Member, type MemberFailure, type MemberOptions, noneAnswered, relayed } from './member.js'
import type { Llm } from './types.js'

/** Options of {@link createFallbackLlm}. */
export interface FallbackLlmOptions extends MemberOptions {
  /** The models, the preferred one first; each is opened when it is its turn. They stay whoever's they are to close. */
  readonly models: readonly (() => Promise<Llm>)[]
  readonly logger?: Logger
}

/**
 * A chain of models: where one fails before its first word, the next is asked, and the logger is warned. A model that answers with nothing
 * has answered: it found nothing in the sources. One that fails in the middle of an answer ends it, for nobody wants two halves. A model
 * that keeps failing, or asks to be left alone (`Retry-After`), is passed over meanwhile; when all are, the one that comes back first is
 * asked.
 *
 * Rejects with the failure of the only model, or with a `RagError` whose `data.failures` tells of each. `BAD_OPTION` is passed on at once.
 */
export function createFallbackLlm(
  { models, logger, ...options }: FallbackLlmOptions,
  { clock = systemClock }: { readonly clock?: Clock } = {},
): Llm {
  const members = models.map((open, place) => new Member(place, open, { ...options, clock }))
  if (members.length === 0) throw noModels()
  return {
    id: 'fallback',
    async *generate(prompt, options) {
      const { signal } = options
      signal?.throwIfAborted()
      const failures: MemberFailure[] = []
      for (const member of inTurn(members)) {
        const begun = await begunBy(member, prompt, { failures, signal })
        if (begun === undefined) {
          const error = failures.at(-1)?.error
          logger?.warn('A model failed before its first word.', { model: member.name, ...factsOf(error) })
          continue
        }
        yield* relayed(begun, { ...options, isSubstitute: member !== members[0] })
        return
      }
      throw noneAnswered(failures)
    },
    async warmUp(options) {
      const failures: unknown[] = []
      for (const member of members) {
        try {
          return await (await member.open()).warmUp?.(options)
        } catch (error) {
          options.signal?.throwIfAborted()
          failures.push(error)
        }
      }
      throw failures[0]
    },
    async close() {},
  }
}

/** Those that may be asked, or else the one that may be asked soonest. */
function* inTurn(members: readonly Member[]): Generator<Member> {
  let anyone = false
  for (const member of members) {
    if (!member.admit()) continue
    anyone = true
    yield member
  }
  if (!anyone) yield members.reduce((best, member) => (member.restMs < best.restMs ? member : best))
}

/** For models that are used together there must be some. */
export function noModels(): RagError {
  return new RagError('BAD_OPTION', 'There must be at least one model.', {
    data: { option: 'models' },
    hint: 'Name the models in the list.',
  })
}
