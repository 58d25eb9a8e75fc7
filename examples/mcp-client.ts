/**
 * A client of the Model Context Protocol that starts `ufrag mcp` over a storage, and asks it.
 *
 *   npx tsx examples/mcp-client.ts ["a question?"]
 *
 * Hosts of models (editors, assistants) do the same with a command line that you give them: `npx ufrag --storage ./knowledge mcp --read-only`.
 * Needs `npm i @modelcontextprotocol/sdk`, and the built package.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { UltraFastRAG } from 'ultrafast-rag'

const question = process.argv[2] ?? 'How hot is the water for green tea?'
const folder = mkdtempSync(join(tmpdir(), 'ufrag-example-'))
const storage = join(folder, 'knowledge')

const rag = new UltraFastRAG({ storage })
await rag.ingest([
  { id: 'tea.md', text: '# Tea\n\nGreen tea is brewed with water of 75 degrees.\n\nBlack tea takes boiling water.' },
  { id: 'coffee.md', text: '# Coffee\n\nA filter coffee takes 60 grams for a litre of water.' },
])
await rag.close()

const client = new Client({ name: 'example', version: '1.0.0' })
try {
  const ufrag = fileURLToPath(new URL('../dist/cli.js', import.meta.url))
  await client.connect(
    new StdioClientTransport({ command: process.execPath, args: [ufrag, '--storage', storage, 'mcp', '--read-only'] }),
  )
  const { tools } = await client.listTools()
  console.log(`${client.getServerVersion()?.name} offers ${tools.map(({ name }) => name).join(', ')}`)

  const listed = await client.callTool({ name: 'list_documents', arguments: {} })
  const { documents } = listed.structuredContent as { documents: { id: string; title: string; chunks: number }[] }
  for (const { chunks, id, title } of documents) console.log(`   ${id}: "${title}", ${chunks} passages`)

  console.log(`Q: ${question}`)
  const answered = await client.callTool({ name: 'answer', arguments: { question } }, undefined, {
    onprogress: ({ message, progress, total }) => console.log(`   ${progress}/${total} ${message}`),
  })
  const { answer, citations } = answered.structuredContent as {
    answer: string
    citations: { marker: number; documentId: string; quote: string }[]
  }
  console.log(`A: ${answer}`)
  for (const { documentId, marker } of citations) console.log(`   [${marker}] ${documentId}`)
} finally {
  await client.close()
  rmSync(folder, { recursive: true, force: true })
}
