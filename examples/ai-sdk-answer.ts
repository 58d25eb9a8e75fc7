/**
 * Answers written by a model of the AI SDK, streamed with their citations. Where it fails before its first word the answer is quoted
 * from the documents instead.
 *
 *   npx tsx examples/ai-sdk-answer.ts ["a question?"]
 *   OPENAI_API_KEY=… npx tsx examples/ai-sdk-answer.ts     with a real model, by way of @ai-sdk/openai-compatible
 *
 * Without a key a scripted model answers the question below, and one that is down shows the chain. Needs `npm i ai`, and the built package.
 */
import { UltraFastRAG } from 'ultrafast-rag'

const question = process.argv[2] ?? 'How hot is the water for green tea?'
const documents = [
  { id: 'tea.md', text: '# Tea\n\nGreen tea is brewed with water of 75 degrees.\n\nBlack tea takes boiling water.' },
  { id: 'coffee.md', text: '# Coffee\n\nA filter coffee takes 60 grams for a litre of water.' },
]

const isOffline = process.env.OPENAI_API_KEY === undefined
for (const model of isOffline ? [await scriptedModel(), await brokenModel()] : [await realModel()]) {
  const rag = new UltraFastRAG({ llm: [{ kind: 'ai-sdk', model, maxTokens: 300, maxAttempts: 1 }, 'extractive'] })
  try {
    await rag.ingest(documents)
    console.log(`Q: ${question}`)
    process.stdout.write('A: ')
    const cited: string[] = []
    for await (const event of rag.stream(question)) {
      if (event.type === 'answer-delta') process.stdout.write(event.text)
      else if (event.type === 'citation') cited.push(`   [${event.citation.marker}] ${event.citation.quote}`)
    }
    console.log(`\n${cited.join('\n')}`)
  } finally {
    await rag.close()
  }
}

async function realModel() {
  const { createOpenAICompatible } = await import('@ai-sdk/openai-compatible')
  const provider = createOpenAICompatible({
    name: 'openai',
    baseURL: process.env.OPENAI_BASE_URL ?? 'https://api.openai.com/v1',
    apiKey: process.env.OPENAI_API_KEY ?? '',
  })
  return provider(process.env.OPENAI_MODEL ?? 'gpt-4.1-mini')
}

/** Says always the same, word by word. */
async function scriptedModel() {
  const { MockLanguageModelV3, simulateReadableStream } = await import('ai/test')
  const words = ['It takes', ' water of', ' 75 degrees', ' [1].']
  return new MockLanguageModelV3({
    doStream: async () => ({
      stream: simulateReadableStream({
        chunks: [
          { type: 'text-start', id: '1' },
          ...words.map((delta) => ({ type: 'text-delta' as const, id: '1', delta })),
          { type: 'text-end', id: '1' },
          {
            type: 'finish',
            finishReason: { unified: 'stop', raw: undefined },
            usage: {
              inputTokens: { total: 90, noCache: 90, cacheRead: 0, cacheWrite: 0 },
              outputTokens: { total: 8, text: 8, reasoning: 0 },
            },
          },
        ],
      }),
    }),
  })
}

async function brokenModel() {
  const { MockLanguageModelV3 } = await import('ai/test')
  return new MockLanguageModelV3({
    doStream: async () => {
      throw new Error('The service is down.')
    },
  })
}
