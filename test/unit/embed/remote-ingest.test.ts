import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createOpenAiCompatibleEmbedder } from '../../../src/embed/openai-compatible.js'
import { UltraFastRAG } from '../../../src/index.js'
import { randomNumbers } from '../../../src/testing/support.js'
import { apiError, type EmbeddingsApi, startEmbeddingsApi } from '../../lib/embeddings-api.js'

let api: EmbeddingsApi

beforeEach(async () => {
  api = await startEmbeddingsApi({ dimensions: 64 })
})

afterEach(() => api.close())

const documents = Array.from({ length: 12 }, (_, place) => ({
  id: `document ${place}`,
  text: `The harbour number ${place} has ${place + 3} cranes. Ships of the line ${'abcdefghijkl'[place]}${place} call there.`,
}))

const open = async (maxAttempts: number) => {
  const options = { model: 'words', baseURL: api.baseURL, dimensions: 64, maxAttempts }
  const embedder = await createOpenAiCompatibleEmbedder(options, { random: () => 0 })
  const rag = new UltraFastRAG({ embedder })
  return {
    rag,
    close: async () => {
      await rag.close()
      await embedder.close()
    },
  }
}

describe('an ingest over a service', () => {
  it('that fails now and then stores everything', async () => {
    const random = randomNumbers(3)
    let failures = 0
    api.reply = () => {
      if (random() > 0.4 || ++failures % 3 === 0) return undefined
      return random() < 0.5 ? { status: 503, body: {} } : (response) => void response.destroy()
    }
    const { rag, close } = await open(20)
    const report = await rag.ingest(documents)
    expect(report).toMatchObject({ documents: 12, failed: [] })
    expect(failures).toBeGreaterThan(0)
    // All of its words: both legs put it first, whatever the order in which the documents came.
    const [hit] = await rag.retrieve(documents[7]?.text ?? '', { topK: 1 })
    expect(hit?.chunk.documentId).toBe('document 7')
    expect(hit?.scores.vector).toBeGreaterThan(0)
    await close()
  })

  it('that is down ends before anything is stored, and works when the service is back', async () => {
    api.reply = () => ({ status: 503, headers: { 'retry-after-ms': '1' }, body: {} })
    const { rag, close } = await open(2)
    await expect(rag.ingest(documents)).rejects.toMatchObject({ code: 'PROVIDER', data: { status: 503 } })
    api.reply = () => undefined
    expect(await rag.ingest(documents)).toMatchObject({ documents: 12, failed: [] })
    await close()
  })

  it('that goes down meanwhile fails the documents, stores none without vectors, and the next ingest has them all', async () => {
    api.reply = (_, place) => (place === 0 ? undefined : { status: 503, headers: { 'retry-after-ms': '1' }, body: {} })
    const { rag, close } = await open(2)
    const report = await rag.ingest(documents)
    expect(report.documents).toBe(0)
    expect(report.failed.map(({ error }) => error.code)).toEqual(Array(12).fill('PROVIDER'))
    expect(await rag.stats()).toMatchObject({ documents: 0 })
    api.reply = () => undefined
    expect(await rag.ingest(documents)).toMatchObject({ documents: 12, failed: [] })
    await close()
  })

  it('that refuses one text stores the rest of the document', async () => {
    api.reply = ({ body }) => (body.input.some((text) => text.includes('forbidden')) ? apiError(400, 'no') : undefined)
    const { rag, close } = await open(2)
    const chunks = [{ text: 'Pears are green.' }, { text: 'This one is forbidden.' }, { text: 'Plums are blue.' }]
    await rag.ingestDocument({ id: 'fruit', chunks })
    const hits = await rag.retrieve('plums blue', { topK: 3 })
    expect(hits[0]?.chunk.text).toBe('Plums are blue.')
    expect(hits[0]?.scores.vector).toBeGreaterThan(0)
    await close()
  })
})
