import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { UltraFastRAG } from '../../../src/index.js'

const opened: UltraFastRAG[] = []
const folders: string[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((rag) => rag.close()))
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

function open(storage?: string): UltraFastRAG {
  const rag = new UltraFastRAG({ embedder: false, ...(storage === undefined ? {} : { storage }) })
  opened.push(rag)
  return rag
}

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-commit-'))
  folders.push(folder)
  return folder
}

describe('beforeCommit', () => {
  it.each(['disk', 'memory'])('keeps a version from replacing what was stored since (%s)', async (place) => {
    const storage = place === 'disk' ? newFolder() : undefined
    const late = open(storage)
    const other = storage === undefined ? late.namespace('elsewhere') : open(storage)
    for (const before of [[], [{ id: 'a', text: 'The first version.' }]]) {
      await late.ingest(before)
      const beforeCommit = async () => {
        // As somebody does who has taken over while this process was frozen.
        await other.ingest([{ id: 'a', text: `The newest version after ${before.length}.` }])
      }
      const report = await late.ingest([{ id: 'a', text: 'A late version.' }], { beforeCommit })
      if (storage === undefined) expect(report).toMatchObject({ documents: 1, failed: [] })
      else {
        expect(report.failed).toMatchObject([{ source: 'memory:a', error: { code: 'LOCKED', retryable: true } }])
        expect((await late.retrieve('version'))[0]?.chunk.text).toBe(`The newest version after ${before.length}.`)
      }
      expect((await late.stats()).documents).toBe(1)
    }
  })

  it('is asked for each document, and keeps out those it rejects', async () => {
    const rag = open()
    let asked = 0
    const report = await rag.ingest(
      ['a', 'b', 'c'].map((id) => ({ id, text: `The text of ${id}.` })),
      {
        beforeCommit: async () => {
          if (++asked === 2) throw new Error('no')
        },
      },
    )
    expect(report).toMatchObject({ documents: 2, failed: [{ error: { code: expect.any(String) } }] })
    expect(asked).toBe(3)
    expect((await rag.stats()).documents).toBe(2)
    await expect(rag.ingest([], { beforeCommit: 1 as never })).rejects.toMatchObject({ code: 'BAD_OPTION' })
  })
})
