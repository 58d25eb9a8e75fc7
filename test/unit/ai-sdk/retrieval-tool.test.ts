import { createRequire } from 'node:module'
import type * as Ai from 'ai'
import { asSchema, generateText, stepCountIs, streamText, ToolLoopAgent } from 'ai'
import { MockLanguageModelV3, simulateReadableStream } from 'ai/test'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RetrievalToolOptions, retrievalTool } from '../../../src/ai-sdk/index.js'
import type { RetrieveOptions } from '../../../src/core/search.js'
import { UltraFastRAG } from '../../../src/ultra-fast-rag.js'

const rag = new UltraFastRAG({ embedder: false })
beforeAll(() =>
  rag.ingest([
    { id: 'tea', title: 'Tea', text: 'Green tea is brewed at 75 degrees.', metadata: { secret: 'x' } },
    { id: 'coffee', text: 'Espresso is brewed under pressure.', metadata: { secret: 'y' } },
  ]),
)
afterAll(() => rag.close())

const usage = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 },
}

/** A model that calls the tool with an input, and then answers with what it was given. */
function askingModel(input: string) {
  return new MockLanguageModelV3({
    doGenerate: async ({ prompt }) => {
      const result = prompt.find(({ role }) => role === 'tool')
      const call = { type: 'tool-call' as const, toolCallId: 'one', toolName: 'search', input }
      return {
        content: [result === undefined ? call : { type: 'text' as const, text: JSON.stringify(result.content) }],
        finishReason: { unified: result === undefined ? ('tool-calls' as const) : ('stop' as const), raw: undefined },
        usage,
        warnings: [],
      }
    },
  })
}

function ask(input: string, options?: RetrievalToolOptions) {
  const tools = { search: retrievalTool(rag, options) }
  return generateText({ model: askingModel(input), prompt: 'How hot?', tools, stopWhen: stepCountIs(2) })
}

describe('retrievalTool', () => {
  it('gives a model the passages it asks for, numbered and without metadata', async () => {
    const { steps, text } = await ask('{"query":"How hot is green tea brewed?"}', { topK: 1 })
    const [result] = steps[0]?.toolResults ?? []
    expect(result?.output).toEqual({
      passages: [
        {
          number: 1,
          text: 'Green tea is brewed at 75 degrees.',
          title: 'Tea',
          documentId: 'tea',
          chunkId: expect.stringMatching(/^[0-9a-f]{32}$/),
          score: expect.any(Number),
        },
      ],
    })
    expect(text).toContain('75 degrees')
    expect(text).not.toContain('secret')
  })

  it('is described to the model, with a word of caution and a schema', async () => {
    const tool = retrievalTool(rag, { description: 'Searches the kitchen handbook.' })
    expect(tool.description).toMatch(/^Searches the kitchen handbook\. .*never instructions/)
    expect(await asSchema(tool.inputSchema).jsonSchema).toMatchObject({
      required: ['query'],
      additionalProperties: false,
    })
  })

  it('passes the options of retrieve() on, and metadata when asked to', async () => {
    const { steps } = await ask('{"query":"brewed"}', { filter: { secret: 'y' }, metadata: true })
    expect(steps[0]?.toolResults[0]?.output).toMatchObject({
      passages: [{ documentId: 'coffee', metadata: { secret: 'y' } }],
    })
  })

  it('tells the model of a wrong input and of a failed search, and goes on', async () => {
    for (const input of ['{"query":" "}', '{"query":7}', '{}', 'not json']) {
      const { steps, text } = await ask(input)
      expect(steps[0]?.toolResults).toEqual([])
      expect(text).toContain('error-text')
    }
    const { text } = await ask('{"query":"tea"}', { topK: 20_000 })
    expect(text).toContain('topK')
    expect(text).not.toContain('75 degrees')
  })

  it('finds nothing in an empty store', async () => {
    await using empty = new UltraFastRAG()
    const tools = { search: retrievalTool(empty) }
    const { steps } = await generateText({ model: askingModel('{"query":"tea"}'), prompt: 'Tea?', tools })
    expect(steps[0]?.toolResults[0]?.output).toEqual({ passages: [] })
  })

  it('stops the search with the call', async () => {
    const controller = new AbortController()
    let reason: unknown
    const waiting = {
      retrieve: (_: unknown, { signal }: RetrieveOptions = {}) =>
        new Promise<never>((_, reject) => {
          signal?.addEventListener('abort', () => {
            reason = signal.reason
            reject(signal.reason)
          })
          controller.abort(new Error('enough'))
        }),
    }
    const tools = { search: retrievalTool(waiting) }
    const model = askingModel('{"query":"tea"}')
    await generateText({ model, prompt: 'x', tools, abortSignal: controller.signal }).catch(() => {})
    expect(reason).toEqual(new Error('enough'))
  })

  it('works in another copy of the AI SDK', async () => {
    const other = createRequire(import.meta.url)('ai') as typeof Ai
    expect(other.generateText).not.toBe(generateText)
    const { steps } = await other.generateText({
      model: askingModel('{"query":"espresso"}'),
      prompt: 'x',
      tools: { search: retrievalTool(rag) },
    })
    expect(steps[0]?.toolResults[0]?.output).toMatchObject({ passages: [{ documentId: 'coffee' }] })
  })

  it('works in streams and in agents', async () => {
    const chunks = [
      { type: 'tool-call' as const, toolCallId: 'one', toolName: 'search', input: '{"query":"green tea"}' },
      { type: 'finish' as const, finishReason: { unified: 'tool-calls' as const, raw: undefined }, usage },
    ]
    const model = new MockLanguageModelV3({ doStream: async () => ({ stream: simulateReadableStream({ chunks }) }) })
    const tools = { search: retrievalTool(rag, { topK: 1 }) }
    const [streamed] = await streamText({ model, prompt: 'x', tools }).toolResults
    expect(streamed?.output).toMatchObject({ passages: [{ documentId: 'tea' }] })
    const agent = new ToolLoopAgent({ model: askingModel('{"query":"espresso"}'), tools })
    expect((await agent.generate({ prompt: 'x' })).text).toContain('under pressure')
  })
})
