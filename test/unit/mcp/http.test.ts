import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RetrieveOptions } from '../../../src/core/search.js'
import { createMcpListener } from '../../../src/mcp/index.js'
import { UltraFastRAG } from '../../../src/ultra-fast-rag.js'

const rag = new UltraFastRAG({ embedder: false })
/** Signals of searches that wait for ever. */
const waiting: AbortSignal[] = []
let server: Server
let port = 0

beforeAll(async () => {
  await rag.ingest([{ id: 'tea', text: 'Green tea is brewed at 75 degrees.' }])
  const listener = createMcpListener({
    retrieve: (question, options: RetrieveOptions = {}) => {
      if (question !== 'wait') return rag.retrieve(question, options)
      waiting.push(options.signal as AbortSignal)
      return new Promise((_, reject) => options.signal?.addEventListener('abort', () => reject(options.signal?.reason)))
    },
    stream: (question, options) => rag.stream(question, options),
    documents: (options) => rag.documents(options),
  })
  server = createServer(listener).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  port = (server.address() as AddressInfo).port
})
afterAll(async () => {
  server.closeAllConnections()
  server.close()
  await rag.close()
})

async function connect(): Promise<Client> {
  const client = new Client({ name: 'test', version: '1' })
  await client.connect(new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${port}/mcp`)) as Transport)
  return client
}

/** Sends one request with headers of its own, and resolves with status and body. */
function send(headers: Record<string, string>, { method = 'POST', body = '' } = {}) {
  return new Promise<{ status: number | undefined; text: string }>((resolve, reject) => {
    const sent = request({ port, host: '127.0.0.1', method, headers }, async (response) => {
      let text = ''
      for await (const some of response.setEncoding('utf8')) text += some
      resolve({ status: response.statusCode, text })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

describe('MCP over HTTP', () => {
  it('answers several clients of the official SDK, with progress', async () => {
    const clients = await Promise.all([connect(), connect(), connect()])
    const told: number[] = []
    for (const client of clients) {
      const asked = { name: 'answer', arguments: { question: 'At how many degrees is green tea brewed?' } }
      const result = await client.callTool(asked, undefined, { onprogress: ({ progress }) => told.push(progress) })
      expect(result.structuredContent).toMatchObject({ outcome: 'answered', citations: [{ documentId: 'tea' }] })
      expect((await client.listTools()).tools).toHaveLength(3)
    }
    expect(told.length).toBeGreaterThan(3)
    await Promise.all(clients.map((client) => client.close()))
  })

  it('refuses other hosts, and pages of other hosts', async () => {
    const type = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' })
    for (const headers of [
      { host: 'evil.example' },
      { host: `127.0.0.1.evil.example:${port}` },
      { host: `localhost:${port}`, origin: 'https://evil.example' },
      { host: `localhost:${port}`, origin: 'null' },
    ]) {
      expect(await send({ ...type, ...headers }, { body })).toMatchObject({ status: 403 })
    }
    for (const headers of [
      { host: `localhost:${port}` },
      { host: `[::1]:${port}` },
      { host: '127.0.0.1', origin: 'http://localhost:3000' },
    ]) {
      const { status, text } = await send({ ...type, ...headers }, { body })
      expect([status, text.includes('list_documents')]).toEqual([200, true])
    }
  })

  it('answers nothing but POST, and survives what is no message', async () => {
    expect(await send({ accept: 'text/event-stream' }, { method: 'GET' })).toMatchObject({ status: 405 })
    expect(await send({}, { method: 'DELETE' })).toMatchObject({ status: 405 })
    const type = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
    expect(await send(type, { body: '{' })).toMatchObject({ status: 400 })
    expect(await send({ ...type, 'content-type': 'text/plain' }, { body: '{}' })).toMatchObject({ status: 415 })
    expect(await send(type, { body: `"${'x'.repeat(5_000_000)}"` })).toMatchObject({ status: 413 })
    const client = await connect()
    expect((await client.listTools()).tools).toHaveLength(3)
    await client.close()
  })

  it('aborts the call of a client that is gone', async () => {
    const client = await connect()
    const call = client.callTool({ name: 'search', arguments: { query: 'wait' } })
    call.catch(() => {})
    await expect.poll(() => waiting.length).toBe(1)
    await client.close()
    await expect.poll(() => waiting[0]?.aborted).toBe(true)
  })

  it('serves under the names it is given, and no other', async () => {
    const other = createServer(createMcpListener(rag, { allowedHosts: ['Docs.Example'] })).listen(0, '127.0.0.1')
    await new Promise((resolve) => other.once('listening', resolve))
    const own = port
    port = (other.address() as AddressInfo).port
    try {
      expect(await send({ host: 'docs.example' }, { method: 'GET' })).toMatchObject({ status: 405 })
      expect(await send({ host: 'localhost' }, { method: 'GET' })).toMatchObject({ status: 403 })
    } finally {
      port = own
      other.closeAllConnections()
      other.close()
    }
  })
})
