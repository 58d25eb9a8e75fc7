/**
 * An ingest of 10,000 documents that is killed on the way and goes on where it was.
 *
 *   npx tsx examples/resumable-ingest.ts [documents]
 *
 * It works in a folder of its own in the system's folder for temporary files. Needs the built package.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { UltraFastRAG } from 'ultrafast-rag'

const [role, ...rest] = process.argv.slice(2)
if (role === 'worker') await ingest(rest[0] as string)
else await demonstrate(Number(role ?? 10_000))

async function demonstrate(count: number): Promise<void> {
  const place = mkdtempSync(join(tmpdir(), 'ufrag-example-'))
  try {
    mkdirSync(join(place, 'letters'))
    for (let i = 0; i < count; i++) {
      writeFileSync(
        join(place, 'letters', `${i}.md`),
        `# Letter ${i}\n\nThe ship number ${i} left the harbour of Oslo.`,
      )
    }
    console.log(`${count} documents`)
    // Killed as a machine dies: without a chance to say goodbye.
    await run(place, Math.floor(count / 3))
    await run(place)
    await run(place)
  } finally {
    rmSync(place, { recursive: true, force: true })
  }
}

/** Ingests in a process of its own, which is killed when so many documents are done. */
async function run(place: string, killAfter = Number.POSITIVE_INFINITY): Promise<void> {
  const self = fileURLToPath(import.meta.url)
  const child = spawn(process.execPath, [...process.execArgv, self, 'worker', place], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  child.on('message', (done) => {
    if (Number(done) >= killAfter) child.kill('SIGKILL')
  })
  const [, signal] = await once(child, 'exit')
  if (signal !== null) console.log(`killed by ${signal} after some ${killAfter} documents`)
}

async function ingest(place: string): Promise<void> {
  const rag = new UltraFastRAG({ root: place, storage: join(place, 'knowledge'), embedder: false })
  const report = await rag.ingest([join(place, 'letters')], {
    onProgress: ({ documentsDone }) => void process.send?.(documentsDone),
  })
  const { documents } = await rag.stats()
  console.log(`${report.documents} stored, ${report.unchanged} were there already, the store holds ${documents}`)
  await rag.close()
}
