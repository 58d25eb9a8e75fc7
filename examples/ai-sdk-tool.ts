/**
 * An AI SDK app whose model looks things up by itself: `streamText()` with the retrieval tool.
 *
 *   npx tsx examples/ai-sdk-tool.ts ["a question?"]
 *   OPENAI_API_KEY=… npx tsx examples/ai-sdk-tool.ts     with a real model, by way of @ai-sdk/openai-compatible
 *
 * Without a key a scripted model asks once and repeats what it was given. Needs `npm i ai`, and the built package.
 */
import { type LanguageModel, stepCountIs, streamText } from 'ai'
import { UltraFastRAG } from 'ultrafast-rag'
import { retrievalTool } from 'ultrafast-rag/ai-sdk'

const question = process.argv[2] ?? 'How hot is the water for green tea?'

const rag = new UltraFastRAG()
await rag.ingest([
  { id: 'tea.md', text: '# Tea\n\nGreen tea is brewed with water of 75 degrees.\n\nBlack tea takes boiling water.' },
  { id: 'coffee.md', text: '# Coffee\n\nA filter coffee takes 60 grams for a litre of water.' },
])

try {
  const result = streamText({
    model: process.env.OPENAI_API_KEY === undefined ? await scriptedModel() : await realModel(),
    system: 'Answer from what the tool finds, and cite the passages by their numbers as [n].',
    prompt: question,
    tools: { handbook: retrievalTool(rag, { topK: 2, description: 'Searches the handbook of the kitchen.' }) },
    stopWhen: stepCountIs(3),
  })
  console.log(`Q: ${question}`)
  for await (const part of result.fullStream) {
    if (part.type === 'tool-call') console.log(`   the model asks: ${JSON.stringify(part.input)}`)
    else if (part.type === 'tool-result' && !part.dynamic) {
      for (const { documentId, number, title } of part.output.passages)
        console.log(`   [${number}] ${title} (${documentId})`)
    } else if (part.type === 'text-delta') process.stdout.write(part.text)
    else if (part.type === 'error') throw part.error
  }
  console.log()
} finally {
  await rag.close()
}

async function realModel(): Promise<LanguageModel> {
  const { createOpenAICompatible } = await import('@ai-sdk/openai-compatible')
  const provider = createOpenAICompatible({
    name: 'openai',
    baseURL: process.env.OPENAI_BASE_URL ?? 'https://api.openai.com/v1',
    apiKey: process.env.OPENAI_API_KEY ?? '',
  })
  return provider(process.env.OPENAI_MODEL ?? 'gpt-4.1-mini')
}

/** Asks the tool what it was asked, then says what it was told. */
async function scriptedModel(): Promise<LanguageModel> {
  const { MockLanguageModelV3, simulateReadableStream } = await import('ai/test')
  const usage = {
    inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
    outputTokens: { total: 1, text: 1, reasoning: 0 },
  }
  const finish = (unified: 'stop' | 'tool-calls') => ({
    type: 'finish' as const,
    finishReason: { unified, raw: undefined },
    usage,
  })
  return new MockLanguageModelV3({
    doStream: async ({ prompt }) => {
      const told = prompt.find((message) => message.role === 'tool')
      if (told === undefined) {
        const input = JSON.stringify({ query: question })
        const call = { type: 'tool-call' as const, toolCallId: 'first', toolName: 'handbook', input }
        return { stream: simulateReadableStream({ chunks: [call, finish('tool-calls')] }) }
      }
      const [result] = told.content
      const output = result?.type === 'tool-result' && result.output.type === 'json' ? result.output.value : undefined
      const [best] = (output as { passages: { text: string }[] } | undefined)?.passages ?? []
      const delta = best === undefined ? 'The handbook does not say.' : `${best.text} [1]`
      return {
        stream: simulateReadableStream({
          chunks: [
            { type: 'text-start' as const, id: '1' },
            { type: 'text-delta' as const, id: '1', delta },
            { type: 'text-end' as const, id: '1' },
            finish('stop'),
          ],
        }),
      }
    },
  })
}
