import { RagError } from '../core/errors.js'
import { abortableValues } from '../util/abort.js'
import type { GenerateOptions, Llm, Prompt } from './types.js'

/** Answers a prompt in parts. It should stop when `signal` fires; the iterator is ended in any case. `onEnd` may be told how the answer ended. */
export type GenerateFunction = (prompt: Prompt, options: GenerateOptions) => AsyncIterable<string>

/**
 * Makes a model of a function of yours. The wrapper stops at once when the call is aborted, even while the function
 * waits, ends its iterator (`return()`, so that `finally` blocks run) and rejects with `BAD_INPUT` when something other
 * than a string comes out. What the function throws passes through unchanged. `id` (default `function`) is shown in the
 * metadata event.
 */
export function createFunctionLlm(generate: GenerateFunction, { id = 'function' } = {}): Llm {
  if (typeof generate !== 'function') {
    throw new RagError('BAD_OPTION', 'The model is not a function.', {
      hint: 'Give a function that returns an async iterable of strings, such as an async generator.',
    })
  }
  return {
    id,
    async *generate(prompt, options) {
      const { signal } = options
      signal?.throwIfAborted()
      const parts = requireIterable(generate(prompt, options))
      for await (const part of abortableValues(parts, signal)) {
        if (typeof part !== 'string') throw wrongKind(part)
        yield part
      }
    },
    async close() {},
  }
}

/** Plain JavaScript may hand over anything, so the types are not believed. */
function requireIterable(answer: unknown): AsyncIterable<unknown> {
  if (typeof answer === 'object' && answer !== null && Symbol.asyncIterator in answer) {
    return answer as AsyncIterable<unknown>
  }
  // An async function that is no generator: nobody else will see how it ends.
  if (answer instanceof Promise) answer.catch(() => {})
  throw wrongKind(answer)
}

function wrongKind(value: unknown): RagError {
  return new RagError('BAD_INPUT', 'The model gave something other than an async iterable of strings.', {
    data: { kind: value === null ? 'null' : typeof value },
    hint: 'Write it as an async generator that yields strings, with function*, not as an async function.',
  })
}
