import { afterEach, describe, expect, it } from 'vitest'
import {
  type Hit,
  ParallelRetriever,
  type ParallelRetrieverOptions,
  RagError,
  type Retrievable,
  type RetrieveOptions,
  UltraFastRAG,
} from '../../../src/index.js'
import { createFakeEmbedder } from '../../../src/testing/fakes.js'

const opened: UltraFastRAG[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((rag) => rag.close()))
})

async function filled(texts: Readonly<Record<string, string>>, options = {}): Promise<UltraFastRAG> {
  const rag = new UltraFastRAG({ embedder: createFakeEmbedder(), ...options })
  opened.push(rag)
  await rag.ingest(Object.entries(texts).map(([id, text]) => ({ id, text, metadata: { id } })))
  return rag
}

function hit(documentId: string, text: string, scores: Hit['scores']): Hit {
  const chunk = {
    id: `${documentId}/0`,
    documentId,
    ordinal: 0,
    text,
    span: { start: 0, end: text.length },
    title: '',
    headings: [],
    language: 'en',
    metadata: {},
  }
  return { chunk, score: 1, scores }
}

/** A source that says what it is told to, and keeps what it was asked. */
function scripted(
  answer: (options: RetrieveOptions) => Promise<Hit[]> | Hit[],
): Retrievable & { asked: RetrieveOptions[] } {
  const asked: RetrieveOptions[] = []
  return {
    asked,
    retrieve: async (_question, options = {}) => {
      asked.push(options)
      return answer(options)
    },
  }
}

const failing = (code: string) => expect.objectContaining({ code })

