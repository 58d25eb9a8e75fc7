import { UltraFastRAG } from 'ultrafast-rag'
import { createTextGenerator } from '../lib/corpus.js'

/** Fills a store with at least so many chunks; closes it cleanly, or ends without closing, as a crash would. */
export default async function fillStore({
  storage,
  chunks,
  crash,
}: {
  storage: string
  chunks: number
  crash: boolean
}): Promise<number> {
  const generator = createTextGenerator(1)
  const rag = new UltraFastRAG({ storage })
  let made = 0
  for (let round = 0; made < chunks; round++) {
    const documents = Array.from({ length: 50 }, (_, i) => ({ id: `${round}-${i}`, text: generator.document(20_000) }))
    made += (await rag.ingest(documents)).chunks
  }
  if (!crash) await rag.close()
  return made
}
