/**
 * Files in, cited answers out, offline.
 *
 *   npm run demo                            the project's own documents and three questions
 *   npm run demo -- FILE… "a question?"     your files, your question
 */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Citation, type QueryResult, UltraFastRAG } from 'ultrafast-rag'

const project = fileURLToPath(new URL('..', import.meta.url))
const ownDocuments = ['docs/*.md', 'docs/decisions', 'examples/documents']
const ownQuestions = [
  'What does a reader see of a document that is half written?',
  'How do I add an adapter?',
  'Who won the football world cup in 1966?',
]

const given = process.argv.slice(2)
const files = given.filter((argument) => existsSync(argument))
const questions = given.filter((argument) => !existsSync(argument))
if (given.length > 0 && (files.length === 0 || questions.length === 0)) {
  console.error('Usage: npm run demo -- FILE… "a question?"   (at least one file that exists, and one question)')
  process.exit(2)
}

const rag = new UltraFastRAG({ root: given.length === 0 ? project : process.cwd() })

const report = await rag.ingest(given.length === 0 ? ownDocuments : files)
const seconds = (report.durationMs / 1000).toFixed(2)
console.log(`Ingested ${report.documents} documents, ${report.chunks} chunks in ${seconds} s`)
for (const { source, error } of report.failed) console.log(`  not ingested: ${source}: ${error.message}`)

for (const question of given.length === 0 ? ownQuestions : questions) print(question, await rag.query(question))
await rag.close()

function print(question: string, { answer, outcome, reason, citations, timings }: QueryResult): void {
  console.log(`\nQ: ${question}`)
  console.log(outcome === 'answered' ? `A: ${answer}` : `A: (no answer) ${reason ?? ''}`)
  for (const citation of citations) console.log(`   [${citation.marker}] ${place(citation)}`)
  const stages = Object.entries(timings).map(([stage, ms]) => `${stage} ${ms.toFixed(1)} ms`)
  console.log(`   ${stages.join(' · ')}`)
}

function place({ documentId, title, page, span }: Citation): string {
  const where = page === undefined ? '' : `, page ${page}`
  return `${title === '' ? documentId : `${title} (${documentId})`}${where}, characters ${span.start}–${span.end}`
}
