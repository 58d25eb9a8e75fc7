import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RagError } from '../../../src/core/errors.js'
import { createBm25Index } from '../../../src/lexical-index/bm25.js'
import { inSoak } from '../../lib/soak.js'
import { documentOf, find, publish, randomText, seeded } from './support.js'

let root: string
let directory: string

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'lexical-'))
  directory = join(root, 'index')
})
afterEach(async () => {
  await rm(root, { recursive: true, force: true })
})

const random = seeded(9)
const documents = Array.from({ length: 12 }, (_, i) =>
  documentOf(i * 10, 'title', randomText(random, 30), randomText(random, 30)),
)
const questions = Array.from({ length: 5 }, () => randomText(random, 5))

/** A snapshot of two segments, one of them with removals. */
async function makeSnapshot(): Promise<void> {
  const index = await createBm25Index({ directory })
  await publish(index, 3, documents.slice(0, 8))
  await publish(index, 7, documents.slice(8), [[10, 12]])
  await index.persist()
  await index.close()
}

async function answers(folder: string): Promise<{ epoch: number; found: unknown; problems: RagError[] }> {
  const problems: RagError[] = []
  const index = await createBm25Index({ directory: folder, warn: (problem) => problems.push(problem) })
  const found = await Promise.all(questions.map((text) => index.search(text, { topK: 20 })))
  const { epoch } = index
  await index.close()
  return { epoch, found, problems }
}

describe('snapshots', () => {
  it('give the same answers after reopening, removals included', async () => {
    const index = await createBm25Index({ directory })
    await publish(index, 3, documents.slice(0, 8))
    await publish(index, 7, documents.slice(8), [[10, 12]])
    const before = await Promise.all(questions.map((text) => index.search(text, { topK: 20 })))
    await index.persist()
    await index.close()
    expect(await answers(directory)).toEqual({ epoch: 7, found: before, problems: [] })
  })

  it('drop files they no longer need and leave those of others alone', async () => {
    await makeSnapshot()
    await writeFile(join(directory, 'notes.txt'), 'mine')
    const index = await createBm25Index({ directory })
    await index.compact()
    await index.persist()
    await index.close()
    const names = await readdir(directory)
    expect(names.filter((name) => name.startsWith('segment-')).length).toBe(1)
    expect(names).toContain('notes.txt')
    expect(names.filter((name) => name.endsWith('.tmp'))).toEqual([])
  })

  it('are refused by an index that was opened read-only', async () => {
    await makeSnapshot()
    const index = await createBm25Index({ directory, readOnly: true })
    expect(index.epoch).toBe(7)
    await expect(index.persist()).rejects.toMatchObject({ code: 'READ_ONLY' })
    await index.close()
  })

  it('that are missing are an index at epoch 0 without any complaint', async () => {
    expect(await answers(directory)).toMatchObject({ epoch: 0, problems: [] })
  })

  inSoak('are dropped, with a reason, when a file is cut at any place', async () => {
    await makeSnapshot()
    for (const name of await readdir(directory)) {
      const bytes = await readFile(join(directory, name))
      const lengths = [0, 1, 8, 9, 10, 255, 256, 257, bytes.length - 4, bytes.length - 1]
      for (let i = 0; i < 20; i++) lengths.push(Math.floor(random() * bytes.length))
      for (const length of lengths.filter((length) => length < bytes.length))
        await expectDropped(name, bytes.subarray(0, length))
      await expectDropped(name, Buffer.concat([bytes, Buffer.from([0])]))
    }
  })

  it('are dropped, with a reason, when any bit is flipped', async () => {
    await makeSnapshot()
    for (const name of await readdir(directory)) {
      const bytes = await readFile(join(directory, name))
      for (let i = 0; i < 60; i++) {
        const flipped = Buffer.from(bytes)
        // The header and the ends are where the structure is.
        const place = i < 24 ? i * 3 : Math.floor(random() * bytes.length)
        flipped[place] = flipped[place]! ^ (1 << Math.floor(random() * 8))
        await expectDropped(name, flipped)
      }
    }
  })

  it('are dropped when a segment is missing, is a folder, a dangling link, or another segment under its name', async () => {
    await makeSnapshot()
    const [first, second] = (await readdir(directory)).filter((name) => name.startsWith('segment-'))
    await expectDropped(first!, undefined)
    await expectDropped(first!, await readFile(join(directory, second!)))
    const folder = await copyWithout(first!)
    await mkdir(join(folder, first!))
    expect((await answers(folder)).epoch).toBe(0)
    const linked = await copyWithout(first!)
    await symlink(join(linked, 'nowhere'), join(linked, first!))
    expect((await answers(linked)).epoch).toBe(0)
  })

  it('of a newer version or another analysis are told apart from damaged ones', async () => {
    await makeSnapshot()
    const { crc32 } = await import('node:zlib')
    const manifest = JSON.parse((await readFile(join(directory, 'manifest'), 'utf8')).slice(9)) as object
    for (const [change, code] of [
      [{ version: 2 }, 'UNSUPPORTED_VERSION'],
      [{ fingerprint: 'other' }, 'FINGERPRINT'],
    ] as const) {
      const json = JSON.stringify({ ...manifest, ...change })
      await writeFile(join(directory, 'manifest'), `${crc32(json).toString(16).padStart(8, '0')}\n${json}`)
      const { epoch, problems } = await answers(directory)
      expect(epoch).toBe(0)
      expect(problems.map((problem) => problem.code)).toEqual([code])
    }
  })

  it('can be written again after one was dropped', async () => {
    await makeSnapshot()
    await writeFile(join(directory, 'manifest'), 'nonsense')
    const index = await createBm25Index({ directory })
    await publish(index, 9, [documentOf(500, '', 'zebra')])
    await index.persist()
    await index.close()
    const again = await createBm25Index({ directory })
    expect(again.epoch).toBe(9)
    expect(await find(again, 'zebra')).toEqual([500])
    await again.close()
  })

  it('that cannot be written are an error, and the index goes on', async () => {
    await writeFile(join(root, 'file'), '')
    const index = await createBm25Index({ directory: join(root, 'file', 'index') })
    await publish(index, 1, [documentOf(1, '', 'zebra')])
    await expect(index.persist()).rejects.toMatchObject({ code: 'STORAGE' })
    expect(await find(index, 'zebra')).toEqual([1])
    await index.close()
  })

  async function expectDropped(name: string, bytes: Uint8Array | undefined): Promise<void> {
    const folder = await copyWithout(name)
    if (bytes !== undefined) await writeFile(join(folder, name), bytes)
    const { epoch, found, problems } = await answers(folder)
    expect(epoch).toBe(0)
    expect(found).toEqual(questions.map(() => expect.objectContaining({ matches: [] })))
    expect(problems.length).toBe(1)
    await rm(folder, { recursive: true })
  }

  async function copyWithout(name: string): Promise<string> {
    const folder = await mkdtemp(join(root, 'damaged-'))
    await cp(directory, folder, { recursive: true })
    await rm(join(folder, name))
    return folder
  }
})
