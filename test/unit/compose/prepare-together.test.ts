import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Preparation, pooledPreparation } from '../../../src/compose/preparation.js'
import type { PreparedOpening, PreparedPiece, PreparedSame } from '../../../src/pipelines/steps/prepare.js'
import { createMemoryBudget } from '../../../src/util/memory-budget.js'
import { inSoak } from '../../lib/soak.js'
import { makePdf } from '../extract/helpers.js'

const pages = 300
const folder = mkdtempSync(join(tmpdir(), 'ufrag-'))
const file = join(folder, 'large.pdf')
const open: Preparation[] = []

beforeAll(async () => {
  const chapter = (page: number) =>
    page % 40 === 1 ? `${1 + Math.floor(page / 40)} Chapter of page ${page}` : undefined
  const bytes = await makePdf(
    Array.from({ length: pages }, (_, i) => (pdf: PDFKit.PDFDocument) => {
      const heading = chapter(i + 1)
      if (heading !== undefined) pdf.fontSize(18).text(heading)
      pdf
        .fontSize(10)
        .text(`On page ${i + 1} the instrument counted ${i * 7} drops of rain, which is page ${i + 1}. `.repeat(28))
      pdf.text(`Report on rain, page ${i + 1}`, 72, 720, { height: 20 })
    }),
    { compress: false },
  )
  expect(bytes.length).toBeGreaterThan(1 << 20)
  writeFileSync(file, bytes)
})

afterEach(async () => {
  await Promise.all(open.splice(0).map((preparation) => preparation.close()))
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function prepare(options: { threads: number; maxMemoryBytes?: number; usedBytes?: number; path?: string }) {
  const { threads, maxMemoryBytes = 2 ** 32, usedBytes = 0, path = file } = options
  let together = 0
  const preparation = await pooledPreparation(
    {
      bare: false,
      keywords: false,
      language: 'english',
      pdf: 'pdfium',
      layout: 'clean',
      formats: {},
      maxChunksPerPage: 0,
      maxFileBytes: 2 ** 28,
      chunker: { kind: 'sentence', chunkSize: 400, chunkOverlap: 0, minChunkSize: 0 },
    },
    {
      threads,
      timeoutMs: 30_000,
      memory: createMemoryBudget({ maxBytes: maxMemoryBytes, usedBytes: () => usedBytes }),
      recorder: { stage() {}, count: () => void together++ },
    },
  )
  open.push(preparation)
  const request = { documentId: 'large', source: { kind: 'file', path, name: 'large.pdf' } } as const
  return { preparation, request, wasReadTogether: () => together > 0 }
}

async function readWhole({
  preparation,
  request,
}: Pick<Awaited<ReturnType<typeof prepare>>, 'preparation' | 'request'>) {
  const parts: (PreparedSame | PreparedOpening | (Omit<PreparedPiece, 'bytes'> & { readonly bytes: string }))[] = []
  const document = preparation.prepare(request, undefined)
  for (;;) {
    const { done, value } = await document.next()
    if (done === true) return { parts, summary: value }
    parts.push(value.type === 'piece' ? { ...value, bytes: Buffer.from(value.bytes).toString('base64') } : value)
  }
}

describe('a large PDF', () => {
  it('read by three threads is what one makes of it', async () => {
    const alone = await prepare({ threads: 1 })
    const together = await prepare({ threads: 3 })
    const [one, three] = [await readWhole(alone), await readWhole(together)]
    expect([alone.wasReadTogether(), together.wasReadTogether()]).toEqual([false, true])
    expect(one.summary).toMatchObject({ pages })
    expect(three).toEqual(one)
  })

  inSoak('is read by one thread where several would hold too much', async () => {
    const little = await prepare({ threads: 3, maxMemoryBytes: 4 << 20 })
    expect((await readWhole(little)).summary).toMatchObject({ pages })
    expect(little.wasReadTogether()).toBe(false)
    const short = await prepare({ threads: 3, usedBytes: 2 ** 32 })
    expect((await readWhole(short)).summary).toMatchObject({ pages })
    expect(short.wasReadTogether()).toBe(false)
  })

  it('is let go by all when its reader leaves or aborts', async () => {
    const { preparation, request } = await prepare({ threads: 3 })
    for (let round = 0; round < 3; round++) {
      const left = preparation.prepare(request, undefined)
      await left.next()
      await left.next()
      await left.return({ characters: 0, pages: 0, chunks: 0 })
      const controller = new AbortController()
      const aborted = preparation.prepare(request, controller.signal)
      await aborted.next()
      controller.abort(new Error('enough'))
      await expect(aborted.next()).rejects.toThrow('enough')
    }
    expect((await readWhole({ preparation, request })).summary).toMatchObject({ pages })
  })

  it('that cannot be read fails as it does for one', async () => {
    const path = join(folder, 'none.pdf')
    writeFileSync(path, Buffer.concat([Buffer.from('%PDF-1.7\n'), Buffer.alloc(2 << 20, 32)]))
    for (const threads of [1, 3]) {
      await expect(readWhole(await prepare({ threads, path }))).rejects.toMatchObject({ code: 'CORRUPT' })
    }
  })
})
