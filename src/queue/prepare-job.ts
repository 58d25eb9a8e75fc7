import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { RagError } from '../core/errors.js'
import { fileId } from '../util/file-id.js'
import { createContentHash, sha256Hex } from '../util/hash.js'
import { stableJson } from '../util/stable-json.js'
import { isMissingFile } from '../util/system-error.js'
import type { EnqueueOptions, JobInput, JobPriority } from './types.js'

/** A job as it is enqueued, before it has waited anywhere. */
export interface PreparedJob {
  /** Of the document and its content: the same for the same. */
  readonly id: string
  /**
   * For content that is not known (a folder, a glob, a URL): the id to take while a job with `id` runs, which may already have passed by
   * what is new.
   */
  readonly alternateId?: string
  /** Of the document alone. */
  readonly document: string
  readonly input: JobInput
  readonly source: string
  readonly namespace: string
  readonly priority: JobPriority
  /** Rough bytes the input holds in memory. */
  readonly bytes: number
}

export interface PrepareOptions {
  /** Absolute folder that relative paths are relative to. */
  readonly root: string
  /** Bytes that a text, its chunks or its data may have; larger ones are `LIMIT`. */
  readonly maxPayloadBytes: number
}

/** What an input is about, and what its content is. */
interface Identity {
  readonly source: string
  readonly content: string
  /** Nobody knows the content before it is read. */
  readonly isOpen?: true
  /** Default: the content is the identity. */
  readonly document?: string
}

const open = { content: '', isOpen: true } as const
/** Bytes hashed between two turns of the event loop: about a millisecond. */
const hashedAtOnce = 256 << 10
const priorities: ReadonlySet<unknown> = new Set<JobPriority>(['high', 'normal', 'low'])

/** Checks an input and finds out which job it is: reads the file, if it is one, to know its content. */
export async function prepareJob(
  input: JobInput,
  options: EnqueueOptions,
  { root, maxPayloadBytes }: PrepareOptions,
): Promise<PreparedJob> {
  const { namespace = '', priority = 'normal', contentHash, whenFull = 'wait' } = options
  if (!priorities.has(priority)) throw badOption('priority', 'is "high", "normal" or "low"')
  if (whenFull !== 'wait' && whenFull !== 'reject') throw badOption('whenFull', 'is "wait" or "reject"')
  if (namespace !== '' && !/^[A-Za-z0-9._-]{1,128}$/.test(namespace)) throw badOption('namespace', 'is no namespace')
  const bytes = payloadBytes(input)
  refuseSecrets(input)
  if (bytes > maxPayloadBytes) throw tooLarge(bytes, maxPayloadBytes)

  const identity = await identify(input, { root, contentHash, signal: options.signal })
  const document = sha256Hex(namespace, identity.document ?? `content:${identity.content}`)
  const id = sha256Hex(document, identity.content, stableJson(factsOf(input))).slice(0, 32)
  const alternate = identity.isOpen ? { alternateId: `${id}-2` } : {}
  return { id, ...alternate, document, input, source: identity.source, namespace, priority, bytes }
}

/** What decides on a job's identity beside its content: a new title or other metadata are a new job. */
function factsOf(input: JobInput): unknown {
  if (typeof input === 'string' || input instanceof Uint8Array) return {}
  const { title, language, metadata } = input
  const mediaType = 'mediaType' in input ? input.mediaType : undefined
  return { title, language, metadata, mediaType }
}

async function identify(
  input: JobInput,
  options: {
    readonly root: string
    readonly contentHash: string | undefined
    readonly signal: AbortSignal | undefined
  },
): Promise<Identity> {
  const { contentHash } = options
  if (typeof input === 'string') return identifyPath(input, options)
  if (input instanceof Uint8Array) {
    return { source: 'memory:bytes', content: contentHash ?? (await hashParts(slices(input), options.signal)) }
  }
  if ('path' in input) {
    const found = await identifyPath(input.path, options)
    return input.id === undefined ? found : { ...found, document: `id:${input.id}` }
  }
  const content = contentHash ?? (await hashParts(partsOf(input), options.signal))
  if (input.id === undefined) return { source: 'memory:text', content }
  return { source: `memory:${input.id}`, content, document: `id:${input.id}` }
}

