import { RagError } from '../core/errors.js'
import { linesIn } from '../text/model-text.js'
import { createLlmEnricher, type LlmEnricherOptions, untrusted } from './llm.js'
import type { Enricher } from './types.js'

/** Options of {@link createQuestionsEnricher}. */
export interface QuestionsOptions extends LlmEnricherOptions {
  /** Questions for each passage, 1 to 10. Default 3. */
  readonly maxQuestions?: number
}

/** Characters of a question that are kept. */
const maxCharacters = 200

/**
 * Adds to each passage questions that it answers, with one call each (doc2query: Nogueira et al. 2019): people ask in other words than
 * documents are written in. Throws `BAD_OPTION` for a number out of range.
 */
export function createQuestionsEnricher({ maxQuestions = 3, ...options }: QuestionsOptions): Enricher {
  if (!Number.isInteger(maxQuestions) || maxQuestions < 1 || maxQuestions > 10) {
    throw new RagError('BAD_OPTION', 'maxQuestions is a whole number from 1 to 10.', { data: { maxQuestions } })
  }
  return createLlmEnricher(
    {
      id: 'questions',
      version: 1,
      scope: 'passage',
      reads: ['title', 'headings'],
      system: [
        `Write ${maxQuestions} different questions that the source answers, as people would type them who do not know it.`,
        'Reply with the questions alone, one a line, in the language of the source.',
        untrusted,
      ].join('\n'),
      question: 'Which questions does the source answer?',
      sources: ({ text }) => [text],
      lines: (answer) => linesIn(answer, maxCharacters).slice(0, maxQuestions),
    },
    options,
  )
}
