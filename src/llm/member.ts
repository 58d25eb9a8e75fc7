import { RagError } from '../core/errors.js'
import { Breaker } from '../util/breaker.js'
import type { Clock } from '../util/clock.js'
import { type AnswerLimits, boundedAnswer } from './bounded.js'
import type { GenerateEnd, GenerateOptions, Llm, Prompt } from './types.js'

/** What models that are used together have in common. */
export interface MemberOptions {
  /** Milliseconds until a model gives its first word, at least 1. Default: its own limit. */
  readonly firstTokenTimeoutMs?: number
  /** Milliseconds between two parts of an answer, at least 1. Default: its own limit. */
  readonly idleTimeoutMs?: number
  /** Characters of an answer at most, at least 1: a model that does not stop is stopped. Default 100,000. */
  readonly maxAnswerChars?: number
  /** Failures in a row after which a model is left alone for a while, at least 1. Default 3. */
  readonly maxFailures?: number
  /** How long it is left alone at first, in milliseconds, at least 1; doubled up to a minute while it keeps failing. Default 5,000. */
  readonly restMs?: number
}

const usual = { maxAnswerChars: 100_000, maxFailures: 3, restMs: 5_000 }
const longestRestMs = 60_000

/** One of several models: knows whether it works and how busy it is. */
export class Member {
  /** Its place among the others, from 0. */
  readonly place: number
  readonly #open: () => Promise<Llm>
  readonly #limits: AnswerLimits
  readonly #breaker: Breaker
  readonly #clock: Clock
  #id: string | undefined
  #running = 0
  #restsUntil = Number.NEGATIVE_INFINITY

