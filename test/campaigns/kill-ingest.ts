import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UltraFastRAG } from 'ultrafast-rag'
import { expect } from 'vitest'
import { createRandom, startChild } from './child.js'

/** Content that a document may have: the version it was written with, and all versions it ever had. */
interface Expected {
  hash: string
  /** Number of sentences by content hash. */
  readonly hashes: Map<string, number>
  version: number
  sentences: number
}

/**
 * Kills an ingesting process at random moments, again and again over one store, while a third of the files change between kills.
 * After each kill: everything reported as committed is there, whole and searchable; nothing is half there; and in the end one more
 * ingest finishes the rest.
 */
export async function killIngest({ kills, seed }: { kills: number; seed: number }): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-kill-'))
  const root = join(folder, 'files')
  const storage = join(folder, 'store')
  mkdirSync(root)
  const random = createRandom(seed)
  const files = new Map<string, Expected>()
  try {
    for (let i = 0; i < 150; i++) files.set(`d${i}.txt`, { hash: '', hashes: new Map(), version: 0, sentences: 0 })
    for (const name of files.keys()) rewrite(root, name, files, random)
    let committedInAll = 0
    for (let kill = 0; kill < kills; kill++) {
      const child = startChild('./ingest-folder.child.ts', { storage, root })
      await child.line((line) => line.startsWith('committed') || line === 'done')
      await new Promise((resolve) => setTimeout(resolve, random() ** 2 * 400))
      child.process.kill('SIGKILL')
      await child.ended
      const committed = child.lines.filter((line) => line.startsWith('committed ')).map((line) => line.slice(10))
      committedInAll += committed.length
      await check(storage, files, new Set(committed))
      for (const name of files.keys()) if (random() < 0.33) rewrite(root, name, files, random)
    }
    expect(committedInAll).toBeGreaterThan(kills)
    await finish(storage, root, files)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Gives a file its next version. Each sentence names the document and the version, so that a mixture would show. */
function rewrite(root: string, name: string, files: Map<string, Expected>, random: () => number): void {
  const file = files.get(name) as Expected
  file.version++
  file.sentences = random() < 0.04 ? 4_000 : 2 + Math.floor(random() * 60)
  const word = wordOf(name)
  const text = Array.from(
    { length: file.sentences },
    (_, i) => `The document ${word} in version v${file.version} says in sentence number ${i} that all is well.`,
  ).join(' ')
  writeFileSync(join(root, name), text)
  file.hash = createHash('sha256').update(text).digest('hex')
  file.hashes.set(file.hash, file.sentences)
}

function wordOf(name: string): string {
  return `zq${name.slice(1, -4)}x`
}

async function check(storage: string, files: Map<string, Expected>, committed: ReadonlySet<string>): Promise<void> {
  const rag = new UltraFastRAG({ storage })
  try {
    const stored = new Map<string, { hash: string; chunks: number; characters: number }>()
    for await (const { id, contentHash, chunks, characters } of rag.documents()) {
      stored.set(id, { hash: contentHash, chunks, characters })
    }
    for (const name of committed)
      expect(stored.get(name)?.hash, `${name} was reported as committed`).toBe(files.get(name)?.hash)
    let chunks = 0
    for (const [name, document] of stored) {
      expect(files.get(name)?.hashes.has(document.hash), `${name} has a content it once had`).toBe(true)
      chunks += document.chunks
    }
    const stats = await rag.stats()
    expect(stats.chunks).toBe(chunks)
    expect(stats.indexes.lexical.chunks).toBe(chunks)
    for (const name of [...stored.keys()].slice(0, 40))
      await checkWhole(rag, name, files.get(name)?.hashes.get(stored.get(name)?.hash ?? ''))
  } finally {
    await rag.close()
  }
}

/** What its word finds is of this document and of one version, and together it says every sentence of that version. */
async function checkWhole(rag: UltraFastRAG, name: string, sentences: number | undefined): Promise<void> {
  const hits = await rag.retrieve(wordOf(name), { topK: 10_000 })
  expect(new Set(hits.map(({ chunk }) => chunk.documentId))).toEqual(new Set([name]))
  const text = hits.map(({ chunk }) => chunk.text).join(' ')
  const versions = new Set([...text.matchAll(/in version (v\d+)/g)].map(([, version]) => version))
  expect(versions.size, `${name} is of one version`).toBe(1)
  const said = new Set([...text.matchAll(/sentence number (\d+)/g)].map(([, number]) => number))
  expect(said.size, `${name} has all of its sentences`).toBe(sentences)
}

async function finish(storage: string, root: string, files: Map<string, Expected>): Promise<void> {
  const rag = new UltraFastRAG({ storage, root })
  try {
    const report = await rag.ingest(['.'])
    expect(report.failed).toEqual([])
    expect(report.documents + report.unchanged).toBe(files.size)
    for await (const { id, contentHash } of rag.documents()) expect(contentHash).toBe(files.get(id)?.hash)
    expect((await rag.stats()).documents).toBe(files.size)
    expect(await rag.ingest(['.'])).toMatchObject({ documents: 0, unchanged: files.size })
  } finally {
    await rag.close()
  }
}
