import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js'
import type { Progress } from '@modelcontextprotocol/sdk/types.js'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { RagError } from '../../../src/core/errors.js'
import type { RetrieveOptions } from '../../../src/core/search.js'
import { createMcpServer, type McpRag, type McpServerOptions } from '../../../src/mcp/index.js'
import { UltraFastRAG } from '../../../src/ultra-fast-rag.js'

const rag = new UltraFastRAG({ embedder: false })
beforeAll(() =>
  rag.ingest([
    {
      id: 'Füße/茶.md',
      text: '# Green tea\n\nGreen tea is brewed at 75 degrees. It is steeped for two minutes.',
      mediaType: 'text/markdown',
      metadata: { shelf: 1, tags: ['hot'] },
    },
    { id: 'coffee', title: 'Coffee', text: 'Espresso is brewed under pressure.', metadata: { shelf: 2 } },
  ]),
)
afterAll(() => rag.close())

const open: Client[] = []
afterEach(() => Promise.all(open.splice(0).map((client) => client.close())))

async function connect(used: McpRag = rag, options: McpServerOptions = {}): Promise<Client> {
  const server = await createMcpServer(used, options)
  const [near, far] = InMemoryTransport.createLinkedPair()
  const client = new Client({ name: 'test', version: '1' })
  await Promise.all([server.connect(far), client.connect(near)])
  open.push(client)
  // The client checks structured content against the schemas it has seen.
  await client.listTools()
  return client
}

type Result = {
  isError?: boolean
  structuredContent?: Record<string, never>
  content: { type: string; text: string }[]
}
async function call(client: Client, name: string, given: Record<string, unknown> = {}): Promise<Result> {
  return (await client.callTool({ name, arguments: given })) as Result
}

