import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Hit, RagError, type Reranker, UltraFastRAG, type UltraFastRAGOptions } from '../../../src/index.js'
import { createCrossEncoder } from '../../../src/rerank/cross-encoder/cross-encoder.js'
import { createFakeEmbedder, createFakeReranker, createScriptedLlm } from '../../../src/testing/index.js'
import { modelFolder } from '../../fixtures/models/model-folder.js'

const opened: UltraFastRAG[] = []
const folders: string[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((rag) => rag.close()))
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

const documents = [
  { id: 'fox', text: 'The red fox runs. The red fox runs through the wood.' },
  { id: 'copy', text: 'The red fox runs. The red fox runs through the wood today.' },
  { id: 'den', text: 'A den of a red animal lies under the old oak.' },
  { id: 'bread', text: 'Bread is red when the beet is in it, said the fox.' },
]

async function open(options: UltraFastRAGOptions, more: readonly { id: string; text: string }[] = []) {
  const rag = new UltraFastRAG(options)
  opened.push(rag)
  await rag.ingest([...documents, ...more])
  return rag
}

const ids = (hits: readonly Hit[]) => hits.map(({ chunk }) => chunk.documentId)

/** Turns the order round. */
const reversing: Reranker = {
  id: 'reversing',
  capabilities: { vectors: false },
  rerank: async ({ candidates }) => [...candidates].reverse().map(({ number }, place) => ({ number, score: -place })),
  close: async () => {},
}
const withRerank = (rerank: Reranker['rerank']): Reranker => ({ ...reversing, rerank })

function loggedTo(warnings: { message: string; data: unknown }[]) {
  const ignore = () => {}
  return {
    debug: ignore,
    info: ignore,
    error: ignore,
    warn: (message: string, data: unknown) => warnings.push({ message, data }),
  }
}

