import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { AsyncEmbedding, type IngestProgress, UltraFastRAG, type UltraFastRAGOptions } from '../../../src/index.js'
import { createFakeEmbedder } from '../../../src/testing/index.js'
import { modelFolder } from '../../fixtures/models/model-folder.js'
import { staticModelFolder } from '../../fixtures/models/static-model-folder.js'

const opened: { close(): Promise<void> }[] = []
const folders: string[] = []

afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()))
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function open(options: UltraFastRAGOptions): UltraFastRAG {
  const rag = new UltraFastRAG(options)
  opened.push(rag)
  return rag
}

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-embedders-'))
  folders.push(folder)
  return folder
}

/** A folder of models by their names, as `modelsDir` is. */
function modelsDirOf(models: Readonly<Record<string, string>>): string {
  const folder = makeFolder()
  for (const [name, directory] of Object.entries(models)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    symlinkSync(directory, join(folder, name))
  }
  return folder
}

const documents = [
  { id: 'mercury', text: 'Mercury is the planet nearest to the sun. A year there takes 88 days.' },
  { id: 'mars', text: 'Mars is called the red planet. It has two moons, Phobos and Deimos.' },
  { id: 'water', text: 'Water flows down the river to the sea. Many people live near the water.' },
]

/** Ingests, answers, and finds by vectors that are those of the embedder. */
async function expectToWork(rag: UltraFastRAG): Promise<void> {
  expect(await rag.ingest(documents)).toMatchObject({ documents: 3, failed: [], unembedded: 0 })
  const result = await rag.query('Which moons does Mars have?')
  expect(result.answer).toContain('two moons, Phobos and Deimos')
  const hits = await rag.retrieve('people live near the water of a river')
  expect(hits[0]?.chunk.documentId).toBe('water')
  expect(hits[0]?.scores.vector).toBeGreaterThan(0)
  expect(await rag.ingest(documents)).toMatchObject({ documents: 0, unchanged: 3 })
}

const int8 = () => ({ kind: 'onnx', model: modelFolder(), quantization: 'int8' }) as const

describe('a neural embedder', () => {
  it('ingests and answers', async () => {
    const rag = open({ embedder: int8(), storage: makeFolder() })
    await expectToWork(rag)
    const { embedder, indexes } = await rag.stats()
    expect(indexes.vector).toMatchObject({ embedder: 'onnx', vectors: 3 })
    expect(embedder).toMatchObject({ id: 'onnx', dimensions: 64, failed: 0, queued: 0, devices: { 'cpu:0': 1 } })
    // Three passages and two questions.
    expect(embedder?.texts).toBe(5)
    expect(embedder?.tokens).toBeGreaterThan(50)
    expect(embedder?.tokensPerSecond).toBeGreaterThan(0)
    expect(embedder?.batchMs?.p95).toBeGreaterThan(0)
    expect(rag.tracker.summary().gauges.embedder).toMatchObject({ texts: 5, 'devices.cpu:0': 1 })
  })

  it('takes its precision, folder and limits from the options of the top level', async () => {
    const modelsDir = modelsDirOf({ 'sentence-transformers/all-MiniLM-L6-v2': modelFolder() })
    const options = { embedder: 'onnx', modelsDir, maxWorkers: 1, batchSize: 2 } as const
    const told: string[] = []
    const ignore = () => {}
    const logger = { debug: ignore, info: ignore, error: ignore, warn: (message: string) => told.push(message) }
    const plain = open({ ...options, quantization: 'none', logger })
    await expectToWork(plain)
    const quantized = open({ ...options, useQuantization: true, logger })
    await expectToWork(quantized)
    const fingerprints = [(await plain.stats()).embedder, (await quantized.stats()).embedder]
    expect(fingerprints.map((one) => one?.fingerprint)).toEqual([
      expect.stringContaining('/fp32/'),
      expect.stringContaining('/int8/'),
    ])
    expect(told).toEqual([])
  })

  it('gives through AsyncEmbedding the very vectors that an ingest stores', async () => {
    const embedder = { kind: 'onnx', model: modelFolder(), deterministic: true } as const
    const embedding = new AsyncEmbedding({ embedder })
    opened.push(embedding)
    const rag = open({ embedder })
    await rag.ingest(documents)
    const vector = await embedding.embedSingle(documents[1]?.text as string)
    const [hit] = await rag.retrieve({ vector })
    expect(hit?.chunk.documentId).toBe('mars')
    expect(hit?.scores.vector).toBeCloseTo(1, 4)
    const { calls, devices, paddingWaste, texts } = embedding.stats()
    expect({ calls: calls.count, devices, paddingWaste, texts }).toEqual({
      calls: 1,
      devices: { 'cpu:0': 1 },
      paddingWaste: 0,
      texts: 1,
    })
  })

  it('is loaded by warmUp(), so that the first question loads nothing', async () => {
    const rag = open({ embedder: int8() })
    await rag.warmUp()
    const before = (await rag.stats()).embedder
    expect(before?.texts).toBe(1)
    await rag.ingest(documents)
    expect((await rag.stats()).embedder?.texts).toBe(4)
  })

  it('that is another one than before is refused with the way out, which works', async () => {
    const storage = makeFolder()
    const first = open({ embedder: int8(), storage })
    await first.ingest(documents)
    await first.close()
    const second = open({ embedder: { kind: 'onnx', model: modelFolder(), quantization: 'fp32' }, storage })
    for (const refused of [second.ingest(documents), second.query('moons?')]) {
      await expect(refused).rejects.toMatchObject({
        code: 'FINGERPRINT',
        hint: expect.stringMatching(/reindex\(\).*ufrag reindex/),
      })
    }
    await second.reindex()
    expect((await second.retrieve('Mars'))[0]?.scores.vector).toBeGreaterThan(0)
  })
})

