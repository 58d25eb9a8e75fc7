import { describe, it } from 'vitest'
import { createExtractiveLlm } from '../../src/llm/extractive.js'
import { createFunctionLlm } from '../../src/llm/function.js'
import type { Prompt } from '../../src/llm/types.js'
import { createScriptedLlm, type LlmScript, llmConformance, llmPrompts } from '../../src/testing/index.js'

const answers = new Map<string, LlmScript>([
  [llmPrompts.tower.question, ['It is 330 metres tall', ' [1]. It was', ' opened in 1889 [1].']],
  [llmPrompts.bread.question, ['Of flour, water', ' and yeast [1].']],
])
const scriptFor = ({ question }: Prompt) => answers.get(question) ?? []
const failure = new Error('The model is gone.')
const scripted = { skip: 'it says what it is told' }

describe('extractive llm', () => {
  llmConformance(it, {
    create: async () => createExtractiveLlm(),
    createFailing: { skip: 'it calls nobody and has nothing to wait for' },
  })
})

describe('function llm', () => {
  const { generate } = createScriptedLlm(scriptFor)
  llmConformance(it, {
    create: async () => createFunctionLlm(generate),
    createFailing: async () => ({ llm: createFunctionLlm(createScriptedLlm(['a', failure]).generate), error: failure }),
    content: scripted,
  })
})

describe('scripted llm', () => {
  llmConformance(it, {
    create: async () => createScriptedLlm(scriptFor),
    createFailing: async () => ({ llm: createScriptedLlm(['a', failure]), error: failure }),
    content: scripted,
  })
})
