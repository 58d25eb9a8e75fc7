import { afterEach, describe, expect, it, vi } from 'vitest'
import { createAiSdkLlm } from '../../../src/llm/ai-sdk.js'
import { createOpenAiCompatibleLlm } from '../../../src/llm/openai-compatible.js'

/** As if the package were not there. */
function remove(name: string): void {
  vi.doMock(name, () => {
    throw new Error(`Cannot find package '${name}'`)
  })
}

afterEach(() => {
  vi.doUnmock('openai')
  vi.doUnmock('ai')
})

describe('a model whose package is missing', () => {
  it('names the command that installs openai, and needs none with a client', async () => {
    remove('openai')
    await expect(createOpenAiCompatibleLlm({ model: 'm', baseURL: 'http://127.0.0.1:9/v1' })).rejects.toMatchObject({
      code: 'MISSING_PEER',
      hint: 'Run: npm i openai@6',
    })
    const client = { chat: { completions: { create: async () => ({}) } } }
    await expect(createOpenAiCompatibleLlm({ model: 'm', client })).resolves.toMatchObject({ id: 'm' })
  })

  it('names the command that installs ai for the name of a model', async () => {
    remove('ai')
    await expect(createAiSdkLlm({ model: 'openai/gpt-4.1-mini' })).rejects.toMatchObject({
      code: 'MISSING_PEER',
      hint: 'Run: npm i ai@6',
    })
  })
})