describe('a reranker of one’s own', () => {
  it('decides the order, and its scores are those of the hits', async () => {
    const rag = await open({ rerank: reversing })
    const before = await rag.retrieve('red fox', { rerank: false })
    const after = await rag.retrieve('red fox')
    expect(ids(after)).toEqual(ids(before).reverse())
    expect(after.map(({ score }) => score)).toEqual([-0, -1, -2, -3])
    expect(after[0]?.scores).toEqual({ ...before.at(-1)?.scores, rerank: -0 })
    expect(before[0]?.scores).not.toHaveProperty('rerank')
  })

  it('is given what is indexed, and more than is wanted', async () => {
    const reranker = createFakeReranker()
    const titled = { id: 'titled', title: 'Foxes', text: 'They are red.' }
    const rag = await open({ rerank: reranker }, [titled])
    await rag.retrieve('red fox', { topK: 2 })
    const [request] = reranker.requests
    expect(request).toMatchObject({ question: 'red fox', topK: 2 })
    expect(request?.candidates).toHaveLength(5)
    expect(request?.candidates.map(({ text }) => text)).toContain('Foxes\nThey are red.')
    expect(request?.candidates[0]).not.toHaveProperty('vector')
    await rag.retrieve('red fox', { topK: 1, rerank: { candidates: 2 } })
    expect(reranker.requests[1]?.candidates).toHaveLength(2)
    await rag.retrieve('red fox', { topK: 4, rerank: { candidates: 2 } })
    expect(reranker.requests[2]?.candidates).toHaveLength(4)
  })

  it('may leave candidates out: they follow in the order of the search', async () => {
    const rag = await open({
      rerank: withRerank(async ({ candidates }) => [{ number: candidates[2]!.number, score: 7 }]),
    })
    const before = ids(await rag.retrieve('red fox', { rerank: false }))
    const after = await rag.retrieve('red fox')
    expect(ids(after)).toEqual([before[2], before[0], before[1], before[3]])
    expect(after.map(({ score }) => score)).toEqual([7, 7, 7, 7])
    expect(after.map(({ scores }) => scores.rerank)).toEqual([7, undefined, undefined, undefined])
  })

  it('chooses among the passages of one document, and as many hits come as without it', async () => {
    const sentence = (place: number) =>
      `Passage ${place} of the long one tells of the red fox in a sentence of its own, number ${place}.`
    const long = { id: 'long', text: Array.from({ length: 60 }, (_, place) => sentence(place)).join('\n\n') }
    const reranker = createFakeReranker()
    const rag = await open({ rerank: reranker, chunkSize: 100 }, [long])
    for (const options of [
      { perDocument: 1 },
      { groupBy: 'document' },
      { perDocument: 2, topK: 6 },
      { topK: 30 },
    ] as const) {
      const without = await rag.retrieve('red fox', { ...options, rerank: false })
      const hits = await rag.retrieve('red fox', options)
      expect(hits).toHaveLength(without.length)
      const most =
        'topK' in options && options.topK === 30 ? 30 : ((options as { perDocument?: number }).perDocument ?? 1)
      for (const id of new Set(ids(hits)))
        expect(ids(hits).filter((one) => one === id).length).toBeLessThanOrEqual(most)
      expect(hits.map(({ score }) => score)).toEqual(hits.map(({ score }) => score).sort((a, b) => b - a))
    }
    const asked = reranker.requests[0]?.candidates.filter(({ text }) => text.startsWith('Passage'))
    expect(asked).toHaveLength(2)
  })

  it('is given a thousand hits at most: the others follow in their order, with no better score', async () => {
    const words = {
      id: 'long',
      chunks: Array.from({ length: 1_100 }, (_, place) => ({ text: `fox ${'x '.repeat(place % 50)}` })),
    }
    const rag = new UltraFastRAG({ rerank: reversing })
    opened.push(rag)
    await rag.ingestDocument(words)
    const plain = await rag.retrieve('fox', { topK: 1_050, rerank: false })
    const hits = await rag.retrieve('fox', { topK: 1_050 })
    const idsOf = (found: readonly Hit[]) => found.map(({ chunk }) => chunk.id)
    expect(idsOf(hits)).toEqual([...idsOf(plain).slice(0, 1_000).reverse(), ...idsOf(plain).slice(1_000)])
    expect(hits.map(({ score }) => score)).toEqual(hits.map(({ score }) => score).toSorted((a, b) => b - a))
  })

  it('is not asked about one hit, nor about a vector without words', async () => {
    const reranker = createFakeReranker()
    const rag = await open({ rerank: reranker, embedder: createFakeEmbedder() })
    expect(await rag.retrieve('oak')).not.toHaveLength(0)
    const asked = reranker.requests.length
    const vector = (await createFakeEmbedder().embed(['red fox'], { kind: 'query' })).vectors
    expect(await rag.retrieve({ vector })).toHaveLength(4)
    expect(reranker.requests).toHaveLength(asked)
    await rag.retrieve({ vector, text: 'red fox' })
    expect(reranker.requests).toHaveLength(asked + 1)
  })

  it('orders the sources of an answer, and its time is told', async () => {
    const rag = await open({ rerank: reversing, cacheQueries: false })
    const before = (await rag.query('Where does the red fox run?', { rerank: false })).sources
    const { sources, timings } = await rag.query('Where does the red fox run?')
    expect(ids(sources)).toEqual(ids(before).reverse())
    expect(timings.rerank).toBeGreaterThanOrEqual(0)
    const stages: string[] = []
    for await (const event of rag.stream('Where does the red fox run?'))
      if (event.type === 'status') stages.push(event.stage)
    expect(stages).toEqual(['retrieve', 'rerank', 'pack', 'generate'])
    await rag.retrieve('red fox')
    expect(rag.tracker.summary().stages['query.rerank']?.count).toBe(3)
    expect(rag.tracker.summary().counters['rerank.candidates']).toBeGreaterThan(0)
  })

  it('stays its owner’s to close', async () => {
    let closed = 0
    const rag = await open({ rerank: { ...reversing, close: async () => void closed++ } })
    await rag.retrieve('red fox')
    await rag.close()
    expect(closed).toBe(0)
  })
})

