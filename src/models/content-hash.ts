import { open } from 'node:fs/promises'
import { createContentHash, sha256Hex } from '../util/hash.js'

/** What a model's identity is made of; the order of files counts. */
export interface ModelContent {
  /** Small files, each read whole. */
  readonly whole: readonly string[]
  /** Weights: above 8 MiB they are read in samples. */
  readonly sampled: readonly string[]
  /** How the model is used, as text. */
  readonly settings: string
}

/** Weights up to this size are read whole. */
const wholeBytes = 8 << 20
/** Of larger ones so many stretches are read, evenly spread, the first and the last bytes among them: 4 MiB in all. */
const samples = 64
const sampleBytes = 64 << 10

/**
 * The identity of a model: a SHA-256 over its files and settings. Weights above 8 MiB count by their size and 64 spread samples of
 * 64 KiB: training changes nearly every weight, and conversion the size, so another model has another hash, while a gigabyte costs no
 * more than a few megabytes. What samples cannot see, a damaged byte between them, is the business of the check when a file is
 * fetched. Reads in steps; the event loop goes on.
 */
export async function contentHashOf(
  { whole, sampled, settings }: ModelContent,
  signal: AbortSignal | undefined,
): Promise<string> {
  const hashes: string[] = []
  for (const file of whole) hashes.push(await fileHash(file, { limit: Number.POSITIVE_INFINITY, signal }))
  for (const file of sampled) hashes.push(await fileHash(file, { limit: wholeBytes, signal }))
  return sha256Hex('model/1', settings, ...hashes)
}

/** The identity of weights alone, in all their files; of large ones as {@link contentHashOf} reads them. */
export async function weightsHashOf(files: readonly string[]): Promise<string> {
  const hashes: string[] = []
  for (const file of files) hashes.push(await fileHash(file, { limit: wholeBytes, signal: undefined }))
  return sha256Hex('weights/1', ...hashes)
}

interface FileHashOptions {
  /** Bytes above which samples are enough. */
  readonly limit: number
  readonly signal: AbortSignal | undefined
}

async function fileHash(path: string, { limit, signal }: FileHashOptions): Promise<string> {
  const handle = await open(path, 'r')
  try {
    const { size } = await handle.stat()
    const hash = createContentHash()
    hash.update(`${size}:`)
    const buffer = Buffer.alloc(sampleBytes)
    for (const start of stretches(size, size <= limit)) {
      signal?.throwIfAborted()
      const { bytesRead } = await handle.read(buffer, 0, sampleBytes, start)
      hash.update(buffer.subarray(0, bytesRead))
    }
    return hash.digest()
  } finally {
    await handle.close()
  }
}

/** Where to read `sampleBytes` each. */
function* stretches(size: number, isWhole: boolean): Generator<number> {
  const count = isWhole ? Math.ceil(size / sampleBytes) : samples
  const step = isWhole ? sampleBytes : (size - sampleBytes) / (samples - 1)
  for (let sample = 0; sample < count; sample++) yield Math.floor(sample * step)
}
