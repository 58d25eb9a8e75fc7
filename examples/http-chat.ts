/**
 * Answers over Node's own `http`, as server-sent events. When the browser goes away, the model stops.
 *
 *   npx tsx examples/http-chat.ts            serves on a free port, asks itself one question, and ends
 *   npx tsx examples/http-chat.ts 3000       serves on this port:  curl -N 'localhost:3000/?q=Which+moons+does+Mars+have'
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { toSse, UltraFastRAG } from 'ultrafast-rag'

const [port] = process.argv.slice(2).map(Number)
await using rag = new UltraFastRAG()
await rag.ingest([{ id: 'mars.md', text: 'Mars is called the red planet. It has two moons, Phobos and Deimos.' }])

const server = createServer(async (request, response) => {
  const question = new URL(request.url ?? '/', 'http://localhost').searchParams.get('q') ?? ''
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
  })
  // Waits for the client as it reads. To be left destroys the pipe, which cancels the events, which ends the answer.
  const events = toSse(rag.stream(question, { deadlineMs: 60_000 }), { onError: (error) => console.error(error) })
  await pipeline(Readable.fromWeb(events), response).catch(() => {})
})
server.listen(port ?? 0)
await once(server, 'listening')
const address = `http://localhost:${(server.address() as AddressInfo).port}`

if (port === undefined) {
  const response = await fetch(`${address}/?q=Which+moons+does+Mars+have%3F`)
  process.stdout.write(await response.text())
  server.close()
} else {
  console.log(`Ask at ${address}/?q=…`)
  await once(process, 'SIGINT')
  server.close()
}
