import {
  copyFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UltraFastRAG } from 'ultrafast-rag'
import { expect } from 'vitest'
import { createRandom } from './child.js'

const questions = ['river water', 'word12', 'the city of word7', 'nothing like it anywhere', 'word3 word4 word5']

/** Deletes, truncates and flips bits in the files of the indexes: the answers stay what they were. */
export async function damageIndexes({ rounds, seed }: { rounds: number; seed: number }): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-damage-'))
  const random = createRandom(seed)
  try {
    const sound = join(folder, 'sound')
    const rag = new UltraFastRAG({ storage: sound })
    await rag.ingest(
      Array.from({ length: 200 }, (_, i) => ({
        id: `d${i}`,
        text: `Document ${i} tells of word${i % 17} and word${i % 5} beside the ${i % 2 === 0 ? 'river water' : 'city gates'}.`,
      })),
    )
    await rag.remove({ documentId: ['d3', 'd4'] })
    await rag.close()
    const expected = await answers(sound)

    for (let round = 0; round < rounds; round++) {
      const storage = join(folder, 'damaged')
      cpSync(sound, storage, { recursive: true })
      const files = filesBelow(join(storage, 'indexes'))
      expect(files.length).toBeGreaterThan(0)
      const file = files[Math.floor(random() * files.length)] as string
      const what = damage(file, random, files)
      expect(await answers(storage), what).toEqual(expected)
      rmSync(storage, { recursive: true, force: true })
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function answers(storage: string): Promise<unknown> {
  const rag = new UltraFastRAG({ storage })
  try {
    const found: unknown[] = []
    for (const question of questions) {
      const hits = await rag.retrieve(question, { topK: 20 })
      found.push(hits.map(({ chunk, score }) => [chunk.id, Number(score.toFixed(4))]))
    }
    return found
  } finally {
    await rag.close()
  }
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}

/** Does one of four kinds of harm and tells which. */
function damage(file: string, random: () => number, files: readonly string[]): string {
  const { size } = statSync(file)
  const kind = Math.floor(random() * 4)
  if (kind === 0) {
    rmSync(file)
    return `${file} deleted`
  }
  if (kind === 1) {
    const length = Math.floor(random() * size)
    truncateSync(file, length)
    return `${file} cut to ${length} of ${size} bytes`
  }
  if (kind === 2) {
    const bytes = readFileSync(file)
    const place = Math.floor(random() * size)
    bytes[place] = (bytes[place] as number) ^ (1 << Math.floor(random() * 8))
    writeFileSync(file, bytes)
    return `${file}: a bit of byte ${place} of ${size} flipped`
  }
  const other = files[Math.floor(random() * files.length)] as string
  if (other === file) writeFileSync(file, 'not an index')
  else copyFileSync(other, file)
  return `${file} replaced by ${other === file ? 'text' : other}`
}
