import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createSocketServer, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createGuardedAgent, isPublicAddress, loadUndici } from '../../../src/extract/guarded-agent.js'
import type { UrlOptions } from '../../../src/extract/types.js'
import { createUrlReader } from '../../../src/extract/url-reader.js'

type Answer = (request: IncomingMessage, response: ServerResponse) => void

const answers = new Map<string, Answer>()
const requests: IncomingMessage[] = []
let server: Server
let port = 0
const readers: { close(): Promise<void> }[] = []

beforeAll(async () => {
  server = createServer((request, response) => {
    requests.push(request)
    const answer = answers.get(new URL(request.url ?? '', 'http://x').pathname)
    if (answer === undefined) response.writeHead(404).end()
    else answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  port = (server.address() as AddressInfo).port
})

afterAll(async () => {
  for (const reader of readers) await reader.close()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

/** A reader that may read from this machine. */
function open(options: UrlOptions = {}) {
  const reader = createUrlReader({ hosts: ['127.0.0.1'], ports: [port], allowPrivateAddresses: true, ...options })
  readers.push(reader)
  return reader
}

const at = (path: string, host = '127.0.0.1') => `http://${host}:${port}${path}`

describe('createUrlReader', () => {
  it('gives bytes, media type and what tells the version', async () => {
    answers.set('/page', (_, response) => {
      response.writeHead(200, { 'content-type': 'Text/HTML; charset=UTF-8', etag: '"7"', 'last-modified': 'yesterday' })
      response.end('<p>Words')
    })
    const { bytes, ...facts } = (await open().read(at('/page?q=1'))) as never as Record<string, unknown>
    expect(Buffer.from(bytes as Uint8Array).toString()).toBe('<p>Words')
    expect(facts).toEqual({ mediaType: 'text/html', validators: { etag: '"7"', lastModified: 'yesterday' } })
  })

  it('asks whether a version is still the same', async () => {
    answers.set('/same', (request, response) => {
      response.writeHead(request.headers['if-none-match'] === '"7"' ? 304 : 200).end('new')
    })
    const reader = open()
    expect(await reader.read(at('/same'), { known: { etag: '"7"' } })).toBe('unchanged')
    expect(await reader.read(at('/same'), { known: { etag: '"6"' } })).toMatchObject({ validators: {} })
  })

  it('takes "unchanged" from nobody whom it did not ask', async () => {
    answers.set('/never', (_, response) => response.writeHead(304).end())
    const reader = open()
    await expect(reader.read(at('/never'))).rejects.toMatchObject({ code: 'PROVIDER', data: { status: 304 } })
    await expect(reader.read(at('/never'), { known: {} })).rejects.toMatchObject({ code: 'PROVIDER' })
  })

  it('turns other encodings into UTF-8', async () => {
    answers.set('/latin', (_, response) => {
      response.writeHead(200, { 'content-type': 'text/plain; charset=iso-8859-1' }).end(Buffer.from('Käse', 'latin1'))
    })
    const { bytes } = (await open().read(at('/latin'))) as { bytes: Uint8Array }
    expect(new TextDecoder().decode(bytes)).toBe('Käse')
  })

  it('follows redirects, each of them checked', async () => {
    answers.set('/moved', (_, response) => response.writeHead(302, { location: '/page' }).end())
    expect(await open().read(at('/moved'))).toMatchObject({ mediaType: 'text/html' })
    answers.set('/loop', (_, response) => response.writeHead(301, { location: '/loop' }).end())
    await expect(open().read(at('/loop'))).rejects.toMatchObject({ code: 'LIMIT' })
    for (const location of [
      at('/page', 'localhost'),
      'file:///etc/passwd',
      'http://127.0.0.1:1/',
      'http://user@127.0.0.1',
    ]) {
      answers.set('/away', (_, response) => response.writeHead(307, { location }).end())
      await expect(open().read(at('/away'))).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    }
  })

  it('refuses a redirect from an allowed host to an address inside', async () => {
    answers.set('/inside', (_, response) =>
      response.writeHead(302, { location: 'http://169.254.169.254/latest' }).end(),
    )
    await expect(open({ ports: [port, 80] }).read(at('/inside'))).rejects.toMatchObject({ data: { reason: 'host' } })
  })

  it.each([
    ...[
      'http://127.0.0.1/',
      'http://0/',
      'http://2130706433/',
      'http://0x7f.1/',
      'http://[::1]/',
      'http://localhost./',
    ],
    ...['http://[::ffff:169.254.169.254]/', 'http://169.254.169.254/', 'http://metadata.google.internal/'],
    ...[
      'http://100.64.0.1/',
      'http://10.1.2.3/',
      'http://192.168.0.1/',
      'http://[fd00:ec2::254]/',
      'http://168.63.129.16/',
    ],
    ...['http://[64:ff9b::7f00:1]/', 'http://[::127.0.0.1]/', 'http://printer.local/', 'http://[2002:7f00:1::]/'],
    ...['file:///etc/passwd', 'ftp://example.org/', 'data:text/plain,x', 'http://user:secret@example.org/', 'no url'],
    ...['http://example.org:8080/', 'https://example.org:22/', 'gopher://example.org/'],
  ])('refuses %s before any connection', async (url) => {
    const error = await createUrlReader()
      .read(url)
      .catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'UNSUPPORTED' })
    expect(JSON.stringify(error)).not.toContain('secret')
  })

  it('sends nothing to a name that resolves to this machine, nor to its address', async () => {
    const before = requests.length
    const undici = await loadUndici()
    const dispatcher = createGuardedAgent(undici, { timeoutMs: 5_000 })
    for (const host of ['localhost', '127.0.0.1']) {
      const error = await undici.request(new URL(at('/page', host)), { dispatcher }).catch((reason: unknown) => reason)
      expect(error).toMatchObject({ code: 'UNSUPPORTED', data: { reason: 'private-address' } })
    }
    expect(requests.length).toBe(before)
    await dispatcher.destroy()
  })

  it('allows only the hosts that are named', async () => {
    const reader = createUrlReader({ hosts: ['*.example.org', 'example.net'] })
    for (const host of ['example.org', 'example.com', 'example.net.evil.test', 'badexample.org']) {
      await expect(reader.read(`http://${host}/`)).rejects.toMatchObject({ data: { reason: 'host' } })
    }
  })

  it('stops at its limit of bytes, whatever the server says of the length', async () => {
    answers.set('/long', (_, response) => response.writeHead(200, { 'content-length': '5000' }).end('x'.repeat(5_000)))
    answers.set('/endless', (_, response) => {
      response.writeHead(200)
      const send = () => {
        while (!response.destroyed && response.write('x'.repeat(1_000)));
      }
      response.on('drain', send)
      send()
    })
    for (const path of ['/long', '/endless']) {
      await expect(open({ maxBytes: 4_000 }).read(at(path))).rejects.toMatchObject({ code: 'LIMIT' })
    }
  })

  it('refuses compression that it did not ask for', async () => {
    answers.set('/gzip', (_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('x'))
    await expect(open().read(at('/gzip'))).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  })

  it('gives up a server that drips, and one that says nothing', async () => {
    answers.set('/drip', (_, response) => {
      response.writeHead(200)
      const timer = setInterval(() => response.write('x'), 20)
      response.on('close', () => clearInterval(timer))
    })
    answers.set('/silent', () => {})
    for (const path of ['/drip', '/silent']) {
      await expect(open({ timeoutMs: 150 }).read(at(path))).rejects.toMatchObject({ code: 'TIMEOUT', retryable: true })
    }
  })

  it('ends with the reason of its caller', async () => {
    answers.set('/silent', () => {})
    const controller = new AbortController()
    const reading = open().read(at('/silent'), { signal: controller.signal })
    setTimeout(() => controller.abort(new Error('enough')), 20)
    await expect(reading).rejects.toThrow('enough')
  })

  it('ends while it connects, with the reason of its caller, in time, or when it is closed', async () => {
    // Takes the connection, and never says a word of TLS.
    const sockets: Socket[] = []
    const mute = createSocketServer((socket) => sockets.push(socket.on('error', () => {})))
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve))
    const { port: mutePort } = mute.address() as AddressInfo
    const connecting = () => new Promise<void>((resolve) => mute.once('connection', () => resolve()))
    const url = `https://127.0.0.1:${mutePort}/`

    const controller = new AbortController()
    const aborted = open({ ports: [mutePort] }).read(url, { signal: controller.signal })
    await connecting()
    controller.abort(new Error('enough'))
    await expect(aborted).rejects.toThrow('enough')

    await expect(open({ ports: [mutePort], timeoutMs: 50 }).read(url)).rejects.toMatchObject({ code: 'TIMEOUT' })

    const reader = open({ ports: [mutePort] })
    const closed = reader.read(url).catch((error: unknown) => error)
    await connecting()
    await reader.close()
    expect(await closed).toMatchObject({ code: 'PROVIDER' })
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => mute.close(resolve))
  })

  it('tells statuses and dead servers apart', async () => {
    answers.set('/broken', (_, response) => response.writeHead(503).end())
    answers.set('/cut', (request) => request.socket.destroy())
    await expect(open().read(at('/nothing?token=secret'))).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(open().read(at('/broken'))).rejects.toMatchObject({ code: 'PROVIDER', retryable: true })
    const error = await open()
      .read(at('/cut?token=secret'))
      .catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'PROVIDER' })
    expect(JSON.stringify({ ...(error as object), message: (error as Error).message })).not.toContain('secret')
  })

  it('can be closed twice, before first use too', async () => {
    const reader = createUrlReader()
    await reader.close()
    await reader.close()
  })
})

describe('isPublicAddress', () => {
  it.each(['8.8.8.8', '1.1.1.1', '2606:4700:4700::1111', '::ffff:8.8.8.8'])('knows %s', (address) => {
    expect(isPublicAddress(address)).toBe(true)
  })

  it.each([
    ...['0.0.0.0', '10.0.0.1', '100.64.0.1', '127.8.8.8', '169.254.0.1', '172.16.0.1', '192.0.0.192', '192.168.1.1'],
    ...['198.18.0.1', '224.0.0.1', '255.255.255.255', '::', '::1', 'fe80::1', 'fe80::1%eth0', 'fc00::1'],
    ...['fec0::1', '2001::1', '2002::1', '64:ff9b::808:808', 'ff02::1', '::ffff:10.0.0.1', 'localhost', ''],
  ])('refuses %s', (address) => {
    expect(isPublicAddress(address)).toBe(false)
  })
})
