import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UltraFastRAG } from 'ultrafast-rag'
import { expect } from 'vitest'
import { startChild } from './child.js'

/** Processes that ingest the same folder into one store at once: all finish, nothing is lost, nothing is there twice. */
export async function twoWriters({ processes, documents }: { processes: number; documents: number }): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-writers-'))
  const root = join(folder, 'files')
  const storage = join(folder, 'store')
  mkdirSync(root)
  try {
    for (let i = 0; i < documents; i++)
      writeFileSync(join(root, `d${i}.txt`), `The document zq${i}x is about subject ${i % 7}. `.repeat(1 + (i % 50)))
    const children = Array.from({ length: processes }, () => startChild('./ingest-folder.child.mjs', { storage, root }))
    for (const child of children) {
      expect(await child.ended, child.errors()).toBe(0)
      expect(child.lines.at(-1)).toBe('done')
      expect(child.lines.filter((line) => line.startsWith('failed'))).toEqual([])
    }
    const rag = new UltraFastRAG({ storage, root })
    try {
      const stats = await rag.stats()
      expect(stats.documents).toBe(documents)
      expect(stats.indexes.lexical.chunks).toBe(stats.chunks)
      for (let i = 0; i < documents; i += 7) {
        const hits = await rag.retrieve(`zq${i}x`, { groupBy: 'document', topK: 10 })
        expect(hits.map(({ chunk }) => chunk.documentId)).toEqual([`d${i}.txt`])
      }
      expect(await rag.ingest(['.'])).toMatchObject({ documents: 0, unchanged: documents })
    } finally {
      await rag.close()
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
