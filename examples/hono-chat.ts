/**
 * The same answer from a Hono app, which runs on Node, Deno, Bun and at the edge: as server-sent events, and as the AI SDK's `useChat` reads it.
 *
 *   npx tsx examples/hono-chat.ts            asks the app itself, both ways, and ends
 *   npx tsx examples/hono-chat.ts 3000       serves on this port
 */
import { once } from 'node:events'
import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { toResponse, UltraFastRAG } from 'ultrafast-rag'

const [port] = process.argv.slice(2).map(Number)
await using rag = new UltraFastRAG()
await rag.ingest([{ id: 'mars.md', text: 'Mars is called the red planet. It has two moons, Phobos and Deimos.' }])

/** What `useChat` posts: the conversation, the question last. */
interface ChatRequest {
  readonly messages: readonly { readonly parts: readonly { readonly type: string; readonly text?: string }[] }[]
}

const app = new Hono()

app.get('/ask', (context) => {
  const { signal } = context.req.raw
  return toResponse(rag.stream(context.req.query('q') ?? '', { signal }))
})

app.post('/api/chat', async (context) => {
  const { messages } = await context.req.json<ChatRequest>()
  const question = messages.at(-1)?.parts.map(({ text = '' }) => text) ?? []
  const { signal } = context.req.raw
  return toResponse(rag.stream(question.join('\n'), { signal }), { protocol: 'ui-message-stream' })
})

if (port === undefined) {
  const question = 'Which moons does Mars have?'
  const events = await app.request(`/ask?q=${encodeURIComponent(question)}`)
  console.log(await events.text())
  const body = JSON.stringify({ messages: [{ role: 'user', parts: [{ type: 'text', text: question }] }] })
  const chat = await app.request('/api/chat', { method: 'POST', body, headers: { 'content-type': 'application/json' } })
  console.log(await chat.text())
} else {
  const server = serve({ fetch: app.fetch, port })
  console.log(`Ask at http://localhost:${port}/ask?q=…`)
  await once(process, 'SIGINT')
  server.close()
}
