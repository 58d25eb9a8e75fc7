import { RagError } from '../core/errors.js'
import { type RouteRule, simpleOrStrong } from './question-rule.js'
import type { GenerateEnd, Llm } from './types.js'

/** Options of {@link createRoutedLlm}. */
export interface RoutedLlmOptions {
  /** Answers simple questions: cheap and fast. Opened when it is first chosen; stays whoever's it is to close. */
  readonly simple: () => Promise<Llm>
  /** Answers the others. */
  readonly strong: () => Promise<Llm>
  /** Which model is to answer. Default: by the form of the question, see docs/answering.md. Must be fast, and give `'simple'` or `'strong'`. */
  readonly rule?: RouteRule
}

/**
 * Chooses a model for each question. Where the chosen one fails nobody else is asked: make it a fallback chain. Rejects with `BAD_OPTION`
 * when the rule gives something else, and with what the rule throws.
 */
export function createRoutedLlm({ rule = simpleOrStrong, ...models }: RoutedLlmOptions): Llm {
  return {
    id: 'route',
    async *generate(prompt, options) {
      options.signal?.throwIfAborted()
      const chosen: unknown = rule(prompt)
      if (chosen !== 'simple' && chosen !== 'strong') throw noChoice(chosen)
      const llm = await models[chosen]()
      let end: GenerateEnd = {}
      yield* llm.generate(prompt, { ...options, onEnd: (told) => void (end = told) })
      options.onEnd?.({ model: llm.id, ...end })
    },
    async warmUp(options) {
      await Promise.all(Object.values(models).map(async (open) => (await open()).warmUp?.(options)))
    },
    async close() {},
  }
}

function noChoice(chosen: unknown): RagError {
  return new RagError('BAD_OPTION', 'The rule of a route gave neither "simple" nor "strong".', {
    data: { option: 'rule', kind: chosen instanceof Promise ? 'promise' : typeof chosen },
    hint: 'Let it return one of the two words; it is given the prompt and must not be async.',
  })
}
