import { describe, it } from 'vitest'
import { createContextEnricher } from '../../src/enrich/context.js'
import { createFunctionEnricher } from '../../src/enrich/function.js'
import { createKeywordEnricher } from '../../src/enrich/keywords.js'
import { createQuestionsEnricher } from '../../src/enrich/questions.js'
import { createSummaryEnricher } from '../../src/enrich/summary.js'
import { buildPrompt } from '../../src/llm/prompt.js'
import { createScriptedLlm, enricherConformance } from '../../src/testing/index.js'

/** A model that says the length of what it was shown. */
const asked = (model = 'm') => ({
  llm: async () => createScriptedLlm(({ text }) => ['It has ', `${text.length} letters?`]),
  model,
  buildPrompt,
})

describe('keywords', () => {
  enricherConformance(it, {
    create: async () => createKeywordEnricher(),
    createOther: async () => createKeywordEnricher({ maxKeywords: 2 }),
    silent: { skip: 'it adds to a passage what others speak of' },
  })
})

describe('a function', () => {
  enricherConformance(it, {
    create: async () => createFunctionEnricher({ enrich: ({ text }) => [text.slice(0, 3), ''] }),
    createOther: async () => createFunctionEnricher({ enrich: () => null, fingerprint: '2' }),
  })
})

describe('summary', () => {
  enricherConformance(it, {
    create: async () => createSummaryEnricher(asked()),
    createOther: async () => createSummaryEnricher(asked('n')),
  })
})

describe('questions', () => {
  enricherConformance(it, {
    create: async () => createQuestionsEnricher(asked()),
    createOther: async () => createQuestionsEnricher({ ...asked(), maxQuestions: 5 }),
  })
})

describe('context', () => {
  enricherConformance(it, {
    create: async () => createContextEnricher(asked()),
    createOther: async () => createContextEnricher(asked('n')),
  })
})
