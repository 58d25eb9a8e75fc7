import { shortened } from '../text/model-text.js'
import { createLlmEnricher, type LlmEnricherOptions, untrusted } from './llm.js'
import type { Enricher } from './types.js'

/** Characters of a summary that are kept. */
const maxCharacters = 600

/**
 * Sums up each part of a document, some 32,000 characters or the whole of a shorter one, with one call. The summary stands above all
 * passages of the part, as its title does: a question is first answered by what a document is about.
 */
export function createSummaryEnricher(options: LlmEnricherOptions): Enricher {
  return createLlmEnricher(
    {
      id: 'summary',
      version: 1,
      scope: 'part',
      reads: ['title'],
      system: [
        'Sum up the source in two or three sentences, for a search index: what it is about, with the names, terms and numbers that people would search for.',
        'Reply with the summary alone, in the language of the source.',
        untrusted,
      ].join('\n'),
      question: 'What is the source about?',
      sources: ({ text }) => [text],
      lines: (answer) => (answer === '' ? [] : [shortened(answer.replace(/\s+/g, ' '), maxCharacters)]),
    },
    options,
  )
}