describe('the MCP server', () => {
  it('says who it is, and lists three tools that change nothing', async () => {
    const client = await connect(rag, { name: 'kitchen', instructions: 'The kitchen handbook.' })
    expect(client.getServerVersion()).toMatchObject({
      name: 'kitchen',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    })
    expect(client.getInstructions()).toBe('The kitchen handbook.')
    const listed = await client.listTools()
    expect(listed.tools.map(({ name }) => name)).toEqual(['search', 'answer', 'list_documents'])
    for (const { annotations, inputSchema, outputSchema } of listed.tools) {
      expect(annotations).toMatchObject({ readOnlyHint: true, destructiveHint: false })
      expect(inputSchema.additionalProperties).toBe(false)
      expect(outputSchema?.type).toBe('object')
    }
  })

  it('refuses options that it does not know', async () => {
    await expect(createMcpServer(rag, { instruction: 'x' } as never)).rejects.toMatchObject({
      code: 'BAD_OPTION',
      hint: 'Did you mean "instructions"?',
    })
  })

  it('searches, with the place of every passage, as structure and as text', async () => {
    const { content, structuredContent } = await call(await connect(), 'search', {
      query: 'green tea degrees',
      topK: 1,
    })
    const [hit] = await rag.retrieve('green tea degrees', { topK: 1 })
    expect(structuredContent).toEqual({
      passages: [
        {
          number: 1,
          text: hit?.chunk.text,
          documentId: 'Füße/茶.md',
          title: 'Green tea',
          chunkId: hit?.chunk.id,
          headings: ['Green tea'],
          start: hit?.chunk.span.start,
          end: hit?.chunk.span.end,
          score: hit?.score,
          metadata: { shelf: 1, tags: ['hot'] },
        },
      ],
    })
    expect(JSON.parse(content[0]?.text ?? '')).toEqual(structuredContent)
  })

  it('answers with citations, and tells how far it is when asked', async () => {
    const client = await connect()
    const told: Progress[] = []
    const asked = { name: 'answer', arguments: { question: 'At how many degrees is green tea brewed?' } }
    const result = (await client.callTool(asked, undefined, { onprogress: (one) => told.push(one) })) as Result
    expect(result.structuredContent).toMatchObject({
      outcome: 'answered',
      answer: expect.stringContaining('75 degrees'),
      citations: [{ marker: 1, documentId: 'Füße/茶.md', quote: expect.stringContaining('75 degrees') }],
      sources: expect.arrayContaining([expect.objectContaining({ marker: 1, documentId: 'Füße/茶.md' })]),
    })
    expect(told.length).toBeGreaterThan(1)
    const steps = told.map(({ progress }) => progress)
    expect(steps).toEqual([...new Set(steps)].sort((a, b) => a - b))
    expect(told.every(({ message, total }) => total === 5 && message !== '')).toBe(true)
  })

  it('says so when the documents do not answer', async () => {
    const { isError, structuredContent } = await call(await connect(), 'answer', { question: 'Who won the world cup?' })
    expect(isError).toBeUndefined()
    expect(structuredContent).toMatchObject({ outcome: 'no-answer', answer: '', citations: [], sources: [] })
    expect(structuredContent?.reason).not.toBe('')
  })

  it('lists documents page by page, each once, also when some go in between', async () => {
    await using many = new UltraFastRAG({ embedder: false })
    const ids = ['a', 'b', 'ß', '\uffee', '👍🏽', ...Array.from({ length: 20 }, (_, i) => `n${i}`)]
    await many.ingest(ids.map((id) => ({ id, text: `text of ${id}`, metadata: { even: id.length % 2 === 0 } })))
    const client = await connect(many)
    const seen: string[] = []
    let cursor: string | undefined
    do {
      const { structuredContent } = await call(client, 'list_documents', { limit: 6, ...(cursor && { cursor }) })
      const { documents, nextCursor } = structuredContent as never as {
        documents: { id: string }[]
        nextCursor?: string
      }
      expect(documents.length).toBeLessThanOrEqual(6)
      seen.push(...documents.map(({ id }) => id))
      await many.remove({ documentId: documents.at(-1)?.id ?? '' })
      cursor = nextCursor
    } while (cursor !== undefined)
    expect([...seen].sort()).toEqual([...ids].sort())
    const even = await call(client, 'list_documents', { filter: { even: true } })
    expect(even.structuredContent).toMatchObject({ documents: expect.any(Array) })
    const { structuredContent } = await call(await connect(), 'list_documents')
    expect(structuredContent?.documents?.[1]).not.toHaveProperty('source')
    expect(structuredContent).toMatchObject({
      documents: [
        { id: 'Füße/茶.md', title: 'Green tea', chunks: 1, committedAt: expect.stringMatching(/^\d{4}-.*Z$/) },
        { id: 'coffee', title: 'Coffee', metadata: { shelf: 2 } },
      ].sort((one, other) => (one.id < other.id ? -1 : 1)),
    })
  })

  it('finds nothing in an empty store', async () => {
    await using empty = new UltraFastRAG()
    const client = await connect(empty)
    expect((await call(client, 'search', { query: 'tea' })).structuredContent).toEqual({ passages: [] })
    expect((await call(client, 'list_documents')).structuredContent).toEqual({ documents: [] })
    expect((await call(client, 'answer', { question: 'tea?' })).structuredContent).toMatchObject({
      outcome: 'no-answer',
    })
  })

  it('tells a model what is wrong with its arguments, without repeating them', async () => {
    const client = await connect()
    const wrong: [name: string, given: Record<string, unknown>, message: string][] = [
      ['search', {}, '"query" is missing'],
      ['search', { query: null }, '"query" is missing'],
      ['search', { query: ' ' }, '"query" must not be empty'],
      ['search', { query: 7 }, '"query" must be a text'],
      ['search', { query: 'confidential', topK: 51 }, '"topK" must be a whole number from 1 to 50'],
      ['search', { query: 'confidential', topK: 1.5 }, '"topK" must be a whole number from 1 to 50'],
      ['search', { query: 'confidential', topk: 5 }, 'Did you mean "topK"?'],
      ['search', { query: 'confidential', filter: 'x' }, '"filter" must be an object'],
      ['search', { query: 'confidential', filter: { a: { $near: 1 } } }, 'BAD_FILTER'],
      ['search', { query: 'confidential'.repeat(10_000) }, 'LIMIT'],
      ['search', { query: 'confidential', constructor: 1 }, '"constructor" is unknown'],
      ['list_documents', { cursor: 'nonsense' }, '"cursor" is none that this server gave'],
      ['list_documents', { limit: 0 }, '"limit" must be a whole number from 1 to 200'],
    ]
    for (const [name, given, message] of wrong) {
      const { content, isError } = await call(client, name, given)
      expect([name, given, isError, content[0]?.text]).toEqual([name, given, true, expect.stringContaining(message)])
      expect(content[0]?.text).toMatch(/^[A-Z_]+: /)
      expect(content[0]?.text).not.toContain('confidential')
    }
    await expect(call(client, 'drop_table')).rejects.toMatchObject({ code: -32602 })
  })

  it('leaves out arguments that are null, as models write them', async () => {
    const { structuredContent } = await call(await connect(), 'search', { query: 'brewed', topK: null, filter: null })
    expect(structuredContent?.passages).toHaveLength(2)
  })

  it('never loosens its own filter for that of a call', async () => {
    const client = await connect(rag, { filter: { shelf: 2 } })
    const found = async (filter?: object) =>
      (await call(client, 'search', { query: 'brewed', ...(filter && { filter }) })).structuredContent?.passages
    expect(await found()).toMatchObject([{ documentId: 'coffee' }])
    expect(await found({ shelf: 1 })).toEqual([])
    expect(await found({ $or: [{ shelf: 1 }, { shelf: 2 }] })).toMatchObject([{ documentId: 'coffee' }])
    expect((await call(client, 'list_documents')).structuredContent?.documents).toMatchObject([{ id: 'coffee' }])
    const { structuredContent } = await call(client, 'answer', { question: 'At how many degrees is green tea brewed?' })
    expect(JSON.stringify(structuredContent)).not.toContain('75 degrees')
  })

  it('tells of failures by code and hint; of what is no RagError, nothing', async () => {
    const told: unknown[] = []
    const failing = (error: unknown): McpRag => ({ ...emptyRag, retrieve: () => Promise.reject(error) })
    const logger = { warn: (...all: unknown[]) => told.push(all) }
    const ours = await connect(failing(new RagError('TIMEOUT', 'It took too long.', { hint: 'Wait.' })), { logger })
    expect(await call(ours, 'search', { query: 'x' })).toMatchObject({
      isError: true,
      content: [{ text: 'TIMEOUT: It took too long.\nWait.' }],
    })
    const theirs = await connect(failing(new TypeError('the text of a document')), { logger })
    const result = await call(theirs, 'search', { query: 'x' })
    expect(result).toMatchObject({ isError: true, content: [{ text: 'UNEXPECTED: The tool failed unexpectedly.' }] })
    expect(told).toEqual([['A tool failed unexpectedly.', { tool: 'search', error: 'TypeError' }]])
  })

  it('aborts a call that the client cancels, that takes too long, or whose client is gone', async () => {
    const reasons: unknown[] = []
    const waiting: McpRag = {
      ...emptyRag,
      retrieve: (_, { signal }: RetrieveOptions = {}) =>
        new Promise((_, reject) =>
          signal?.addEventListener('abort', () => {
            reasons.push(signal.reason)
            reject(signal.reason)
          }),
        ),
    }
    const client = await connect(waiting)
    const controller = new AbortController()
    const asked = { name: 'search', arguments: { query: 'x' } }
    const cancelled = client.callTool(asked, undefined, { signal: controller.signal })
    const late = client.callTool(asked, undefined, { timeout: 20 })
    const left = client.callTool(asked)
    await Promise.all([
      expect(late).rejects.toMatchObject({ code: -32001 }),
      expect(cancelled).rejects.toThrow(),
      expect(left).rejects.toThrow(),
      new Promise((resolve) => setTimeout(resolve, 30))
        .then(() => controller.abort('enough'))
        .then(() => new Promise(setImmediate))
        .then(() => client.close()),
    ])
    await expect.poll(() => reasons.length).toBe(3)
  })

  it('serves many calls at once', async () => {
    const client = await connect()
    const results = await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        call(client, 'search', { query: i % 2 ? 'espresso' : 'green tea', topK: 1 }),
      ),
    )
    expect(
      results.map(({ structuredContent }) => (structuredContent as never as Found).passages[0]?.documentId),
    ).toEqual(Array.from({ length: 100 }, (_, i) => (i % 2 ? 'coffee' : 'Füße/茶.md')))
  })
})

interface Found {
  readonly passages: readonly { readonly documentId: string }[]
}

const emptyRag: McpRag = {
  retrieve: async () => [],
  async *stream() {},
  async *documents() {},
}
