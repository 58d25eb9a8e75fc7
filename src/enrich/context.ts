import { shortened } from '../text/model-text.js'
import { createLlmEnricher, type LlmEnricherOptions, untrusted } from './llm.js'
import type { Enricher } from './types.js'

/** Characters of a context that are kept. */
const maxCharacters = 400

/**
 * Says of each passage where it stands in its document, with one call each (contextual retrieval: Anthropic 2024): what "it", "the company" or
 * "this step" are. The model is shown how the document begins and what stands around the passage, not the whole document, so that
 * a change elsewhere leaves the passage as it is, and a long document costs no more for each passage than a short one.
 */
export function createContextEnricher(options: LlmEnricherOptions): Enricher {
  return createLlmEnricher(
    {
      id: 'context',
      version: 1,
      scope: 'passage',
      reads: ['title', 'headings', 'around', 'beginning'],
      system: [
        'Source 1 is a passage of a document. The other sources are how the document begins, and what stands before and behind the passage.',
        'Write one or two short sentences that say what the passage is about and where it stands in the document, so that it can be found and understood by itself: name what its pronouns stand for.',
        'Reply with these sentences alone, in the language of the passage.',
        untrusted,
      ].join('\n'),
      question: 'What is source 1 about, and where does it stand?',
      sources: ({ after, before, beginning, text }) => [text, beginning, before, after],
      lines: (answer) => (answer === '' ? [] : [shortened(answer.replace(/\s+/g, ' '), maxCharacters)]),
    },
    options,
  )
}
