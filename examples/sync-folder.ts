/**
 * An index in step with a folder: first once with `sync`, then while it changes.
 *
 *   npx tsx examples/sync-folder.ts
 *
 * It works on a folder of its own in the system's folder for temporary files. Needs the built package.
 */
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UltraFastRAG, type WatchEvent } from 'ultrafast-rag'

const place = mkdtempSync(join(tmpdir(), 'ufrag-example-'))
const folder = join(place, 'notes')
const write = (name: string, text: string) => writeFileSync(join(folder, name), text)
const rag = new UltraFastRAG({ root: folder, storage: join(place, 'knowledge') })

try {
  mkdirSync(folder)
  write('tea.md', '# Tea\n\nGreen tea is brewed at 80 degrees for two minutes.')
  write('coffee.md', '# Coffee\n\nA filter coffee takes 60 grams for a litre of water.')
  await tell('Two notes', () => rag.ingest([folder], { sync: true }))

  write('tea.md', '# Tea\n\nGreen tea is brewed at 75 degrees for three minutes.')
  rmSync(join(folder, 'coffee.md'))
  await tell('One changed, one gone', () => rag.ingest([folder], { sync: true }))

  const events: WatchEvent[] = []
  const watch = await rag.watch(folder, { settleMs: 100, onEvent: (event) => void events.push(event) })
  write('cocoa.md', '# Cocoa\n\nCocoa wants milk, and a pinch of salt.')
  renameSync(join(folder, 'tea.md'), join(folder, 'green-tea.md'))
  const wanted = ['cocoa.md', 'green-tea.md']
  for (let tries = 0; tries < 200 && (await names()).join() !== wanted.join(); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  await watch.close()
  console.log(`Watched: ${events.length} events, the index holds ${(await names()).join(' and ')}`)

  const { answer } = await rag.query('How is green tea brewed?')
  console.log(`Answer: ${answer}`)
} finally {
  await rag.close()
  rmSync(place, { recursive: true, force: true })
}

async function tell(what: string, ingest: () => ReturnType<UltraFastRAG['ingest']>): Promise<void> {
  const { documents, unchanged, removed } = await ingest()
  console.log(`${what}: ${documents} stored, ${unchanged} unchanged, ${removed} removed`)
}

async function names(): Promise<string[]> {
  const found: string[] = []
  for await (const { id } of rag.documents()) found.push(id)
  return found.sort()
}
