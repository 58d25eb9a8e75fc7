import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { UltraFastRAG } from '../../../src/index.js'

let server: Server
let version = 1
const statuses: number[] = []

beforeAll(async () => {
  server = createServer((request, response) => {
    const etag = `"${version}"`
    const status = request.headers['if-none-match'] === etag ? 304 : 200
    statuses.push(status)
    response.writeHead(status, { etag, 'content-type': 'text/html' })
    response.end(status === 200 ? `<title>Page</title><p>Walruses of version ${version} like fish.` : undefined)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})

afterAll(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

it('reads URLs that are allowed, and not again while they are the same', async () => {
  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}/page`
  const rag = new UltraFastRAG({
    embedder: false,
    maxWorkers: 1,
    allowUrls: { hosts: ['127.0.0.1'], ports: [port], allowPrivateAddresses: true },
  })
  try {
    expect(await rag.ingest([`${url}#part`])).toMatchObject({ documents: 1, failed: [] })
    expect((await rag.retrieve('walruses'))[0]?.chunk).toMatchObject({ documentId: url })
    expect(await rag.ingest([url])).toMatchObject({ documents: 0, unchanged: 1 })
    version = 2
    expect(await rag.ingest([url])).toMatchObject({ documents: 1, unchanged: 0 })
    expect((await rag.retrieve('walruses'))[0]?.chunk.text).toContain('version 2')
    expect(statuses).toEqual([200, 304, 200])
    const { failed } = await rag.ingest(['http://169.254.169.254/latest', 'https://[', `${url}#`])
    expect(failed.map(({ error }) => error.code)).toEqual(['UNSUPPORTED', 'UNSUPPORTED'])
  } finally {
    await rag.close()
  }
})

it('refuses URLs that nobody allowed, and private addresses without names', async () => {
  const rag = new UltraFastRAG({ embedder: false, maxWorkers: 1 })
  await expect(rag.ingestDocument('https://example.org/')).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  await rag.close()
  expect(() => new UltraFastRAG({ allowUrls: { allowPrivateAddresses: true } })).toThrow(/hosts|host/)
  expect(() => new UltraFastRAG({ allowUrls: { port: 80 } as never })).toThrow(
    expect.objectContaining({ code: 'BAD_OPTION' }),
  )
})
