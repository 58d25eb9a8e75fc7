import { UltraFastRAG } from 'ultrafast-rag'

/** Opens a store in a process of its own and answers one query; milliseconds from the constructor to the hits. */
export default async function openStore({
  storage,
  kill,
}: {
  storage: string
  kill: boolean
}): Promise<{ firstQueryMs: number; hits: number }> {
  const began = performance.now()
  const rag = new UltraFastRAG({ storage })
  const hits = await rag.retrieve('general world state people')
  const firstQueryMs = performance.now() - began
  if (!kill) await rag.close()
  return { firstQueryMs, hits: hits.length }
}
