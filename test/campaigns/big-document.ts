import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UltraFastRAG } from 'ultrafast-rag'
import { expect } from 'vitest'
import { type Child, startChild } from './child.js'

const name = 'big.txt'

/**
 * One document of so many chunks, killed half-way: the old version stays whole; then ingested to the end within a memory limit and
 * found whole. Memory is anonymous memory (`RssAnon`) of the whole process, indexes included.
 */
export async function bigDocument({
  chunks,
  maxBytes,
}: {
  chunks: number
  maxBytes: number
}): Promise<{ peakBytes: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-big-'))
  const root = join(folder, 'files')
  const storage = join(folder, 'store')
  mkdirSync(root)
  try {
    write(join(root, name), 1_000, 'old')
    const before = await ingest(storage, root)
    expect(await before.child.ended, before.child.errors()).toBe(0)
    const old = await survey(storage)

    write(join(root, name), chunks, 'new')
    const killed = await ingest(storage, root)
    await killed.half
    killed.child.process.kill('SIGKILL')
    await killed.child.ended
    expect(killed.child.lines).not.toContain('done')
    expect(await survey(storage), 'the old version after the kill').toEqual(old)

    const whole = await ingest(storage, root)
    expect(await whole.child.ended, whole.child.errors()).toBe(0)
    const after = await survey(storage)
    expect(after.documents).toBe(1)
    expect(after.chunks).toBeGreaterThanOrEqual(chunks)
    expect(after.indexed).toBe(after.chunks)
    expect(after.oldHits).toBe(0)
    expect(after.newHits).toBeGreaterThan(0)
    if (!Number.isNaN(whole.peak())) expect(whole.peak()).toBeLessThanOrEqual(maxBytes)
    return { peakBytes: whole.peak() }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Sentences of about 130 characters: three to a chunk. */
function write(path: string, chunks: number, version: string): void {
  const file = openSync(path, 'w')
  for (let chunk = 0; chunk < chunks; chunk += 1_000) {
    const lines = Array.from({ length: Math.min(1_000, chunks - chunk) * 3 }, (_, i) => {
      const number = chunk * 3 + i
      return `The ${version} version of this very long document says in sentence ${number} something about subject s${number % 9973} and all the others.`
    })
    writeSync(file, `${lines.join(' ')}\n\n`)
  }
  closeSync(file)
}

async function ingest(
  storage: string,
  root: string,
): Promise<{ child: Child; half: Promise<void>; peak: () => number }> {
  const child = startChild('./ingest-folder.child.mjs', { storage, root })
  let peak = Number.NaN
  const sampler = setInterval(() => {
    const bytes = anonymousBytes(child.process.pid as number)
    if (bytes !== undefined && !(bytes <= peak)) peak = bytes
  }, 20)
  void child.ended.then(() => clearInterval(sampler))
  // Half-way is when the store has grown to a good part of what it will be; time is what every machine has.
  const half = new Promise<void>((resolve) => setTimeout(resolve, 2_000))
  return { child, half, peak: () => peak }
}

async function survey(storage: string) {
  const rag = new UltraFastRAG({ storage })
  try {
    const { documents, chunks, indexes } = await rag.stats()
    const count = async (question: string) =>
      (await rag.retrieve(question, { topK: 10 })).filter(({ chunk }) => chunk.text.includes(question)).length
    return {
      documents,
      chunks,
      indexed: indexes.lexical.chunks,
      oldHits: await count('The old version'),
      newHits: await count('The new version'),
    }
  } finally {
    await rag.close()
  }
}

function anonymousBytes(processId: number): number | undefined {
  try {
    const kilobytes = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${processId}/status`, 'utf8'))?.[1]
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024
  } catch {
    // No /proc on this system, or the process has ended: nothing to read.
    return undefined
  }
}