describe('ParallelRetriever', () => {
  it('searches instances and namespaces, and names the source of each hit', async () => {
    const fruit = await filled({ apple: 'An apple is a sweet fruit.', plum: 'A plum is a small fruit.' })
    const space = await filled({ mars: 'Mars is a red planet.', moon: 'The moon is no planet.' })
    await space.namespace('cars').ingest([{ id: 'wheel', text: 'A wheel is round like an apple.' }])
    const everywhere = new ParallelRetriever({ sources: { fruit, space, cars: space.namespace('cars') } })
    const { hits, failed } = await everywhere.retrieve('sweet apple fruit', { topK: 3 })
    expect(failed).toEqual([])
    expect(hits.length).toBe(3)
    expect(hits[0]).toMatchObject({ source: 'fruit', chunk: { documentId: 'apple' } })
    expect(hits.map(({ score }) => score)).toEqual([...hits.map(({ score }) => score)].sort((a, b) => b - a))
    const none = await everywhere.retrieve('red planet', { filter: { id: 'moon' } })
    expect(none.hits.map(({ source, chunk }) => [source, chunk.documentId])).toEqual([['space', 'moon']])
  })

  it('adds the similarity among all sources and the words within each, half and half', async () => {
    const a = scripted(() => [hit('a1', 'one', { lexical: 1.5, vector: 0.2 }), hit('a2', 'two', { lexical: 0.75 })])
    const b = scripted(() => [hit('b1', 'three', { vector: 0.8, lexical: 0.3 }), hit('b2', 'four', {})])
    const { hits } = await new ParallelRetriever({ sources: { a, b } }).retrieve('x')
    expect(hits.map(({ chunk, score }) => [chunk.documentId, Number(score.toFixed(6))])).toEqual([
      ['b1', 1],
      ['a1', Number((0.5 + (0.5 * 1.2) / 1.8).toFixed(6))],
      ['a2', 0.25],
      ['b2', 0],
    ])
    const weighted = new ParallelRetriever({ sources: { a, b }, weights: { a: 3 } })
    expect((await weighted.retrieve('x')).hits.map(({ chunk }) => chunk.documentId)).toEqual(['a1', 'b1', 'a2', 'b2'])
  })

  it('fuses by rank where it is told to, equals in the order of the sources', async () => {
    const a = scripted(() => [hit('a1', 'one', { lexical: 9 }), hit('a2', 'two', { lexical: 1 })])
    const b = scripted(() => [hit('b1', 'three', { vector: 0.1 }), hit('b2', 'four', { vector: 0 })])
    const ids = async (options: Partial<ParallelRetrieverOptions>) => {
      const { hits } = await new ParallelRetriever({ sources: { a, b }, ranking: 'rank', ...options }).retrieve('x')
      return hits.map(({ chunk }) => chunk.documentId)
    }
    expect(await ids({})).toEqual(['a1', 'b1', 'a2', 'b2'])
    expect(await ids({ weights: { b: 2 } })).toEqual(['b1', 'b2', 'a1', 'a2'])
  })

  it('shows each text once, at its best, and says where else it was found', async () => {
    const a = await filled({ one: 'The  same text\nhere.', other: 'Something about text.' })
    const b = await filled({ two: 'The same text here.', three: 'The same text here.' })
    const { hits } = await new ParallelRetriever({ sources: { a, b } }).retrieve('same text here')
    const same = hits.filter(({ chunk }) => /same/.test(chunk.text))
    expect(same.length).toBe(1)
    expect(same[0]?.duplicates?.length).toBe(2)
    const all = [same[0], ...(same[0]?.duplicates ?? [])].map((one) => one?.source)
    expect(all.sort()).toEqual(['a', 'b', 'b'])
    expect(hits.filter(({ duplicates }) => duplicates !== undefined).length).toBe(1)
  })

  it('asks for more when equal texts leave too few', async () => {
    const copies = Array.from({ length: 40 }, (_, i) =>
      hit(`c${i}`, i < 30 ? 'copy' : `own ${i}`, { lexical: 1 - i / 100 }),
    )
    const a = scripted(({ topK = 0 }) => copies.slice(0, topK))
    const { hits } = await new ParallelRetriever({ sources: { a } }).retrieve('x', { topK: 5 })
    expect(hits.map(({ chunk }) => chunk.text)).toEqual(['copy', 'own 30', 'own 31', 'own 32', 'own 33'])
    expect(a.asked.map(({ topK }) => topK)).toEqual([5, 10, 20, 40])
    const all = await new ParallelRetriever({ sources: { a } }).retrieve('x', { topK: 20 })
    expect(all.hits.length).toBe(11)
  })

  it('reports a source that fails or is late, and gives what the others found', async () => {
    const sound = scripted(() => [hit('a', 'text', { lexical: 1 })])
    const broken = scripted(() => {
      throw new RagError('STORAGE', 'gone')
    })
    const silent = scripted(() => new Promise<Hit[]>(() => {}))
    const sources = { broken, sound, silent }
    const some = new ParallelRetriever({ sources, sourceDeadlineMs: 30 })
    const { hits, failed } = await some.retrieve('x')
    expect(hits.map(({ source }) => source)).toEqual(['sound'])
    expect(failed).toEqual([
      { source: 'broken', error: failing('STORAGE') },
      { source: 'silent', error: failing('DEADLINE') },
    ])
    expect(silent.asked[0]?.signal?.aborted).toBe(true)
    const strict = new ParallelRetriever({ sources, onFailure: 'throw' })
    await expect(strict.retrieve('x')).rejects.toEqual(failing('STORAGE'))
  })

  it('fails when no source can be searched, with the mistake itself when it is the caller’s', async () => {
    const broken = scripted(() => Promise.reject(new RagError('STORAGE', 'gone')))
    await expect(new ParallelRetriever({ sources: { broken } }).retrieve('x')).rejects.toEqual(failing('STORAGE'))
    const both = new ParallelRetriever({ sources: { broken, again: broken } })
    await expect(both.retrieve('x')).rejects.toMatchObject({ code: 'PROVIDER', data: { sources: ['broken', 'again'] } })
    const [a, b] = [await filled({}), await filled({})]
    const rag = new ParallelRetriever({ sources: { a, b } })
    await expect(rag.retrieve('x', { filter: { a: { $foo: 1 } } as never })).rejects.toEqual(failing('BAD_FILTER'))
    await expect(rag.retrieve({ vector: new Float32Array(3) })).rejects.toEqual(failing('BAD_INPUT'))
    await expect(rag.retrieve('x', { topK: 0 })).rejects.toEqual(failing('BAD_OPTION'))
  })

  it('ends with the caller’s reason or DEADLINE, also while a source is silent', async () => {
    const silent = scripted(() => new Promise<Hit[]>(() => {}))
    const everywhere = new ParallelRetriever({ sources: { silent } })
    const controller = new AbortController()
    const waiting = everywhere.retrieve('x', { signal: controller.signal })
    const reason = new Error('enough')
    setImmediate(() => controller.abort(reason))
    await expect(waiting).rejects.toBe(reason)
    await expect(everywhere.retrieve('x', { deadlineMs: 20 })).rejects.toEqual(failing('DEADLINE'))
  })

  it.each<[object, string]>([
    [{}, 'no sources'],
    [{ sources: {} }, 'none'],
    [{ sources: { a: {} } }, 'a source without retrieve()'],
    [{ sources: { a: scripted(() => []) }, weights: { b: 1 } }, 'a weight of nothing'],
    [{ sources: { a: scripted(() => []) }, weights: { a: 0 } }, 'a weight of 0'],
    [{ sources: { a: scripted(() => []) }, ranking: 'best' }, 'another ranking'],
    [{ sources: { a: scripted(() => []) }, onFailure: 'ignore' }, 'another onFailure'],
    [{ sources: { a: scripted(() => []) }, sourceDeadlineMs: -1 }, 'a deadline that is over'],
    [{ source: {} }, 'an unknown option'],
  ])('refuses %o: %s', (options, _why) => {
    expect(() => new ParallelRetriever(options as never)).toThrow(failing('BAD_OPTION'))
  })
})
