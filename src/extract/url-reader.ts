import ipaddr from 'ipaddr.js'
import { RagError } from '../core/errors.js'
import { abortable, followSignal } from '../util/abort.js'
import { memoizeAsync } from '../util/memoize-async.js'
import {
  createGuardedAgent,
  isPublicAddress,
  loadUndici,
  refusedAddress,
  type UndiciResponse,
} from './guarded-agent.js'
import type { FetchedDocument, UrlOptions, UrlReader, UrlValidators } from './types.js'

const defaults = {
  hosts: undefined,
  ports: [80, 443],
  maxBytes: 32 << 20,
  timeoutMs: 30_000,
  maxRedirects: 5,
  allowPrivateAddresses: false,
}

type Limits = Omit<Required<UrlOptions>, 'hosts'> & { readonly hosts: readonly string[] | undefined }

/**
 * Reads documents from the web with the optional package `undici`. What it refuses, it refuses before a connection is made or at the
 * latest before anything is sent (see {@link createGuardedAgent}): other schemes than http and https, passwords in URLs, ports and
 * hosts that are not allowed, addresses that are not public. Every hop of a redirect is checked like the first. Cookies and proxies
 * are not used.
 *
 * `read` rejects with `UNSUPPORTED` (refused), `NOT_FOUND`, `LIMIT`, `TIMEOUT`, `PROVIDER` (the server, or the way to it, failed) or
 * `MISSING_PEER`. Neither a query nor a password of a URL is part of a message.
 */
export function createUrlReader(options: UrlOptions = {}): UrlReader {
  const limits: Limits = { ...defaults, ...options }
  const isAllowed = limits.allowPrivateAddresses ? () => true : isPublicAddress
  const open = memoizeAsync(async () => {
    const undici = await loadUndici()
    return { undici, agent: createGuardedAgent(undici, { isAllowed, timeoutMs: limits.timeoutMs }) }
  })
  let opened = false
  return {
    async read(url, { known, signal } = {}) {
      signal?.throwIfAborted()
      const first = checkUrl(url, limits)
      opened = true
      const { undici, agent } = await open()
      const own = followSignal(signal)
      const timer = setTimeout(() => own.abort(tooSlow(first, limits.timeoutMs)), limits.timeoutMs)
      try {
        const asked = conditions(known)
        const headers = { 'accept-encoding': 'identity', 'user-agent': 'ultrafast-rag', ...asked }
        const request = async (target: URL) => {
          const sent = undici.request(target, { dispatcher: agent, headers, signal: own.signal, method: 'GET' })
          try {
            // While it connects, undici does not listen to the signal.
            return await abortable(sent, own.signal)
          } catch (error) {
            sent.then(letGo, () => {})
            throw error
          }
        }
        const { response, target } = await follow(first, limits, request)
        try {
          // Nobody but who asked for a change can be told that there is none.
          if (response.statusCode === 304 && Object.keys(asked).length > 0) return 'unchanged'
          return await toDocument(response, target, limits)
        } finally {
          letGo(response)
        }
      } catch (error) {
        if (own.signal.aborted) throw own.signal.reason
        throw RagError.isInstance(error) ? error : asProviderError(error, first)
      } finally {
        clearTimeout(timer)
        own.dispose()
      }
    },
    async close() {
      if (!opened) return
      opened = false
      // What never opened, as without undici, needs no closing.
      const opening = await open().catch(() => undefined)
      await opening?.agent.destroy()
    },
  }
}

/** Throws for a URL that may not be read. */
function checkUrl(address: string, { allowPrivateAddresses, hosts, ports }: Limits): URL {
  if (!URL.canParse(address)) throw refused('It is no URL.', { reason: 'no-url' })
  const url = new URL(address)
  const data = { url: shown(url) }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw refused('Only http and https are read.', { ...data, reason: 'scheme' })
  }
  if (url.username !== '' || url.password !== '') {
    throw refused('A URL with a user name or password is not read.', { ...data, reason: 'credentials' })
  }
  const port = url.port === '' ? (url.protocol === 'http:' ? 80 : 443) : Number(url.port)
  if (!ports.includes(port)) throw refused(`The port ${port} is not allowed.`, { ...data, reason: 'port' })
  const host = url.hostname.replace(/\.$/, '')
  if (hosts !== undefined && !hosts.some((pattern) => matches(host, pattern.toLowerCase()))) {
    throw refused(`The host "${host}" is not allowed.`, { ...data, reason: 'host' })
  }
  const literal = host.replace(/^\[|\]$/g, '')
  if (allowPrivateAddresses) return url
  if (ipaddr.isValid(literal) && !isPublicAddress(literal)) throw refusedAddress(literal)
  if (insideNames.test(host)) throw refusedAddress(host)
  return url
}

/** Names that never are of the public internet: RFC 6761, RFC 8375 and what clouds call their metadata services. */
const insideNames = /(?:^|\.)(?:localhost|local|internal|home\.arpa)$/

function matches(host: string, pattern: string): boolean {
  return pattern.startsWith('*.') ? host.endsWith(pattern.slice(1)) : host === pattern
}

function conditions(known: UrlValidators | undefined): Record<string, string> {
  return {
    ...(known?.etag === undefined ? {} : { 'if-none-match': known.etag }),
    ...(known?.lastModified === undefined ? {} : { 'if-modified-since': known.lastModified }),
  }
}