describe('an embedder that cannot be loaded', () => {
  it('ends ingest() and query() with its own error, once, and works when that is mended', async () => {
    const model = join(makeFolder(), 'model')
    const rag = open({ embedder: { kind: 'onnx', model } })
    const many = Array.from({ length: 50 }, (_, i) => ({ id: `${i}`, text: `Document ${i}.` }))
    await expect(rag.ingest(many)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(rag.query('Which?')).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(rag.warmUp()).rejects.toMatchObject({ code: 'NOT_FOUND' })
    cpSync(modelFolder(), model, { recursive: true })
    expect(await rag.ingest(many)).toMatchObject({ documents: 50 })
  })

  it('is in nobody’s way who needs no vectors: documents are listed, counted and removed', async () => {
    const [storage, model] = [makeFolder(), join(makeFolder(), 'model')]
    cpSync(modelFolder(), model, { recursive: true })
    const first = open({ storage, embedder: { kind: 'onnx', model } })
    await first.ingest([
      { id: 'a', text: 'A canary sings.' },
      { id: 'b', text: 'A zebra runs.' },
      { id: 'c', text: 'A whale dives.' },
    ])
    await first.close()
    renameSync(model, `${model}-away`)

    const rag = open({ storage, embedder: { kind: 'onnx', model } })
    const ids: string[] = []
    for await (const { id } of rag.documents()) ids.push(id)
    expect(ids.toSorted()).toEqual(['a', 'b', 'c'])
    expect(await rag.remove({ documentId: 'a' })).toBe(1)
    const stats = await rag.stats()
    expect(stats).toMatchObject({ documents: 2, indexes: { lexical: { chunks: 2, epoch: stats.epoch } } })
    expect(stats.indexes).not.toHaveProperty('vector')
    await expect(rag.query('Which animal sings?')).rejects.toMatchObject({ code: 'NOT_FOUND' })

    renameSync(`${model}-away`, model)
    const hits = await rag.retrieve('Which animal runs?')
    expect(hits.map(({ chunk }) => chunk.documentId).toSorted()).toEqual(['b', 'c'])
    expect(hits[0]?.scores.vector).toBeDefined()
    expect((await rag.stats()).indexes.vector).toMatchObject({ vectors: 2 })
  })

  it('because its weights are damaged is told by name, not document by document', async () => {
    const model = join(makeFolder(), 'model')
    cpSync(modelFolder({ weights: ['fp32'] }), model, { recursive: true })
    const weights = join(model, 'onnx', 'model.onnx')
    const bytes = readFileSync(weights)
    // Its end is where the tensors are: the head can still be read.
    writeFileSync(weights, bytes.subarray(0, bytes.length >> 1))
    const rag = open({ embedder: { kind: 'onnx', model }, storage: makeFolder() })
    const progress: string[] = []
    const onProgress = ({ stage }: IngestProgress) => void (stage === 'opened' || progress.push(stage))
    const ingested = rag.ingest(documents, { onProgress })
    await expect(ingested).rejects.toMatchObject({ code: 'INTEGRITY', message: expect.stringContaining('model.onnx') })
    expect(progress).toEqual([])
    await expect(rag.query('moons?')).rejects.toMatchObject({ code: 'INTEGRITY' })
  })
})

describe('other embedders by name', () => {
  it('a static model ingests and answers', async () => {
    const rag = open({ embedder: { kind: 'static', model: staticModelFolder() }, storage: makeFolder(), maxWorkers: 1 })
    await expectToWork(rag)
    expect((await rag.stats()).embedder).toMatchObject({ id: 'static', texts: 5 })
  })

  it('a service with the API of OpenAI ingests and answers, so many texts per call', async () => {
    const fake = createFakeEmbedder()
    const sizes: number[] = []
    const client = {
      baseURL: 'http://localhost:1/v1',
      embeddings: {
        async create({ input }: { readonly input: readonly string[] }) {
          sizes.push(input.length)
          // A service takes a while, in which the next documents gather.
          await new Promise((resolve) => setTimeout(resolve, 100))
          const { vectors } = await fake.embed(input, { kind: 'passage' })
          const data = input.map((_, row) => ({ embedding: [...vectors.subarray(row * 64, (row + 1) * 64)] }))
          return { data, usage: { total_tokens: 3 * input.length } }
        },
      },
    }
    const embedder = { kind: 'openai-compatible', model: 'm', client, dimensions: 64 } as const
    await expectToWork(open({ embedder }))
    sizes.length = 0
    const rag = open({ embedder, batchSize: 10 })
    await rag.ingest(Array.from({ length: 100 }, (_, i) => ({ id: `${i}`, text: `Document ${i}.` })))
    expect(Math.max(...sizes)).toBeLessThanOrEqual(10)
    expect(sizes.length).toBeLessThan(100)
    expect((await rag.stats()).embedder).toMatchObject({ texts: 100, tokens: expect.any(Number), retries: 0 })
  })

  it('a model of the AI SDK ingests and answers', async () => {
    const fake = createFakeEmbedder()
    const model = {
      specificationVersion: 'v3',
      provider: 'fake',
      modelId: 'words',
      maxEmbeddingsPerCall: 8,
      supportsParallelCalls: true,
      async doEmbed({ values }: { readonly values: readonly string[] }) {
        const { vectors } = await fake.embed(values, { kind: 'passage' })
        return { embeddings: values.map((_, row) => [...vectors.subarray(row * 64, (row + 1) * 64)]) }
      },
    }
    await expectToWork(open({ embedder: { kind: 'ai-sdk', model } }))
  })
})

describe('presets with a model at hand', () => {
  const models = () =>
    modelsDirOf({
      'sentence-transformers/all-MiniLM-L6-v2': modelFolder(),
      'minishlab/potion-retrieval-32M': staticModelFolder(),
      'cross-encoder/ms-marco-MiniLM-L6-v2': modelFolder({ output: 'logit' }),
    })

  it.each([
    ['kaggle', {}, /^onnx\/.*\/int8\//],
    ['production', {}, /^onnx\/.*\/int8\//],
    ['research', { rerank: false }, /^onnx\/.*\/fp32\//],
    ['extreme', {}, /^static\//],
  ] as const)('"%s" ingests and answers', async (preset, options, fingerprint) => {
    const rag = open({ preset, modelsDir: models(), ...options })
    await expectToWork(rag)
    expect((await rag.stats()).embedder?.fingerprint).toMatch(fingerprint)
  })

  it('"default" has no embedder', async () => {
    const rag = open({ modelsDir: models() })
    await rag.ingest(documents)
    expect(await rag.stats()).not.toHaveProperty('embedder')
    expect((await rag.retrieve('moons'))[0]?.scores).not.toHaveProperty('vector')
  })
})
