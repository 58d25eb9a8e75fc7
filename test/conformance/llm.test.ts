import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { createAiSdkLlm } from '../../src/llm/ai-sdk.js'
import { createBalancedLlm } from '../../src/llm/balance.js'
import { createExtractiveLlm } from '../../src/llm/extractive.js'
import { createFallbackLlm } from '../../src/llm/fallback.js'
import { createFunctionLlm } from '../../src/llm/function.js'
import { createOpenAiCompatibleLlm } from '../../src/llm/openai-compatible.js'
import { createRoutedLlm } from '../../src/llm/route.js'
import { createTransformersLlm } from '../../src/llm/transformers/transformers.js'
import type { Llm, Prompt } from '../../src/llm/types.js'
import { createScriptedLlm, type LlmScript, llmConformance, llmPrompts } from '../../src/testing/index.js'
import { writingModelFolder } from '../lib/causal-lm.js'
import { type ChatCompletions, startChatCompletions } from '../lib/chat-completions.js'

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

/** Whose failures are errors of ours, which tell nothing of the service's. */
const ownErrors = { skip: 'what a service throws becomes an error of its own' }

describe.each([
  [
    'openai-compatible llm',
    (baseURL: string) => createOpenAiCompatibleLlm({ model: 'scripted', baseURL, maxTokens: 100 }),
  ],
  [
    'ai-sdk llm',
    (baseURL: string) =>
      createAiSdkLlm({
        model: createOpenAICompatible({ name: 'local', baseURL, includeUsage: true }).chatModel('scripted'),
      }),
  ],
] as [string, (baseURL: string) => Promise<Llm>][])('%s', (_, create) => {
  let api: ChatCompletions
  beforeAll(async () => {
    api = await startChatCompletions(({ messages }) => {
      const asked = messages.at(-1)?.content ?? ''
      return scriptFor({
        question: [...answers.keys()].find((question) => asked.includes(question)) ?? '',
      } as Prompt) as string[]
    })
  })
  afterAll(() => api.close())
  llmConformance(it, { create: () => create(api.baseURL), createFailing: ownErrors, content: scripted })
})

describe('local llm', () => {
  // One thread for all tests: each of its own would load the library again. How it is closed, its own tests see.
  let model: Llm
  beforeAll(async () => {
    model = await createTransformersLlm({ model: writingModelFolder(), threads: 1 })
  })
  afterAll(() => model.close())
  llmConformance(it, {
    create: async () => ({ ...model, close: async () => {} }),
    createFailing: ownErrors,
    content: scripted,
  })
})

const failing = createScriptedLlm(['a', failure])
const speaking = () => createScriptedLlm(scriptFor)
const silent = () => createScriptedLlm([new Error('Not today.')])

describe.each([
  ['fallback', (...models: Llm[]) => createFallbackLlm({ models: models.map((model) => async () => model) })],
  ['balance', (...models: Llm[]) => createBalancedLlm({ models: models.map((model) => async () => model) })],
] as [string, (...models: Llm[]) => Llm][])('%s of models', (_, create) => {
  llmConformance(it, {
    create: async () => create(silent(), speaking()),
    createFailing: async () => ({ llm: create(failing, speaking()), error: failure }),
    content: scripted,
  })
})

describe('route of models', () => {
  const create = (...models: [Llm, Llm]) =>
    createRoutedLlm({ simple: async () => models[0], strong: async () => models[1] })
  llmConformance(it, {
    create: async () => create(speaking(), speaking()),
    createFailing: async () => ({ llm: create(failing, failing), error: failure }),
    content: scripted,
  })
})
