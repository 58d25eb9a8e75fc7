import { createHash, type Hash } from 'node:crypto'
import { type FileHandle, open, readdir, rename, rm, stat, statfs } from 'node:fs/promises'
import { hostname } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { threadId } from 'node:worker_threads'
import { RagError } from '../core/errors.js'
import { errorCode, isDiskFull, isMissingFile } from '../util/system-error.js'
import type { HubClient } from './hub-client.js'
import { HttpFailure } from './hub-client.js'

/** A file to fetch, and how to know that it is the right one. */
export interface Transfer {
  readonly url: string
  /** Its name on the hub, for people. */
  readonly name: string
  /** Bytes. */
  readonly size: number
  /** As the hub lists it: SHA-256 of large files (Git LFS), Git's blob hash of small ones. */
  readonly hash: { readonly kind: 'sha256' | 'git'; readonly hex: string }
  /** Where it goes. */
  readonly path: string
  /** Checks also what is there already; otherwise a file of the right size is taken for the right one. */
  readonly verify: boolean
  /** Told how many bytes of it are here. */
  readonly onReceived: (bytes: number) => void
  /** Told once, when another process is fetching it already. */
  readonly onWaiting: () => void
}

/**
 * Fetches a file to its place: into a part of its own, from which it is renamed when size and hash are right, so that nobody ever sees
 * half of it. What an earlier process has left is continued; a connection that breaks is taken up again where it broke. While another
 * process fetches the same file, this one waits for it, and takes over when that falls silent. Nothing depends on the waiting: two that write
 * into one part write the same bytes to the same places, and only one can rename it.
 *
 * Rejects with `INTEGRITY` (the bytes are not those that were announced, twice), `STORAGE_FULL`, {@link HttpFailure}, what `fetch`
 * rejects with, or the signal's reason.
 */
export async function transfer(client: HubClient, request: Transfer): Promise<void> {
  for (let damaged = 0, waits = 0; ; ) {
    if (await isHere(request)) return request.onReceived(request.size)
    const part = await claim(client, request)
    if (part === 'taken') {
      if (waits++ === 0) request.onWaiting()
      continue
    }
    try {
      if (await receive(client, request, part)) {
        if (await publish(part, request.path)) return
      } else {
        await rm(part.path, { force: true })
        // The first time it may be what another process had left.
        if (++damaged === 2) throw wrongBytes(request)
      }
    } catch (error) {
      throw isDiskFull(error) ? diskFull(request, error) : error
    } finally {
      await part.handle.close()
      busy.delete(request.path)
    }
  }
}

async function isHere({ path, size, hash, verify }: Transfer): Promise<boolean> {
  const file = await stat(path).catch(ignoreAbsent)
  if (file?.size !== size) return false
  if (!verify) return true
  const handle = await open(path, 'r')
  try {
    const digest = createDigest(hash.kind, size)
    await digestUpTo(handle, { size, digest })
    return digest.digest('hex') === hash.hex
  } finally {
    await handle.close()
  }
}

/** A part that this process writes to. */
interface Part {
  readonly path: string
  readonly handle: FileHandle
}

/** Files that this thread is fetching. */
const busy = new Set<string>()

/** A part to write to; `'taken'` when somebody else has it, after a moment of waiting. */
async function claim(client: HubClient, request: Transfer): Promise<Part | 'taken'> {
  const { patience, signal } = client
  const others = await partsOf(request.path, patience.staleMs)
  const present = Math.max(0, ...others.map(({ size }) => size))
  if (busy.has(request.path) || others.some(({ alive }) => alive)) {
    request.onReceived(Math.min(present, request.size))
    await patience.clock.sleep(patience.pollMs, signal)
    return 'taken'
  }
  busy.add(request.path)
  try {
    await requireRoom(request, present)
    const part = await takeOverOrBegin(request, others.find(({ size }) => size === present)?.path)
    if (part.isTakenOver || (await isFirst(part.path, patience.staleMs))) return part
    await part.handle.close()
    await rm(part.path, { force: true })
  } catch (error) {
    if (!isMissingFile(error)) {
      busy.delete(request.path)
      throw isDiskFull(error) ? diskFull(request, error) : error
    }
  }
  busy.delete(request.path)
  return 'taken'
}

/** Of several who take over what was left, one succeeds; for the others it is absent. */
async function takeOverOrBegin(
  { path: target }: Transfer,
  left: string | undefined,
): Promise<Part & { isTakenOver: boolean }> {
  // The clock of the whole machine since its start, so that names sort by age.
  const time = String(process.hrtime.bigint()).padStart(20, '0')
  const path = `${target}.${time}.${host}.${process.pid}.${threadId}.incomplete`
  if (left !== undefined) await rename(left, path)
  return { path, handle: await open(path, left === undefined ? 'wx+' : 'r+'), isTakenOver: left !== undefined }
}

/** Whether nobody began the same file a moment earlier: those who saw nobody, and began together, see one another now. */
async function isFirst(path: string, staleMs: number): Promise<boolean> {
  const living = (await partsOf(path.replace(partName, ''), staleMs)).filter(({ alive }) => alive)
  return living.every(({ path: other }) => path <= other)
}

/** What may be in a name; two machines of the same name at worst take one another's process for dead. */
const host = hostname().replace(/[^\w-]/g, '_')

/** What is added to the name of a file: when the part was begun, and by whom. */
const partName = /\.\d+\.([\w-]+)\.(\d+)\.(\d+)\.incomplete$/

interface OtherPart {
  readonly path: string
  readonly size: number
  /** Somebody may be writing to it. */
  readonly alive: boolean
}

