import { UltraFastRAG } from 'ultrafast-rag'

/** Ingests a folder and prints `committed <id>` for each document as it is reported. Plain JavaScript: its memory is measured. */
const { storage, root } = JSON.parse(process.argv[2] ?? '{}')
const rag = new UltraFastRAG({ storage, root })
const report = await rag.ingest(['.'], {
  onProgress: ({ stage, source }) => process.stdout.write(`${stage} ${source}\n`),
})
for (const { source, error } of report.failed) process.stdout.write(`failed ${source} ${error.code} ${error.message}\n`)
await rag.close()
process.stdout.write('done\n')
