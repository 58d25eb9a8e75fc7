import { UltraFastRAG } from 'ultrafast-rag'
import { anonymousBytes } from '../lib/memory.js'

export interface ReleasedIndex {
  /** What the indexes say they hold. */
  readonly reported: number
  /** What closing them gives back. */
  readonly released: number
}

/** Opens a store in a process of its own and closes it: what its index says it holds, and what closing gives back. */
export default async function releaseIndex(storage: string): Promise<ReleasedIndex> {
  const rag = new UltraFastRAG({ storage })
  await rag.warmUp()
  await rag.retrieve('general world state')
  const { fit, lexical, vector } = (await rag.stats()).indexes
  const reported = lexical.bytes + (vector?.bytes ?? 0) + (fit?.bytes ?? 0)
  await settle()
  const held = anonymousBytes() ?? Number.NaN
  await rag.close()
  await settle()
  return { reported, released: held - (anonymousBytes() ?? Number.NaN) }
}

/** Lets threads end and garbage go. */
async function settle(): Promise<void> {
  for (let round = 0; round < 5; round++) {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
