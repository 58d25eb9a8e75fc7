import { afterEach, describe, expect, it, vi } from 'vitest'
import { createAiSdkEmbedder } from '../../../src/embed/ai-sdk.js'
import { createOpenAiCompatibleEmbedder } from '../../../src/embed/openai-compatible.js'

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

describe('an embedder whose package is missing', () => {
  it('names the command that installs openai, and works once it is there', async () => {
    remove('openai')
    const options = { model: 'm', baseURL: 'http://127.0.0.1:9/v1', dimensions: 8 }
    await expect(createOpenAiCompatibleEmbedder(options)).rejects.toMatchObject({
      code: 'MISSING_PEER',
      data: { package: 'openai' },
      hint: 'Run: npm i openai@6',
    })
    vi.doUnmock('openai')
    await expect(createOpenAiCompatibleEmbedder(options)).resolves.toMatchObject({ dimensions: 8 })
  })

  it('does without openai when it is given a client', async () => {
    remove('openai')
    const client = { embeddings: { create: async () => ({ data: [{ embedding: [3, 4] }] }) } }
    const embedder = await createOpenAiCompatibleEmbedder({ model: 'm', client })
    expect([...(await embedder.embed(['a'], { kind: 'passage' })).vectors]).toEqual([
      expect.closeTo(0.6, 6),
      expect.closeTo(0.8, 6),
    ])
  })

  it('names the command that installs ai for the name of a model', async () => {
    remove('ai')
    await expect(createAiSdkEmbedder({ model: 'openai/text-embedding-3-small' })).rejects.toMatchObject({
      code: 'MISSING_PEER',
      data: { package: 'ai' },
      hint: 'Run: npm i ai@6',
    })
  })

  it('does without ai when it is given a model', async () => {
    remove('ai')
    const model = {
      specificationVersion: 'v3',
      provider: 'mine',
      modelId: 'm',
      maxEmbeddingsPerCall: 1,
      supportsParallelCalls: true,
      doEmbed: async () => ({ embeddings: [[1, 0]] }),
    }
    await expect(createAiSdkEmbedder({ model })).resolves.toMatchObject({ dimensions: 2 })
  })
})