async function follow(
  first: URL,
  limits: Limits,
  request: (target: URL) => Promise<UndiciResponse>,
): Promise<{ readonly response: UndiciResponse; readonly target: URL }> {
  let target = first
  for (let hops = 0; ; hops++) {
    const response = await request(target)
    const location = header(response, 'location')
    if (
      response.statusCode === 304 ||
      response.statusCode < 300 ||
      response.statusCode >= 400 ||
      location === undefined
    ) {
      return { response, target }
    }
    letGo(response)
    if (hops === limits.maxRedirects) {
      throw new RagError('LIMIT', `"${shown(first)}" redirects more than ${limits.maxRedirects} times.`, {
        data: { url: shown(first), maxRedirects: limits.maxRedirects },
        hint: 'Give the URL it leads to in the end.',
      })
    }
    target = checkUrl(URL.canParse(location, target.href) ? new URL(location, target.href).href : location, limits)
  }
}

async function toDocument(response: UndiciResponse, target: URL, { maxBytes }: Limits): Promise<FetchedDocument> {
  const { statusCode } = response
  if (statusCode < 200 || statusCode >= 300) throw badStatus(target, statusCode)
  const encoding = header(response, 'content-encoding') ?? 'identity'
  if (encoding !== 'identity') {
    throw refused(`"${shown(target)}" answers compressed ("${encoding.slice(0, 20)}"), which it was not asked to.`, {
      url: shown(target),
      reason: 'content-encoding',
    })
  }
  if (Number(header(response, 'content-length') ?? 0) > maxBytes) throw tooLarge(target, maxBytes)
  const { mediaType, charset } = readContentType(header(response, 'content-type') ?? '')
  const decoder = decoderFor(mediaType, charset)
  // With a mark, since HTML may say something else inside.
  const parts: Uint8Array[] = decoder === undefined ? [] : [Buffer.from('\ufeff')]
  let length = 0
  for await (const part of response.body) {
    length += part.length
    // Whatever the server said of its length.
    if (length > maxBytes) throw tooLarge(target, maxBytes)
    parts.push(decoder === undefined ? part : Buffer.from(decoder.decode(part, { stream: true })))
  }
  if (decoder !== undefined) parts.push(Buffer.from(decoder.decode()))
  const etag = header(response, 'etag')
  const lastModified = header(response, 'last-modified')
  const validators = {
    ...(etag === undefined ? {} : { etag }),
    ...(lastModified === undefined ? {} : { lastModified }),
  }
  return { bytes: Buffer.concat(parts), validators, ...(mediaType === undefined ? {} : { mediaType }) }
}

/** Ends a response that may not be through. */
function letGo({ body }: UndiciResponse): void {
  // Ending it early is an error to the body, which nobody is waiting for any more.
  body.on('error', () => {})
  body.destroy()
}

/** What says nothing is left to be told from the bytes. */
function readContentType(value: string) {
  const [type = ''] = value.split(';', 1)
  const mediaType = type.trim().toLowerCase()
  const charset = /;\s*charset\s*=\s*"?([\w-]{1,40})/i.exec(value)?.[1]?.toLowerCase()
  const says = mediaType !== '' && mediaType !== 'application/octet-stream' && mediaType !== 'binary/octet-stream'
  return { mediaType: says ? mediaType : undefined, charset }
}

/** For text in another encoding than UTF-8, of which only the header tells. It is decoded as it comes, so that no part takes long. */
function decoderFor(mediaType: string | undefined, charset: string | undefined) {
  const isText = mediaType?.startsWith('text/') === true || mediaType === 'application/xhtml+xml'
  if (!isText || charset === undefined || charset === 'utf-8' || charset === 'utf8') return undefined
  try {
    return new TextDecoder(charset)
  } catch {
    // An encoding that nobody knows: the bytes tell as much as for a file.
    return undefined
  }
}

function header({ headers }: UndiciResponse, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value[0] : value
}

/** A URL without what may be secret in it. */
function shown({ origin, pathname, protocol }: URL): string {
  return protocol === 'http:' || protocol === 'https:' ? `${origin}${pathname}` : protocol
}

function refused(message: string, data: Readonly<Record<string, unknown>>): RagError {
  return new RagError('UNSUPPORTED', message, {
    data,
    hint: 'See "allowUrls" for what may be read, or download it yourself and pass { id, data, mediaType }.',
  })
}

function tooLarge(url: URL, maxBytes: number): RagError {
  return new RagError('LIMIT', `"${shown(url)}" is larger than ${maxBytes} bytes.`, {
    data: { url: shown(url), maxBytes },
    hint: 'Raise "maxBytes" of allowUrls.',
  })
}

function tooSlow(url: URL, timeoutMs: number): RagError {
  return new RagError('TIMEOUT', `"${shown(url)}" was not there within ${timeoutMs} ms.`, {
    data: { url: shown(url), timeoutMs },
    hint: 'Try again, or raise "timeoutMs" of allowUrls.',
    retryable: true,
  })
}

function badStatus(url: URL, status: number): RagError {
  const code = status === 404 || status === 410 ? 'NOT_FOUND' : 'PROVIDER'
  return new RagError(code, `"${shown(url)}" answered with status ${status}.`, {
    data: { url: shown(url), status },
    retryable: status === 429 || status >= 500,
  })
}

function asProviderError(cause: unknown, url: URL): RagError {
  const inner = cause instanceof Error ? cause.cause : undefined
  if (RagError.isInstance(inner)) return inner
  return new RagError('PROVIDER', `"${shown(url)}" could not be read.`, {
    data: { url: shown(url) },
    cause,
    hint: 'Check the address and the network.',
    retryable: true,
  })
}