/** What there is of a file that is not whole. */
async function partsOf(target: string, staleMs: number): Promise<OtherPart[]> {
  const directory = dirname(target)
  const names = (await readdir(directory)).filter((name) => name.startsWith(`${basename(target)}.`))
  const parts = await Promise.all(
    names.map(async (name): Promise<OtherPart[]> => {
      const path = join(directory, name)
      const owner = partName.exec(name)
      const file = await stat(path).catch(ignoreAbsent)
      if (owner === null || file === undefined) return []
      const isFresh = Date.now() - file.mtimeMs < staleMs
      return [{ path, size: file.size, alive: isFresh && mayLive(target, owner) }]
    }),
  )
  return parts.flat()
}

/** Whether whoever writes to a part may still be at it. Of another machine one cannot know. */
function mayLive(target: string, [, machine, pid, thread]: RegExpExecArray): boolean {
  if (machine !== host) return true
  // A part of this very thread that it is not writing to was left by an earlier process of the same number.
  if (Number(pid) === process.pid) return Number(thread) !== threadId || busy.has(target)
  try {
    process.kill(Number(pid), 0)
    return true
  } catch (error) {
    // It lives, but belongs to another user.
    return errorCode(error) === 'EPERM'
  }
}

/** Fills the part. Resolves with whether it is what was announced. */
async function receive(client: HubClient, request: Transfer, { handle }: Part): Promise<boolean> {
  const { size, hash, onReceived } = request
  const { patience, signal } = client
  let digest = createDigest(hash.kind, size)
  let received = (await handle.stat()).size
  if (received > size) return false
  await digestUpTo(handle, { size: received, digest, signal })
  onReceived(received)
  for (let fruitless = 0; received < size; ) {
    const before = received
    try {
      const { response, alive, end } = await client.open(request.url, received)
      try {
        // A server that does not know ranges begins again; the same bytes go to the same places.
        if (response.status !== 206 && received > 0) {
          digest = createDigest(hash.kind, size)
          received = 0
        } else if (received > 0 && !startsAt(response, received)) return false
        for await (const chunk of response.body ?? []) {
          alive()
          if (received + chunk.length > size) return false
          await write(handle, chunk, received)
          digest.update(chunk)
          received += chunk.length
          onReceived(received)
        }
      } finally {
        end()
      }
    } catch (error) {
      if (signal?.aborted) throw signal.reason
      if (error instanceof HttpFailure) throw error
      if (error instanceof WriteFailure) throw error.cause
      if (received > before) fruitless = 0
      else if (++fruitless === patience.attempts) throw error
      await patience.clock.sleep(Math.random() * patience.baseDelayMs * 2 ** fruitless, signal)
      continue
    }
    // An answer that ends early without an error is what a proxy makes of a broken connection.
    if (received > before) fruitless = 0
    else if (received < size && ++fruitless === patience.attempts) return false
  }
  return digest.digest('hex') === hash.hex
}

/** Tells what this machine cannot do from what the network cannot: the latter is tried again. */
class WriteFailure extends Error {}

async function write(handle: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const result = await handle.write(bytes, written, bytes.length - written, at + written).catch((cause) => {
      throw new WriteFailure('write', { cause })
    })
    written += result.bytesWritten
  }
}

function startsAt(response: Response, start: number): boolean {
  const range = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')
  return range !== null && Number(range[1]) === start
}

/** Git hashes a file together with its size. */
function createDigest(kind: 'sha256' | 'git', size: number): Hash {
  return kind === 'sha256' ? createHash('sha256') : createHash('sha1').update(`blob ${size}\0`)
}

const readBytes = 256 << 10

async function digestUpTo(
  handle: FileHandle,
  { size, digest, signal }: { readonly size: number; readonly digest: Hash; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const buffer = Buffer.alloc(Math.min(size, readBytes))
  for (let at = 0; at < size; ) {
    signal?.throwIfAborted()
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, size - at), at)
    if (bytesRead === 0) return
    digest.update(buffer.subarray(0, bytesRead))
    at += bytesRead
  }
}

/** Puts the part in its place, and clears away what others have left of the same file. */
async function publish({ path, handle }: Part, target: string): Promise<boolean> {
  await handle.sync()
  try {
    await rename(path, target)
  } catch (error) {
    // Somebody who took this process for dead has the part now, and will finish it.
    if (isMissingFile(error)) return false
    throw error
  }
  for (const { path: other } of await partsOf(target, 0)) {
    await rm(other, { force: true }).catch(() => {
      // Windows keeps what is still open; whoever has it open finds the file in its place and removes it.
    })
  }
  return true
}

async function requireRoom(request: Transfer, present: number): Promise<void> {
  const { bavail, blocks, bsize } = await statfs(dirname(request.path))
  // Some network file systems do not tell.
  if (blocks > 0 && bavail * bsize < request.size - present) throw diskFull(request)
}

function diskFull({ name, size, path }: Transfer, cause?: unknown): RagError {
  return new RagError('STORAGE_FULL', `The disk is full: "${name}" (${size} bytes) does not fit.`, {
    data: { file: name, size, directory: dirname(path) },
    hint: 'Free some space, or name another disk with HF_HOME; what has arrived is kept and continued.',
    retryable: true,
    ...(cause === undefined ? {} : { cause }),
  })
}

function wrongBytes({ name, size, hash, url }: Transfer): RagError {
  return new RagError('INTEGRITY', `What was received as "${name}" is not what the hub has announced.`, {
    data: { file: name, size, [hash.kind]: hash.hex, url },
    hint: 'Something on the way changes files: check the proxy or mirror (HF_ENDPOINT), or fetch the file by hand.',
  })
}

function ignoreAbsent(error: unknown): undefined {
  if (isMissingFile(error)) return undefined
  throw error
}
