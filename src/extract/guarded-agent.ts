import { lookup as resolveName } from 'node:dns'
import type { LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'
import { RagError } from '../core/errors.js'
import { importOptional } from '../util/import-optional.js'

/** What of `undici` is used; types of an optional package stay out of the public ones. */
export interface Undici {
  request(url: URL, options: object): Promise<UndiciResponse>
  readonly Agent: new (options: object) => { destroy(): Promise<void> }
  buildConnector(options: object): Connector
}

export interface UndiciResponse {
  readonly statusCode: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: AsyncIterable<Uint8Array> & {
    destroy(): void
    on(event: 'error', listener: () => void): unknown
  }
}

type Connected = (error: Error | null, socket?: { readonly remoteAddress?: string; destroy(): void } | null) => void
type Connector = (options: object, callback: Connected) => void

export function loadUndici(): Promise<Undici> {
  return importOptional('undici', async () => (await import('undici')) as unknown as Undici, 'npm i undici@7')
}

/**
 * Connections that go to public addresses only. A name is checked by the addresses it resolves to when the connection is made, so that
 * neither a redirect nor a name whose answer changes leads inside; the socket's own address is looked at once more before anything is
 * sent, which also holds for addresses that are written out and need no resolving.
 */
export function createGuardedAgent(undici: Undici, { isAllowed = isPublicAddress, timeoutMs }: GuardOptions) {
  const connect = undici.buildConnector({ lookup: guardedLookup(isAllowed), timeout: timeoutMs })
  const guarded: Connector = (options, callback) =>
    connect(options, (error, socket) => {
      // A failed connection has no socket: undici then leaves it out.
      if (socket === null || socket === undefined) {
        callback(error, null)
        return
      }
      const address = socket.remoteAddress
      if (address !== undefined && isAllowed(address)) callback(error, socket)
      else {
        socket.destroy()
        callback(refusedAddress(address), null)
      }
    })
  return new undici.Agent({ connect: guarded, headersTimeout: timeoutMs, bodyTimeout: timeoutMs, pipelining: 0 })
}

export interface GuardOptions {
  /** Default {@link isPublicAddress}. */
  readonly isAllowed?: (address: string) => boolean
  readonly timeoutMs: number
}

/**
 * Whether an address is one of the public internet: not private, loopback, link-local (where clouds keep their metadata), shared by
 * carriers, reserved, a translation of another address, or anything else that
 * https://www.iana.org/assignments/iana-ipv6-special-registry sets apart.
 */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false
  // An IPv4 address in the clothes of IPv6 is judged as what it is.
  const parsed = ipaddr.process(address)
  if (parsed.range() !== 'unicast' || metadataAddresses.has(parsed.toString())) return false
  return parsed.kind() === 'ipv4' || ((parsed as ipaddr.IPv6).parts[0] as number) >> 13 === 1
}

/** The one service of a cloud that answers at a public address: Azure's. */
const metadataAddresses: ReadonlySet<string> = new Set(['168.63.129.16'])

function guardedLookup(isAllowed: (address: string) => boolean): LookupFunction {
  return (hostname, options, callback) => {
    resolveName(hostname, { ...options, all: true }, (error, found) => {
      const refused = error === null ? found.find(({ address }) => !isAllowed(address)) : undefined
      const [first] = found ?? []
      if (error !== null) callback(error, '', 0)
      else if (refused !== undefined || first === undefined) callback(refusedAddress(refused?.address), '', 0)
      else if (options.all) callback(null, found)
      else callback(null, first.address, first.family)
    })
  }
}

export function refusedAddress(address: string | undefined): NodeJS.ErrnoException {
  return new RagError('UNSUPPORTED', 'The URL leads to an address that is not of the public internet.', {
    data: { address, reason: 'private-address' },
    hint: 'For a server of your own give allowUrls: { hosts: ["its.name"], allowPrivateAddresses: true }.',
  }) as NodeJS.ErrnoException
}
