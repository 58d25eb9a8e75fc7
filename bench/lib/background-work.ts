import type { UltraFastRAG } from 'ultrafast-rag'

const lookEveryMs = 100
/** A million vectors are indexed in half an hour. */
const longestMs = 2 * 3_600_000

/** Waits until segments are joined and graphs are built. Rejects when that is not so after two hours. */
export async function backgroundWork(rag: UltraFastRAG): Promise<void> {
  const began = performance.now()
  while (await isBuilding(rag)) {
    if (performance.now() - began > longestMs) throw new Error('The indexes are still built after two hours.')
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs))
  }
}

async function isBuilding(rag: UltraFastRAG): Promise<boolean> {
  const { lexical, vector } = (await rag.stats()).indexes
  return lexical.building || vector?.building === true
}
