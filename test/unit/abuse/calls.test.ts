import { describe, expect, it } from 'vitest'
import { failing, open, wrong } from './support.js'

/** What callers without types, or with a variable that was not set, hand over. */
describe('calls with wrong arguments are refused by name', () => {
  it.each([undefined, null, 42, true, {}, { text: 'x' }, () => {}])('ingest(%o)', async (inputs) => {
    await expect(open().ingest(wrong(inputs))).rejects.toEqual(failing('BAD_INPUT'))
  })

  it.each([undefined, null, 42, {}, [], { text: 'x' }, { vector: null }, { vector: 'x' }, Symbol('x')])(
    'retrieve(%o) and query(%o)',
    async (question) => {
      const rag = open({ embedder: 'hashing' })
      await expect(rag.retrieve(wrong(question))).rejects.toEqual(failing('BAD_INPUT'))
      await expect(rag.query(wrong(question))).rejects.toEqual(failing('BAD_INPUT'))
    },
  )

  it.each([
    null,
    5,
    [],
    { topk: 5 },
    { topK: '5' },
    { topK: Number.NaN },
    { topK: 1e9 },
    { perDocument: 0 },
    { groupBy: 'documents' },
    { maxContextChars: Number.NaN },
    { maxContextChars: -1 },
    { signal: 'x' },
    { signal: {} },
    { deadlineMs: 'soon' },
    { deadlineMs: Number.NaN },
  ])('retrieve and query with options %o', async (options) => {
    const rag = open()
    await expect(rag.retrieve('x', wrong(options))).rejects.toEqual(failing('BAD_OPTION'))
    await expect(rag.query('x', wrong(options))).rejects.toEqual(failing('BAD_OPTION'))
    await expect(rag.stream('x', wrong(options)).next()).rejects.toEqual(failing('BAD_OPTION'))
    await expect(rag.queryBatch(['x'], wrong(options))).rejects.toEqual(failing('BAD_OPTION'))
  })

  it('a misspelt option names the right one', async () => {
    await expect(open().retrieve('x', wrong({ topk: 5 }))).rejects.toMatchObject({ hint: 'Did you mean "topK"?' })
  })

  it.each([undefined, null, 'a', 5, {}, { documentId: 5 }, { documentId: [5] }, { documentId: 'a', filter: {} }])(
    'remove(%o) removes nothing',
    async (target) => {
      const rag = open()
      await rag.ingest([{ id: 'a', text: 'A fox.' }])
      await expect(rag.remove(wrong(target))).rejects.toEqual(failing('BAD_INPUT'))
      expect((await rag.stats()).documents).toBe(1)
    },
  )

  it.each([undefined, null, 'abc', 5])('queryBatch(%o)', async (questions) => {
    await expect(open().queryBatch(wrong(questions))).rejects.toEqual(failing('BAD_INPUT'))
  })

  // A tenant that is missing must never become one that all share.
  it.each([undefined, null, 5, ['a'], '', 'a/b', 'a\n', 'x'.repeat(129)])('namespace(%o)', (name) => {
    expect(() => open().namespace(wrong(name))).toThrow(failing('BAD_OPTION'))
  })

  it.each([null, 5, { onProgress: 5 }, { onprogress() {} }, { signal: 'x' }])(
    'ingest with options %o',
    async (options) => {
      await expect(open().ingest([], wrong(options))).rejects.toEqual(failing('BAD_OPTION'))
    },
  )
})