describe('a reranker that fails', () => {
  const failures: readonly [string, Reranker['rerank']][] = [
    ['rejects', async () => Promise.reject(new Error('no service'))],
    [
      'throws',
      () => {
        throw new RagError('PROVIDER', 'down')
      },
    ],
    ['gives nothing', async () => undefined as never],
    ['gives strangers', async () => [{ number: 987_654, score: 1 }]],
    ['gives one twice', async ({ candidates }) => [candidates[0]!, candidates[0]!]],
    ['gives what is no score', async ({ candidates }) => [{ number: candidates[0]!.number, score: Number.NaN }]],
    ['gives the worst first', async ({ candidates }) => candidates.map(({ number }, score) => ({ number, score }))],
  ]
  // One library for all: opening one takes longer than what is tested.
  let rerank: Reranker['rerank'] = failures[0]?.[1] as Reranker['rerank']
  const warnings: { message: string; data: unknown }[] = []
  let rag: UltraFastRAG
  beforeAll(async () => {
    rag = new UltraFastRAG({ rerank: withRerank((...given) => rerank(...given)), logger: loggedTo(warnings) })
    await rag.ingest(documents)
  })
  beforeEach(() => {
    warnings.length = 0
    rag.tracker.reset()
  })
  afterAll(() => rag.close())

  it.each(failures)('%s: the order of the search stays, with a warning and a count', async (_, failing) => {
    rerank = failing
    expect(await rag.retrieve('red fox')).toEqual(await rag.retrieve('red fox', { rerank: false }))
    expect(warnings).toHaveLength(1)
    expect(warnings[0]?.data).toMatchObject({ reranker: 'reversing' })
    expect(JSON.stringify(warnings)).not.toContain('oak')
    expect(rag.tracker.summary().counters['rerank.failed']).toBe(1)
  })

  it.each(['MISSING_PEER', 'NOT_FOUND', 'INTEGRITY', 'UNSUPPORTED', 'BAD_OPTION', 'CLOSED'] as const)(
    'with %s, which no later call will mend, fails the search',
    async (code) => {
      rerank = async () => Promise.reject(new RagError(code, 'never'))
      await expect(rag.retrieve('red fox')).rejects.toMatchObject({ code })
    },
  )

  it('to come to an end ends with the deadline', async () => {
    rerank = () => new Promise(() => {})
    await expect(rag.retrieve('red fox', { deadlineMs: 20 })).rejects.toMatchObject({ code: 'DEADLINE' })
    const reason = new Error('enough')
    const controller = new AbortController()
    const running = rag.retrieve('red fox', { signal: controller.signal })
    setTimeout(() => controller.abort(reason), 5)
    await expect(running).rejects.toBe(reason)
  })
})

describe('rerank: "mmr"', () => {
  it('moves a copy behind what says something else, by words or by stored vectors', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ufrag-rerank-'))
    folders.push(folder)
    const rerank = { kind: 'mmr', lambda: 0.1 } as const
    for (const options of [
      {},
      { embedder: createFakeEmbedder() },
      { embedder: createFakeEmbedder(), storage: folder },
    ]) {
      const rag = await open({ ...options, rerank })
      const plain = ids(await rag.retrieve('red fox runs', { rerank: false }))
      expect(plain.slice(0, 2).sort()).toEqual(['copy', 'fox'])
      const diverse = ids(await rag.retrieve('red fox runs'))
      expect(diverse[0]).toBe(plain[0])
      expect(diverse.at(-1)).toBe(plain[1])
      expect(new Set(diverse)).toEqual(new Set(plain))
    }
  })

  it('reads the vectors of the passages that were found, wherever they lie', async () => {
    let compared: (Float32Array | undefined)[] = []
    const looking: Reranker = {
      ...reversing,
      capabilities: { vectors: true },
      rerank: async ({ candidates }) => {
        compared = candidates.map(({ vector }) => vector)
        return candidates
      },
    }
    const embedder = createFakeEmbedder()
    const long = {
      id: 'long',
      text: Array.from({ length: 3_000 }, (_, place) => `The fox number ${place} is red.`).join('\n\n'),
    }
    const rag = await open({ embedder, rerank: looking, chunkSize: 40 }, [long])
    const hits = await rag.retrieve('The fox number 2718 is red', { topK: 20 })
    const { vectors } = await embedder.embed(
      hits.map(({ chunk }) => chunk.text),
      { kind: 'passage' },
    )
    const dimensions = embedder.dimensions
    expect(hits).toHaveLength(20)
    for (const place of hits.keys()) {
      expect(compared[place]).toEqual(vectors.slice(place * dimensions, (place + 1) * dimensions))
    }
  })

  it('is what "production" uses', async () => {
    const rag = await open({ preset: 'production', embedder: false })
    const hits = await rag.retrieve('red fox')
    expect(hits.map(({ scores }) => scores.rerank)).not.toContain(undefined)
  })
})

describe('rerank: "cross-encoder"', () => {
  it('is what "research" uses, with the precision and the folder of the top level', async () => {
    const modelsDir = mkdtempSync(join(tmpdir(), 'ufrag-rerank-'))
    folders.push(modelsDir)
    mkdirSync(join(modelsDir, 'cross-encoder'))
    const model = modelFolder({ output: 'logit' })
    symlinkSync(model, join(modelsDir, 'cross-encoder', 'ms-marco-MiniLM-L6-v2'))
    const rag = await open({ preset: 'research', embedder: false, modelsDir })
    const hits = await rag.retrieve('red fox')
    const plain = await createCrossEncoder({ model, quantization: 'fp32', device: 'cpu' })
    const candidates = documents.map(({ text }, number) => ({ number, text, language: 'en', score: 0 }))
    const matches = await plain.rerank({ question: 'red fox', candidates, topK: 4 }, {})
    await plain.close()
    expect(ids(hits)).toEqual(matches.map(({ number }) => documents[number]?.id))
    for (const [place, { score, scores }] of hits.entries()) {
      expect(score).toBeCloseTo(matches[place]?.score as number, 4)
      expect(scores.rerank).toBe(score)
    }
    await rag.warmUp()
  })

  it('says what is missing where its model is not there', async () => {
    vi.stubEnv('HF_HUB_OFFLINE', '1')
    vi.stubEnv('HF_HOME', tmpdir())
    const rag = await open({ rerank: { kind: 'cross-encoder', model: 'nobody/no-such-model' } })
    await expect(rag.retrieve('red fox')).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(await rag.retrieve('red fox', { rerank: false })).toHaveLength(4)
    await expect(rag.warmUp()).rejects.toMatchObject({ code: 'NOT_FOUND' })
    vi.unstubAllEnvs()
  })
})

