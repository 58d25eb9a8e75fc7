import { appendFileSync, cpSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { UltraFastRAG, type WatchEvent } from '../../../src/index.js'
import { randomNumbers } from '../../../src/testing/support.js'
import { inSoak } from '../../lib/soak.js'

const opened: UltraFastRAG[] = []
const folders: string[] = []

afterEach(async () => {
  await Promise.all(opened.splice(0).map((rag) => rag.close()))
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-watch-'))
  folders.push(folder)
  return folder
}

/** What is stored, by id: the texts, found by reading them back. */
async function stored(rag: UltraFastRAG): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {}
  for await (const { contentHash, id } of rag.documents()) hashes[id] = contentHash
  return hashes
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let look = 0; look < 200; look++) {
    if (await holds()) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error('It did not come to be.')
}

describe('watch()', () => {
  it('follows what is added, changed, renamed and removed, at any depth, its own storage left out', async () => {
    const root = makeFolder()
    writeFileSync(join(root, 'a.txt'), 'Ants.')
    writeFileSync(join(root, 'b.txt'), 'Bees.')
    const rag = new UltraFastRAG({ root, storage: join(root, 'storage'), embedder: false })
    opened.push(rag)
    const events: WatchEvent[] = []
    await using watch = await rag.watch('.', { settleMs: 100, onEvent: (event) => void events.push(event) })
    expect(watch.report).toMatchObject({ documents: 2, synced: true })
    expect(watch.folder).toBe(root)

    mkdirSync(join(root, 'deep/er'), { recursive: true })
    writeFileSync(join(root, 'deep/er/c.txt'), 'Cats.')
    appendFileSync(join(root, 'a.txt'), ' Apes.')
    rmSync(join(root, 'b.txt'))
    writeFileSync(join(root, '.hidden.txt'), 'Nobody sees this.')
    await until(async () => Object.keys(await stored(rag)).join() === 'a.txt,deep/er/c.txt')
    expect((await rag.retrieve('apes')).map(({ chunk }) => chunk.documentId)).toEqual(['a.txt'])

    renameSync(join(root, 'deep'), join(root, 'moved'))
    await until(async () => Object.keys(await stored(rag)).join() === 'a.txt,moved/er/c.txt')
    rmSync(join(root, 'moved'), { recursive: true })
    await until(async () => Object.keys(await stored(rag)).join() === 'a.txt')
    expect(events.filter(({ type }) => type === 'error')).toEqual([])
  })

  inSoak('comes to hold what the folder holds, whatever happens to it from the first look on', async () => {
    const root = makeFolder()
    const rag = new UltraFastRAG({ root, embedder: false })
    opened.push(rag)
    const random = randomNumbers(11)
    const pick = (count: number) => Math.floor(random() * count)
    const place = () => join(root, ['', 'x', 'y', 'x/z'][pick(4)] ?? '')
    const steps = [
      () => writeFileSync(join(place(), `${pick(12)}.txt`), `Version ${random()}.`),
      () => appendFileSync(join(place(), `${pick(12)}.txt`), ` And ${random()}.`),
      () => rmSync(join(place(), `${pick(12)}.txt`), { force: true }),
      () => renameSync(join(place(), `${pick(12)}.txt`), join(place(), `${pick(12)}.txt`)),
      () => cpSync(join(root, 'x/z'), join(root, 'x', `copy${pick(2)}`), { recursive: true }),
      () => renameSync(join(root, 'x', `copy${pick(2)}`), join(root, 'y', `moved${pick(2)}`)),
      () => rmSync(join(root, ['x/copy0', 'y/moved1'][pick(2)] ?? ''), { recursive: true, force: true }),
    ]
    const change = (times: number) => {
      for (let time = 0; time < times; time++) {
        mkdirSync(join(root, 'x/z'), { recursive: true })
        mkdirSync(join(root, 'y'), { recursive: true })
        try {
          steps[pick(steps.length)]?.()
        } catch {
          // A step that is impossible just now, such as to rename what is not there.
        }
      }
    }
    change(60)
    const watching = rag.watch('.', { settleMs: 100 })
    for (let burst = 0; burst < 12; burst++) {
      await new Promise((resolve) => setTimeout(resolve, pick(60)))
      change(1 + pick(15))
    }
    await using _watch = await watching
    for (let burst = 0; burst < 8; burst++) {
      await new Promise((resolve) => setTimeout(resolve, pick(150)))
      change(1 + pick(15))
    }
    const fresh = new UltraFastRAG({ root, embedder: false })
    opened.push(fresh)
    await fresh.ingest(['.'])
    const expected = await stored(fresh)
    expect(Object.keys(expected).length).toBeGreaterThan(3)
    await until(async () => JSON.stringify(await stored(rag)) === JSON.stringify(expected))
  })

  it('ends with the close() of everything, and refuses what is no folder', async () => {
    const root = makeFolder()
    const rag = new UltraFastRAG({ root, embedder: false })
    opened.push(rag)
    await expect(rag.watch('nowhere')).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(rag.watch('')).rejects.toMatchObject({ code: 'BAD_INPUT' })
    await expect(rag.watch('.', { settleMs: 5 })).rejects.toMatchObject({ code: 'BAD_OPTION' })
    await expect(rag.watch('.', { settle: 5 } as never)).rejects.toMatchObject({ code: 'BAD_OPTION' })
    const watch = await rag.watch('.')
    await rag.close()
    await watch.closed
    await watch.close()
    await expect(rag.watch('.')).rejects.toMatchObject({ code: 'CLOSED' })
  })
})