describe('documents with wrong contents fail alone, by name', () => {
  const cyclic: Record<string, unknown> = {}
  cyclic.self = cyclic
  let deep: unknown = 1
  for (let level = 0; level < 20_000; level++) deep = { deep }
  const throwing = {
    id: 'x',
    text: 'x',
    get metadata() {
      throw new Error('getter')
    },
  }

  it.each([
    ['nothing', undefined],
    ['the empty path, which would be the whole working directory', ''],
    ['an object with the empty path', { path: '' }],
    ['two contents', { text: 'a', path: 'b' }],
    ['metadata that is a text', { text: 'a', metadata: 'x' }],
    ['metadata that is null', { text: 'a', metadata: null }],
    ['metadata that is a list', { text: 'a', metadata: [1] }],
    ['metadata with a big integer', { text: 'a', metadata: { n: 1n } }],
    ['metadata with NaN', { text: 'a', metadata: { n: Number.NaN } }],
    ['metadata with a function', { text: 'a', metadata: { f() {} } }],
    ['metadata with a map', { text: 'a', metadata: { m: new Map() } }],
    ['metadata that holds itself', { text: 'a', metadata: cyclic }],
    ['metadata nested 20,000 deep', { text: 'a', metadata: { deep } }],
    ['a getter that throws', throwing],
    ['a title that is a number', { text: 'a', title: 5 }],
    ['an id with half a character', { text: 'a', id: '\ud800' }],
    ['an id of 1,025 bytes', { text: 'a', id: 'x'.repeat(1025) }],
    ['a chunk that is null', { id: 'x', chunks: [null] }],
    ['a chunk without words', { id: 'x', chunks: [{ text: ' \n' }] }],
    ['a chunk with metadata that cannot be stored', { id: 'x', chunks: [{ text: 'a', metadata: { f() {} } }] }],
    ['a chunk with half a span', { id: 'x', chunks: [{ text: 'a', span: { start: 3 } }] }],
    [
      'a chunk with a span that ends before it starts',
      { id: 'x', chunks: [{ text: 'a', span: { start: 5, end: 2 } }] },
    ],
    ['a chunk on page "x"', { id: 'x', chunks: [{ text: 'a', span: { start: 0, end: 1, page: 'x' } }] }],
    ['a vector that is a text', { id: 'x', chunks: [{ text: 'a', vector: 'abc' }] }],
    ['a vector of another length', { id: 'x', chunks: [{ text: 'a', vector: [1] }] }],
    ['a vector with NaN', { id: 'x', chunks: [{ text: 'a', vector: [Number.NaN, 1, 1, 1] }] }],
    ['a vector of zeros', { id: 'x', chunks: [{ text: 'a', vector: [0, 0, 0, 0] }] }],
  ])('%s', async (_, input) => {
    const rag = open({ embedder: { kind: 'hashing', dimensions: 4 } })
    const report = await rag.ingest([wrong(input), { id: 'good', text: 'A fox.' }])
    expect(report.failed).toEqual([expect.objectContaining({ error: failing('BAD_INPUT') })])
    expect(report.documents).toBe(1)
    expect((await rag.retrieve('fox')).length).toBe(1)
  })

  it('keeps keys like __proto__ in metadata without touching any prototype', async () => {
    const rag = open({ storage: { kind: 'memory' } })
    const metadata = JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}')
    await rag.ingest([{ id: 'a', text: 'A fox.', metadata }])
    expect(({} as { polluted?: number }).polluted).toBeUndefined()
    const [hit] = await rag.retrieve('fox', { filter: wrong(JSON.parse('{"__proto__.polluted":1}')) })
    expect(JSON.stringify(hit?.chunk.metadata)).toBe(JSON.stringify(metadata))
  })

  it('scales the vector of a question, of any length, to the same scores', async () => {
    const rag = open({ embedder: { kind: 'hashing', dimensions: 4 } })
    await rag.ingest([{ id: 'a', chunks: [{ text: 'A fox.', vector: [3, 0, 0, 4] }] }])
    const scores = await Promise.all(
      [
        [0.6, 0, 0, 0.8],
        [60, 0, 0, 80],
      ].map(async (vector) => (await rag.retrieve(wrong({ vector })))[0]?.scores.vector),
    )
    expect(scores[0]).toBeCloseTo(1, 5)
    expect(scores[1]).toBeCloseTo(1, 5)
    await expect(rag.retrieve({ vector: new Float32Array(4) })).rejects.toEqual(failing('BAD_INPUT'))
  })
})
