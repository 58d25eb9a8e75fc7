import type { Citation, TokenCounts } from '../../core/answer.js'
import type { GenerateEnd, Prompt } from '../../llm/types.js'
import { estimateTokens } from '../../util/estimate-tokens.js'
import { type AnswerEnd, isCount, isFinishReason } from './answer-end.js'
import type { NeededStage } from './budget.js'
import type { AnswerAsked, AnswerPart } from './cached-answer.js'
import { type CitedPart, createCitationParser } from './cite.js'
import { measureGroundedness } from './groundedness.js'

/** What an answer is written with. */
type WriteAsked = Pick<AnswerAsked, 'analyzerFor' | 'buildPrompt' | 'estimates' | 'llm' | 'now' | 'sources' | 'turn'>

/**
 * What the model writes, with its citations, and how it ended. The model is asked for the next part when the reader asks, and stopped when
 * the signal fires or the iterator is ended.
 */
export async function* writeAnswer(
  asked: WriteAsked,
  signal: AbortSignal | undefined,
): AsyncGenerator<AnswerPart, void, undefined> {
  const { buildPrompt, estimates, llm, now, sources } = asked
  const parser = createCitationParser(sources)
  const model = await llm()
  // Behind the opening of the model, which happens once.
  const began = now()
  const prompt = buildPrompt()
  let told: GenerateEnd = {}
  let written = 0
  let text = ''
  const citations: Citation[] = []
  const noted = (parts: CitedPart[]): CitedPart[] => {
    for (const part of parts) {
      if (part.type === 'answer-delta') text += part.text
      else citations.push(part.citation)
    }
    return parts
  }
  const onEnd = (end: GenerateEnd | undefined): void => {
    told = end ?? {}
  }
  for await (const delta of model.generate(prompt, signal === undefined ? { onEnd } : { onEnd, signal })) {
    signal?.throwIfAborted()
    if (written === 0) estimates.note('firstToken' satisfies NeededStage, now() - began)
    written += Buffer.byteLength(delta)
    yield* noted(parser.push(delta))
  }
  yield* noted(parser.end())
  const groundedness = await measureGroundedness({ text, citations }, sources, asked)
  yield {
    type: 'end',
    end: {
      invented: parser.invented,
      finishReason: toFinishReason(told.finishReason),
      tokens: tokensOf(told, prompt, written),
      ...(typeof told.model === 'string' ? { model: told.model } : {}),
      ...(told.isSubstitute === true ? { isSubstitute: true } : {}),
      ...(groundedness === undefined ? {} : { groundedness }),
    },
  }
}

/** Models of plain JavaScript may tell anything. */
function toFinishReason(told: unknown): AnswerEnd['finishReason'] {
  if (told === undefined) return 'stop'
  return isFinishReason(told) ? told : 'other'
}

/** As the model tells them; what it does not tell, or tells wrongly, is estimated. */
function tokensOf({ inputTokens, outputTokens }: GenerateEnd, { text }: Prompt, written: number): TokenCounts {
  return {
    input: isCount(inputTokens) ? inputTokens : estimateTokens(Buffer.byteLength(text)),
    output: isCount(outputTokens) ? outputTokens : estimateTokens(written),
    estimated: !isCount(inputTokens) || !isCount(outputTokens),
  }
}
