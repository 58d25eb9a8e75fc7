import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { UltraFastRAG, type UltraFastRAGOptions } from '../../src/index.js'

const disk = mkdtempSync(join(tmpdir(), 'ufrag-full-'))
const mounted = mount()
if (!mounted) console.warn('Skipped: a small disk can only be mounted by root on Linux.')

afterAll(() => {
  if (mounted) execFileSync('umount', [disk])
  rmSync(disk, { recursive: true })
})

it.skipIf(!mounted).each([false, 'hashing'] as const)(
  'a disk that fills up during an ingest loses nothing, and takes more once there is room (embedder: %s)',
  async (embedder) => {
    execFileSync('mount', ['-o', 'remount,size=24m', disk])
    const storage = join(disk, String(embedder))
    mkdirSync(storage)
    const options: UltraFastRAGOptions = { storage, embedder }
    const rag = new UltraFastRAG(options)
    await rag.ingest([{ id: 'first', text: 'A canary sings.' }])
    await expect(rag.ingest(manyDocuments())).rejects.toMatchObject({ code: 'STORAGE_FULL' })
    expect((await rag.retrieve('canary'))[0]?.chunk.documentId).toBe('first')
    const { documents } = await rag.stats()
    expect(documents).toBeGreaterThan(1)

    execFileSync('mount', ['-o', 'remount,size=200m', disk])
    expect(await rag.ingest([{ id: 'zebra', text: 'A zebra runs.' }])).toMatchObject({ documents: 1, failed: [] })
    await rag.close()

    const again = new UltraFastRAG(options)
    expect((await again.stats()).documents).toBe(documents + 1)
    expect((await again.retrieve('zebra'))[0]?.chunk.documentId).toBe('zebra')
    await again.close()
    rmSync(storage, { recursive: true })
  },
  120_000,
)

function* manyDocuments() {
  for (let i = 0; i < 3_000; i++) {
    const words = Array.from(
      { length: 2_000 },
      (_, k) => `word${(i * 7919 + k * 31) % 5000}${k % 12 === 11 ? '.' : ''}`,
    )
    yield { id: `d${i}`, text: words.join(' ') }
  }
}

function mount(): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', disk], { stdio: 'ignore' })
    return true
  } catch {
    // Not root, or no Linux: the tests say that they were skipped.
    return false
  }
}