describe('rerank: "llm"', () => {
  it('asks the model that writes the answers, or one of its own', async () => {
    const llm = createScriptedLlm(({ system }) => (system.includes('order') ? ['4, 3, 2, 1'] : ['It runs [1].']))
    const rag = await open({ llm, rerank: 'llm' })
    const plain = ids(await rag.retrieve('red fox', { rerank: false }))
    expect(ids(await rag.retrieve('red fox'))).toEqual(plain.reverse())
    expect((await rag.query('Where is the red fox?')).answer).toBe('It runs [1].')
    const own = await open({
      rerank: {
        kind: 'llm',
        llm: async function* () {
          yield '2'
        },
      },
    })
    expect(ids(await own.retrieve('red fox'))[0]).toBe(ids(await own.retrieve('red fox', { rerank: false }))[1])
  })

  it('leaves the order of the search where the model writes something else', async () => {
    const rag = await open({ llm: createScriptedLlm(['No.']), rerank: 'llm' })
    expect(await rag.retrieve('red fox')).toEqual(await rag.retrieve('red fox', { rerank: false }))
    expect(rag.tracker.summary().counters['rerank.failed']).toBe(1)
  })

  it('needs a model that follows instructions', async () => {
    expect(() => new UltraFastRAG({ rerank: 'llm' })).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }))
    const rag = await open({})
    await expect(rag.retrieve('red fox', { rerank: 'llm' })).rejects.toMatchObject({ code: 'BAD_OPTION' })
  })
})

describe('one call', () => {
  it('chooses another reranker, or none', async () => {
    const rag = await open({ rerank: reversing })
    expect((await rag.retrieve('red fox', { rerank: 'mmr' }))[0]?.score).toBe(0.8)
    expect((await rag.retrieve('red fox', { rerank: { kind: 'mmr', candidates: 3 } }))[0]?.score).toBe(0.8)
    expect((await rag.retrieve('red fox', { rerank: true }))[0]?.score).toBe(-0)
    expect((await rag.query('Where is the red fox?', { rerank: 'mmr' })).sources[0]?.score).toBe(0.8)
  })

  it('says how much of what is new counts, also where another call said otherwise', async () => {
    const rag = await open({ rerank: { kind: 'mmr', lambda: 0.9 } })
    const search = async (lambda?: number) =>
      ids(await rag.retrieve('red fox runs', { rerank: { kind: 'mmr', ...(lambda === undefined ? {} : { lambda }) } }))
    const plain = ids(await rag.retrieve('red fox runs', { rerank: false }))
    expect(await search(1)).toEqual(plain)
    expect((await search(0.1)).at(-1)).toBe(plain[1])
    expect(await search(1)).toEqual(plain)
    expect(await search()).toEqual(ids(await rag.retrieve('red fox runs')))
  })

  it('is refused what there is not', async () => {
    const rag = await open({})
    const refused = async (rerank: never) => (await rag.retrieve('red fox', { rerank }).catch((error) => error)).code
    expect(await refused(true as never)).toBe('BAD_OPTION')
    expect(await refused({ candidates: 5 } as never)).toBe('BAD_OPTION')
    expect(await refused('mnr' as never)).toBe('BAD_OPTION')
    expect(await refused({ kind: 'mmr', candidates: 0 } as never)).toBe('BAD_OPTION')
    expect(await refused({ kind: 'mmr', lamda: 0 } as never)).toBe('BAD_OPTION')
    expect(await refused({ kind: 'mmr', lambda: 1.1 } as never)).toBe('BAD_OPTION')
    expect(await refused({ kind: 'cross-encoder', lambda: 1 } as never)).toBe('BAD_OPTION')
    expect(await refused(null as never)).toBe('BAD_OPTION')
    expect(await refused({ kind: 'toString' } as never)).toBe('BAD_OPTION')
  })
})