  constructor(place: number, open: () => Promise<Llm>, options: MemberOptions & { readonly clock: Clock }) {
    const { clock, firstTokenTimeoutMs = Infinity, idleTimeoutMs = Infinity } = options
    const { maxAnswerChars, maxFailures, restMs } = { ...usual, ...options }
    this.place = place
    this.#open = open
    this.#limits = { firstTokenTimeoutMs, idleTimeoutMs, maxAnswerChars }
    this.#breaker = new Breaker(
      { failures: maxFailures, leastMs: restMs, mostMs: Math.max(restMs, longestRestMs) },
      clock,
    )
    this.#clock = clock
  }

  /** The id of the model, once it was opened; before, its number. */
  get name(): string {
    return this.#id ?? `model ${this.place + 1}`
  }

  /** Answers it writes now. */
  get running(): number {
    return this.#running
  }

  /** Milliseconds until it may be asked; 0: now, unless somebody else finds out just now whether it works again. */
  get restMs(): number {
    const asked = Math.max(0, this.#restsUntil - this.#clock.now())
    return this.#breaker.isOpen ? Math.max(asked, this.#breaker.waitMs) : asked
  }

  /** Whether it may be asked now. Whoever is let in asks it. */
  admit(): boolean {
    return this.#clock.now() >= this.#restsUntil && this.#breaker.admit()
  }

  async open(): Promise<Llm> {
    const llm = await this.#open()
    this.#id = llm.id
    return llm
  }

  /** Its answer, and how that ended. What fails is remembered, and passes through. */
  async *answer(prompt: Prompt, signal: AbortSignal | undefined): AsyncGenerator<string, GenerateEnd, undefined> {
    this.#running++
    let verdict: 'works' | 'fails' | 'unknown' = 'unknown'
    const answer = boundedAnswer(() => this.open(), prompt, { limits: this.#limits, signal })
    try {
      for (let next = await answer.next(); ; next = await answer.next()) {
        verdict = 'works'
        if (next.done === true) return { model: this.name, ...next.value }
        // The others that wait for this verdict need not wait for the whole answer.
        if (this.#breaker.isOpen) this.#breaker.succeeded()
        yield next.value
      }
    } catch (error) {
      verdict = signal?.aborted === true ? 'unknown' : isOfPrompt(error) ? 'works' : 'fails'
      // Another answer may have been told to wait for longer, or this one was only ended.
      this.#restsUntil = Math.max(this.#restsUntil, this.#clock.now() + retryAfterMs(error))
      throw error
    } finally {
      this.#running--
      await answer.return({})
      if (verdict === 'works') this.#breaker.succeeded()
      else if (verdict === 'fails') this.#breaker.failed()
      else this.#breaker.abandoned()
    }
  }
}

/** An answer whose first part is there. */
interface BegunAnswer {
  readonly answer: AsyncGenerator<string, GenerateEnd, undefined>
  readonly first: IteratorResult<string, GenerateEnd>
}

/**
 * Asks a model until its first part is there: until then another one may be asked. `undefined`: it failed, which is added to `failures`.
 * Rejects with an abort, and with what no other model would do better.
 */
export async function begunBy(
  member: Member,
  prompt: Prompt,
  { failures, signal }: { readonly failures: MemberFailure[]; readonly signal: AbortSignal | undefined },
): Promise<BegunAnswer | undefined> {
  const answer = member.answer(prompt, signal)
  try {
    return { answer, first: await answer.next() }
  } catch (error) {
    signal?.throwIfAborted()
    if (!mayFareBetter(error)) throw error
    failures.push({ model: member.name, error })
    return undefined
  }
}

/** Hands an answer on that has begun. */
export async function* relayed(
  { answer, first }: BegunAnswer,
  { isSubstitute, onEnd }: Pick<GenerateOptions, 'onEnd'> & Pick<GenerateEnd, 'isSubstitute'>,
): AsyncGenerator<string, void, undefined> {
  try {
    for (let next = first; ; next = await answer.next()) {
      if (next.done === true) {
        onEnd?.(isSubstitute === true ? { ...next.value, isSubstitute } : next.value)
        return
      }
      yield next.value
    }
  } finally {
    await answer.return({})
  }
}

/** A model that failed, and how. */
export interface MemberFailure {
  readonly model: string
  readonly error: unknown
}

/** Whether another model may do better: an option that is wrong stays wrong, and nobody waits any more for what is over. */
function mayFareBetter(error: unknown): boolean {
  return !RagError.isInstance(error) || !['BAD_OPTION', 'DEADLINE'].includes(error.code)
}

/** What is thrown when all have failed: the failure of the only one, or one of them all. */
export function noneAnswered(failures: readonly MemberFailure[]): unknown {
  const [only] = failures
  if (only !== undefined && failures.length === 1) return only.error
  const codes = failures.map(({ error }) => (RagError.isInstance(error) ? error.code : 'PROVIDER'))
  const told = failures.map(({ model }, place) => `${model} (${codes[place]})`)
  const waits = failures.map(({ error }) => retryAfterMs(error)).filter((wait) => wait > 0)
  return new RagError(
    codes.every((code) => code === codes[0]) ? (codes[0] ?? 'PROVIDER') : 'PROVIDER',
    `None of the models answered: ${told.join(', ')}.`,
    {
      data: {
        failures: failures.map(({ error, model }) => ({ model, ...factsOf(error) })),
        ...(waits.length > 0 ? { retryAfterMs: Math.min(...waits) } : {}),
      },
      hint: 'See data.failures for what each of them said.',
      retryable: failures.some(({ error }) => RagError.isInstance(error) && error.retryable),
    },
  )
}

/** Errors of others may quote what was asked; of them only the kind is told. */
export function factsOf(error: unknown): Readonly<Record<string, unknown>> {
  if (!RagError.isInstance(error)) return { error: error instanceof Error ? error.name : typeof error }
  const { code, hint, message } = error
  return { code, message, ...(hint === undefined ? {} : { hint }) }
}

/** How long a model asks to be left alone, in milliseconds; 0 where it does not. */
export function retryAfterMs(error: unknown): number {
  const wait = RagError.isInstance(error) ? error.data.retryAfterMs : undefined
  return typeof wait === 'number' && wait > 0 ? wait : 0
}

/** What was sent is the reason, not who it was sent to. */
function isOfPrompt(error: unknown): boolean {
  return RagError.isInstance(error) && [400, 413, 422].includes(error.data.status as number)
}
