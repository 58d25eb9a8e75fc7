import { sha256Hex } from '../../src/util/hash.js'
import { openBareSession, randomTexts, type SessionSpec } from '../lib/bare-session.js'
import { processorTime } from '../lib/measure.js'
import { anonymousBytes } from '../lib/memory.js'

export interface LoadResult {
  /** Processor time from the file to a session, and from there to the first vector. */
  readonly openMs: number
  readonly firstMs: number
  /** Anonymous memory that the session added before its first run. */
  readonly heldBytes: number
  /** Of the first vector: the same for two files that give the same bits. */
  readonly vectorHash: string
}

/** Opens a session in a process that has never had one. */
export default async function loadSession(spec: SessionSpec): Promise<LoadResult> {
  globalThis.gc?.()
  const beforeBytes = anonymousBytes() ?? Number.NaN
  const began = processorTime()
  const session = await openBareSession(spec)
  const opened = processorTime()
  const heldBytes = (anonymousBytes() ?? Number.NaN) - beforeBytes
  const vector = await session.vectors(randomTexts([16], 1))
  const firstMs = processorTime() - opened
  await session.release()
  const vectorHash = sha256Hex(new Uint8Array(vector.buffer))
  return { openMs: opened - began, firstMs, heldBytes, vectorHash }
}