/** A file is told by its bytes. A folder, a glob or a URL has none yet: it is one job while that waits or runs. */
async function identifyPath(
  path: string,
  {
    root,
    contentHash,
    signal,
  }: { readonly root: string; readonly contentHash: string | undefined; readonly signal: AbortSignal | undefined },
): Promise<Identity> {
  const known = contentHash === undefined ? undefined : { content: contentHash }
  if (isUrl(path)) return { source: path, document: `url:${path}`, ...(known ?? open) }
  const absolute = resolve(root, path)
  const source = fileId(absolute, root)
  const document = `id:${source}`
  if (known !== undefined) return { source, document, ...known }
  try {
    const found = await stat(absolute)
    if (!found.isFile()) return { source: source === '' ? '.' : source, document, ...open }
    return {
      source,
      document,
      content: await hashParts(createReadStream(absolute, { highWaterMark: hashedAtOnce }), signal),
    }
  } catch (cause) {
    signal?.throwIfAborted()
    if (!isMissingFile(cause)) throw unreadable(source, cause)
    if (/[*?[\]{}!()]/.test(path)) return { source: path, document: `glob:${source}`, ...open }
    throw new RagError('NOT_FOUND', `There is no file "${source}".`, {
      cause,
      data: { source },
      hint: 'If only the workers see it, say what it holds with the option contentHash.',
    })
  }
}

async function hashParts(
  parts: AsyncIterable<Uint8Array> | Iterable<Uint8Array | string>,
  signal: AbortSignal | undefined,
): Promise<string> {
  const hash = createContentHash()
  for await (const part of parts) {
    signal?.throwIfAborted()
    hash.update(part)
    // Iterating over what is in memory gives nobody else a turn.
    if (Symbol.iterator in parts) await new Promise(setImmediate)
  }
  return hash.digest()
}

function* partsOf(
  input: Exclude<JobInput, string | Uint8Array | { readonly path: string }>,
): Generator<Uint8Array | string> {
  if ('data' in input) yield* slices(input.data)
  else if ('text' in input) yield* textSlices(input.text)
  else
    for (const chunk of input.chunks)
      yield sha256Hex(stableJson({ ...chunk, vector: chunk.vector && [...chunk.vector] }))
}

function* slices(data: Uint8Array): Generator<Uint8Array> {
  for (let start = 0; start < data.length; start += hashedAtOnce) yield data.subarray(start, start + hashedAtOnce)
}

/** UTF-16 as it lies in memory is not what is hashed elsewhere, but a cut inside a surrogate pair does no harm to it. */
function* textSlices(text: string): Generator<Uint8Array> {
  for (let start = 0; start < text.length; start += hashedAtOnce)
    yield Buffer.from(text.slice(start, start + hashedAtOnce), 'utf16le')
}

function payloadBytes(input: JobInput): number {
  if (typeof input === 'string') return input.length
  if (input instanceof Uint8Array) return input.length
  if (typeof input !== 'object' || input === null) throw badInput()
  if ('data' in input && input.data instanceof Uint8Array) return input.data.length
  if ('text' in input && typeof input.text === 'string') return 2 * input.text.length
  if ('path' in input && typeof input.path === 'string') return input.path.length
  if (!('chunks' in input && Array.isArray(input.chunks))) throw badInput()
  let bytes = 0
  for (const { text, vector } of input.chunks) bytes += 2 * text.length + 8 * (vector?.length ?? 0)
  return bytes
}

/** Queues are kept, copied and looked at: nothing that opens a door belongs in there. */
function refuseSecrets(input: JobInput): void {
  const address = typeof input === 'string' ? input : typeof input === 'object' && 'path' in input ? input.path : ''
  const hasPassword = typeof input === 'object' && 'password' in input && input.password !== undefined
  if (!hasPassword && !(isUrl(address) && hasUserInfo(address))) return
  throw new RagError('BAD_INPUT', 'A job carries no credentials, and this one has a password.', {
    hint: 'Ingest the document directly, or let the worker have what opens it.',
  })
}

function isUrl(path: string): boolean {
  return /^[a-z][a-z0-9+.-]+:\/\//i.test(path)
}

function hasUserInfo(address: string): boolean {
  // What cannot be parsed is judged by its look: rather too strict.
  if (!URL.canParse(address)) return address.includes('@')
  const { username, password } = new URL(address)
  return username !== '' || password !== ''
}

function badOption(option: string, rule: string): RagError {
  return new RagError('BAD_OPTION', `The option "${option}" of a job ${rule}.`, { data: { option } })
}

function badInput(): RagError {
  return new RagError('BAD_INPUT', 'A job holds no document.', {
    hint: 'Pass a path, a Uint8Array, or one of { text }, { data }, { path }, { id, chunks: [{ text }] }.',
  })
}

function tooLarge(bytes: number, maxPayloadBytes: number): RagError {
  return new RagError('LIMIT', `A job of ${bytes} bytes is larger than a queue carries.`, {
    data: { bytes, maxPayloadBytes },
    hint: 'Save the document where the workers can read it and enqueue its path, or raise maxPayloadBytes.',
  })
}

function unreadable(source: string, cause: unknown): RagError {
  return new RagError('STORAGE', `"${source}" cannot be read.`, { cause, data: { source } })
}
