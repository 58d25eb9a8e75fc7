import { UltraFastRAG } from '../../dist/index.js'

/** Ingests one document of so many passages, enriched by a service, into a folder; prints the report. */
const { storage, url, passages } = JSON.parse(process.argv[2] ?? '{}') as {
  storage: string
  url: string
  passages: number
}
const rag = new UltraFastRAG({
  storage,
  embedder: false,
  enrich: async ({ text }, { signal }) => {
    const response = await fetch(url, { method: 'POST', body: text, signal })
    return response.text()
  },
})
const sections = Array.from(
  { length: passages },
  (_, place) => `# Section ${place}\n\nThe passage ${place} stands here.`,
)
const report = await rag.ingest([{ id: 'a', text: sections.join('\n\n'), mediaType: 'text/markdown' }])
process.stdout.write(JSON.stringify({ chunks: report.chunks, unenriched: report.unenriched }))
await rag.close()
