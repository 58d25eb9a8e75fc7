import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCli } from '../../../src/cli/program.js'
import type { UltraFastRAGOptions } from '../../../src/config/options.js'
import type { RetrieveOptions } from '../../../src/core/search.js'
import { type McpRag, serveMcpStdio } from '../../../src/mcp/index.js'
import { UltraFastRAG } from '../../../src/ultra-fast-rag.js'

const folder = mkdtempSync(join(tmpdir(), 'ufrag-mcp-'))
const storage = join(folder, 'store')
beforeAll(async () => {
  await using rag = new UltraFastRAG({ storage, embedder: false })
  await rag.ingest([{ id: 'tea', text: 'Green tea is brewed at 75 degrees.' }])
})
afterAll(() => rmSync(folder, { recursive: true }))

const hello = [
  {
    id: 1,
    method: 'initialize',
    params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
  },
  { method: 'notifications/initialized' },
]
const search = { id: 2, method: 'tools/call', params: { name: 'search', arguments: { query: 'green tea' } } }
const lines = (messages: readonly object[]) =>
  messages.map((one) => `${JSON.stringify({ jsonrpc: '2.0', ...one })}\n`).join('')

/** Streams as a client holds them, and all that came out of the server. */
function pipe() {
  const [input, output] = [new PassThrough(), new PassThrough()]
  let text = ''
  output.setEncoding('utf8').on('data', (some) => {
    text += some
  })
  const answers = () =>
    text
      .trim()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line))
  return { stdio: { input, output }, answers }
}

async function run(line: string[], { stdio }: ReturnType<typeof pipe>, signal = new AbortController().signal) {
  let out = ''
  let err = ''
  const opened: UltraFastRAGOptions[] = []
  const none = () => Promise.reject(new Error('not here'))
  const exitCode = await runCli(['--storage', storage, ...line], {
    variables: {},
    write: (text) => {
      out += text
    },
    complain: (text) => {
      err += text
    },
    terminal: false,
    signal,
    stdio,
    open: async (options) => {
      opened.push(options)
      return new UltraFastRAG({ ...options, embedder: false })
    },
    openQueue: none,
    pull: none,
    distill: none,
  })
  return { exitCode, out, err, opened }
}

describe('ufrag mcp', () => {
  it('answers what is piped into it, prints nothing else, and ends when the client is gone', async () => {
    const client = pipe()
    client.stdio.input.end(lines([...hello, search]))
    expect(await run(['mcp', '--read-only', '--about', 'Teas.'], client)).toMatchObject({
      exitCode: 0,
      out: '',
      err: '',
      opened: [{ storage, readOnly: true }],
    })
    expect(client.answers()).toMatchObject([
      { id: 1, result: { serverInfo: { name: 'ultrafast-rag' }, instructions: 'Teas.' } },
      { id: 2, result: { structuredContent: { passages: [{ documentId: 'tea' }] } } },
    ])
  })

  it('survives what is no message, and tells of it on standard error without repeating it', async () => {
    const client = pipe()
    client.stdio.input.end(`confidential\n{"jsonrpc":"2.0","method":7}\n\n${lines([...hello, search])}`)
    const { err, exitCode, opened } = await run(['mcp'], client)
    expect(exitCode).toBe(0)
    expect(opened[0]).not.toHaveProperty('readOnly')
    expect(err).toContain('MCP connection')
    expect(err).not.toContain('confidential')
    expect(client.answers().map(({ id }) => id)).toEqual([1, 2])
  })

  it('makes no storage that is missing, and takes only a port for --http', async () => {
    const missing = await run(['--storage', join(folder, 'none'), 'mcp'], pipe())
    expect(missing).toMatchObject({ exitCode: 1, err: expect.stringContaining('no storage'), opened: [] })
    expect(await run(['mcp', '--http', '65536'], pipe())).toMatchObject({ exitCode: 2, opened: [] })
  })

  it('serves HTTP to this machine until it is ended', async () => {
    const controller = new AbortController()
    const running = run(['mcp', '--http', '0'], pipe(), controller.signal)
    controller.abort()
    const { err, exitCode } = await running
    expect(exitCode).toBe(0)
    expect(err).toMatch(/^Serving MCP at http:\/\/127\.0\.0\.1:\d+\/mcp until ended\.\n$/)
  })
})

describe('serveMcpStdio', () => {
  const waiting = () => {
    const signals: AbortSignal[] = []
    const rag: McpRag = {
      retrieve: (_, { signal }: RetrieveOptions = {}) =>
        new Promise((_, reject) => {
          signals.push(signal as AbortSignal)
          signal?.addEventListener('abort', () => reject(signal.reason))
        }),
      async *stream() {},
      async *documents() {},
    }
    return { rag, signals }
  }

  it('ends with the signal, also with one that has fired, and aborts what runs', async () => {
    const { rag, signals } = waiting()
    const { input, output } = pipe().stdio
    const controller = new AbortController()
    const serving = serveMcpStdio(rag, { input, output, signal: controller.signal })
    input.write(lines([...hello, search]))
    await expect.poll(() => signals.length).toBe(1)
    controller.abort()
    await serving
    expect(signals[0]?.aborted).toBe(true)
    await serveMcpStdio(rag, { ...pipe().stdio, signal: controller.signal })
  })

  it('ends when the output breaks, as it does when the client is killed', async () => {
    const { rag, signals } = waiting()
    const { input, output } = pipe().stdio
    const serving = serveMcpStdio(rag, { input, output })
    input.write(lines([...hello, search]))
    await expect.poll(() => signals.length).toBe(1)
    output.destroy(new Error('EPIPE'))
    await serving
    expect(signals[0]?.aborted).toBe(true)
  })
})
