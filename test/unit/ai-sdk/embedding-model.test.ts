import { cosineSimilarity, embed, embedMany } from 'ai'
import { describe, expect, it } from 'vitest'
import { toAiSdkEmbeddingModel } from '../../../src/ai-sdk/index.js'
import { AsyncEmbedding } from '../../../src/async-embedding.js'
import { createHashingEmbedder } from '../../../src/embed/hashing.js'
import type { EmbedOptions } from '../../../src/embed/types.js'
import { createFakeEmbedder } from '../../../src/testing/index.js'
import { UltraFastRAG } from '../../../src/ultra-fast-rag.js'

describe('toAiSdkEmbeddingModel', () => {
  it('gives embed() and embedMany() what the embedder gives', async () => {
    const embedder = createHashingEmbedder({ dimensions: 32 })
    const model = toAiSdkEmbeddingModel(embedder)
    expect(model).toMatchObject({ provider: 'ultrafast-rag', modelId: 'hashing' })
    const values = Array.from({ length: 300 }, (_, i) => `text number ${i}`)
    const { embeddings } = await embedMany({ model, values })
    const { vectors } = await embedder.embed(values, { kind: 'passage' })
    expect(embeddings.flat()).toEqual([...vectors])
    const { embedding } = await embed({ model, value: 'text number 7' })
    expect(cosineSimilarity(embedding, embeddings[7] as number[])).toBeCloseTo(1, 6)
    expect((await embedMany({ model, values: [] })).embeddings).toEqual([])
  })

  it('takes texts for what the call, else the model, says they are; and hands the signal on', async () => {
    const seen: EmbedOptions[] = []
    const inner = createFakeEmbedder()
    const embedder = {
      embed: (texts: readonly string[], options: EmbedOptions) => {
        seen.push(options)
        return inner.embed(texts, options)
      },
    }
    const { signal } = new AbortController()
    await embed({ model: toAiSdkEmbeddingModel(embedder), value: 'a', abortSignal: signal })
    await embed({ model: toAiSdkEmbeddingModel(embedder, { kind: 'query' }), value: 'a' })
    const providerOptions = { ultrafastRag: { kind: 'query' } }
    await embed({ model: toAiSdkEmbeddingModel(embedder), value: 'a', providerOptions })
    expect(seen).toEqual([{ kind: 'passage', signal }, { kind: 'query' }, { kind: 'query' }])
    const wrong = { ultrafastRag: { kind: 'question' } }
    const refused = embed({ model: toAiSdkEmbeddingModel(embedder), value: 'a', providerOptions: wrong, maxRetries: 0 })
    await expect(refused).rejects.toMatchObject({ code: 'BAD_OPTION' })
    expect(() => toAiSdkEmbeddingModel(embedder, { kind: 'x' as never })).toThrow('kind')
  })

  it('rejects with the place of a text that cannot be embedded', async () => {
    const model = toAiSdkEmbeddingModel(createHashingEmbedder())
    await expect(embedMany({ model, values: ['fine', '…'] })).rejects.toMatchObject({
      code: 'EMPTY',
      data: { index: 1 },
    })
  })

  it('takes an AsyncEmbedding, and goes back into an UltraFastRAG', async () => {
    await using embedding = new AsyncEmbedding({ embedder: { kind: 'hashing', dimensions: 64 } })
    const model = toAiSdkEmbeddingModel(embedding, { modelId: 'mine' })
    await using rag = new UltraFastRAG({ embedder: { kind: 'ai-sdk', model } })
    await rag.ingest([
      { id: 'tea', text: 'Green tea is brewed at 75 degrees.' },
      { id: 'coffee', text: 'Espresso is brewed under pressure.' },
    ])
    const [best] = await rag.retrieve('green teas')
    expect([best?.chunk.documentId, (await rag.stats()).embedder?.fingerprint]).toEqual([
      'tea',
      expect.stringContaining('mine'),
    ])
  })
})
