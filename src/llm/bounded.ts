import { RagError } from '../core/errors.js'
import { shortened } from '../text/model-text.js'
import { abortableValues, followSignal } from '../util/abort.js'
import type { GenerateEnd, Llm, Prompt } from './types.js'
import { type Patience, Watchdog } from './watchdog.js'

/** What an answer must keep to, whatever model writes it. */
export interface AnswerLimits extends Patience {
  readonly maxAnswerChars: number
}

/**
 * The answer of a model, ended with `TIMEOUT` when it is silent for too long, and with finish reason `'length'` when it does not stop. It
 * returns how it ended, as far as the model tells.
 */
export async function* boundedAnswer(
  open: () => Promise<Llm>,
  prompt: Prompt,
  { limits, signal }: { readonly limits: AnswerLimits; readonly signal: AbortSignal | undefined },
): AsyncGenerator<string, GenerateEnd, undefined> {
  const own = followSignal(signal)
  const watchdog = new Watchdog(limits, own.abort)
  let end: GenerateEnd = {}
  let room = limits.maxAnswerChars
  async function* parts(): AsyncGenerator<string, void, undefined> {
    const options = { signal: own.signal, onEnd: (told: GenerateEnd) => void (end = told) }
    yield* (await open()).generate(prompt, options)
  }
  try {
    watchdog.wait()
    for await (const part of abortableValues(parts(), own.signal)) {
      watchdog.heard()
      const text = shortened(part, room)
      if (text !== '') yield text
      if (text !== part) return { ...end, finishReason: 'length' }
      room -= text.length
      watchdog.wait()
    }
    return end
  } finally {
    watchdog.stop()
    own.abort(new RagError('CLOSED', 'The answer is complete.'))
    own.dispose()
  }
}
