import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Chunker, SectionSpan } from '../../../src/chunk/types.js'
import { decodePiece, type Piece, pieceChunkText } from '../../../src/core/piece.js'
import type { Block, Extraction } from '../../../src/extract/types.js'
import {
  type PreparedOpening,
  type PreparedSummary,
  type PrepareRequest,
  type PrepareTools,
  prepareDocument,
} from '../../../src/pipelines/steps/prepare.js'

/** Cuts at every blank line and every 50 units: simple, and obviously right. */
const plainChunker: Chunker = {
  id: 'plain',
  fingerprint: 'plain',
  chunk: ({ text }) => {
    const spans: SectionSpan[] = []
    for (const match of text.matchAll(/\S[^\n]{0,49}/g)) {
      const trimmed = match[0].trimEnd()
      spans.push({ start: match.index, end: match.index + trimmed.length })
    }
    return spans
  },
}

function toolsFor(
  blocks: readonly Block[],
  extraction: Partial<Extraction> = {},
  tools: Partial<PrepareTools> = {},
): PrepareTools {
  return {
    sniff: () => 'text/test',
    extractorFor: async () => ({
      id: 'fake',
      fingerprint: 'fake',
      mediaTypes: ['text/test'],
      extract: async () => ({
        ...extraction,
        blocks: (async function* () {
          yield* blocks
        })(),
      }),
    }),
    chunker: plainChunker,
    maxFileBytes: 1 << 20,
    maxChunksPerPage: 0,
    ...tools,
  }
}

const request: PrepareRequest = { documentId: 'd', source: { kind: 'text', text: 'content', name: 'd.txt' } }

async function prepare(tools: PrepareTools, from: PrepareRequest = request) {
  const document = prepareDocument(from, tools)
  let opening: PreparedOpening | undefined
  const pieces: Piece[] = []
  for (;;) {
    const next = await document.next()
    if (next.done === true) return { opening, pieces, summary: next.value as PreparedSummary, text: textOf(pieces) }
    if (next.value.type === 'opened') opening = next.value
    else if (next.value.type === 'piece') pieces.push(decodePiece(next.value.bytes))
  }
}

function textOf(pieces: readonly Piece[]): string {
  return pieces.map(({ text }) => text).join('')
}

function chunksOf(pieces: readonly Piece[]) {
  return pieces.flatMap((piece) => piece.chunks.map((chunk) => ({ ...chunk, text: pieceChunkText(piece, chunk) })))
}

const text = (value: string, rest: Partial<Block> = {}): Block => ({ text: value, kind: 'text', ...rest })
const heading = (value: string, headings: string[]): Block => ({ text: value, kind: 'heading', headings })

describe('the extracted text', () => {
  it('is the blocks joined, with every chunk at its true offset, however the blocks fall', async () => {
    const block = fc.record({
      text: fc.string({ unit: 'grapheme', minLength: 0, maxLength: 3000 }).map((value) => value.toWellFormed()),
      heading: fc.boolean(),
      depth: fc.integer({ min: 0, max: 3 }),
      newPage: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(block, { minLength: 1, maxLength: 40 }), async (drafts) => {
        let page = 1
        const blocks = drafts.map(({ text, heading, depth, newPage }): Block => {
          if (newPage) page++
          return { text, kind: heading ? 'heading' : 'text', page, headings: ['a', 'b', 'c'].slice(0, depth) }
        })
        const whole = blocks.map(({ text }) => text).join('')
        if (whole.trim() === '') return
        const { pieces, text, summary } = await prepare(toolsFor(blocks)).catch((error) => {
          // Headings that all have others below them leave nothing to cut.
          expect(error.code).toBe('EMPTY')
          return { pieces: [], text: whole, summary: { characters: whole.length, pages: 0, chunks: 0 } }
        })
        expect(text).toBe(whole)
        expect(summary.characters).toBe(whole.length)
        for (const chunk of chunksOf(pieces)) {
          expect(whole.slice(chunk.span.start, chunk.span.end)).toBe(chunk.text)
          expect(chunk.text.trim()).toBe(chunk.text)
        }
        const ordinals = pieces.map(({ firstOrdinal, chunks }) => [firstOrdinal, chunks.length] as const)
        let next = 0
        for (const [first, count] of ordinals) {
          expect(first).toBe(next)
          next += count
        }
      }),
      { numRuns: 60, seed: 7 },
    )
  })

  it('is cut into pieces of bounded size', async () => {
    const blocks = Array.from({ length: 400 }, (_, i) => text(`Line ${i} ${'x'.repeat(990)}\n`))
    const { pieces, summary } = await prepare(toolsFor(blocks))
    expect(pieces.length).toBeGreaterThan(5)
    for (const piece of pieces) expect(piece.text.length).toBeLessThanOrEqual(96 * 1024)
    expect(summary.chunks).toBe(chunksOf(pieces).length)
  })
})

describe('headings', () => {
  it('stand above the passages and in no passage', async () => {
    const { pieces } = await prepare(
      toolsFor([
        heading('# One\n', ['One']),
        text('First.\n', { headings: ['One'] }),
        heading('## Two\n', ['One', 'Two']),
        text('Second.', { headings: ['One', 'Two'] }),
      ]),
    )
    expect(chunksOf(pieces).map(({ text, headings }) => [text, headings])).toEqual([
      ['First.', ['One']],
      ['Second.', ['One', 'Two']],
    ])
  })

  it('become passages when nothing stands below them, blank lines aside', async () => {
    const { pieces } = await prepare(
      toolsFor([
        heading('# One\n', ['One']),
        heading('## Two\n', ['One', 'Two']),
        text('\n\n', { headings: ['One', 'Two'] }),
        heading('## Three\n', ['One', 'Three']),
      ]),
    )
    expect(chunksOf(pieces).map(({ text, headings }) => [text, headings])).toEqual([
      ['## Two', ['One']],
      ['## Three', ['One']],
    ])
  })
})

describe('identity', () => {
  it('gives equal passages of one document different ids, the same ones every time', async () => {
    const blocks = [text('Same.\nSame.\nOther.\nSame.')]
    const first = chunksOf((await prepare(toolsFor(blocks))).pieces).map(({ id }) => id)
    const second = chunksOf((await prepare(toolsFor(blocks))).pieces).map(({ id }) => id)
    expect(new Set(first).size).toBe(4)
    expect(second).toEqual(first)
    for (const id of first) expect(id).toMatch(/^[0-9a-f]{32}$/)
  })

  it('gives the same passage another id in another document or under another title', async () => {
    const ids = async (from: PrepareRequest) => chunksOf((await prepare(toolsFor([text('Same.')]), from)).pieces)[0]?.id
    const base = await ids(request)
    expect(await ids({ ...request, documentId: 'e' })).not.toBe(base)
    expect(await ids({ ...request, title: 'T' })).not.toBe(base)
  })

  it('uses the content hash of a document without an id', async () => {
    const { opening } = await prepare(toolsFor([text('x')]), { source: request.source })
    expect(opening?.documentId).toBe(opening?.contentHash)
    expect(opening?.contentHash).toMatch(/^[0-9a-f]{64}$/)
  })

  it('hashes a file and the same bytes alike', async () => {
    const path = join(mkdtempSync(join(tmpdir(), 'ufrag-')), 'a.txt')
    writeFileSync(path, 'content')
    const source = (rest: PrepareRequest['source']) => ({ documentId: 'd', source: rest })
    const hashes = await Promise.all(
      [
        source({ kind: 'file', path, name: 'a' }),
        source({ kind: 'bytes', bytes: new TextEncoder().encode('content'), name: 'a' }),
        source({ kind: 'text', text: 'content', name: 'a' }),
      ].map(async (from) => (await prepare(toolsFor([text('x')]), from)).opening?.contentHash),
    )
    expect(new Set(hashes).size).toBe(1)
  })
})

describe('limits and failures', () => {
  it('keeps at most maxChunksPerPage passages of a page', async () => {
    const blocks = [1, 2].map((page) => text('One.\nTwo.\nThree.\n', { page }))
    const { pieces, summary } = await prepare(toolsFor(blocks, {}, { maxChunksPerPage: 2 }))
    expect(chunksOf(pieces).map(({ text, span }) => [span.page, text])).toEqual([
      [1, 'One.'],
      [1, 'Two.'],
      [2, 'One.'],
      [2, 'Two.'],
    ])
    expect(summary).toMatchObject({ chunks: 4, pages: 2 })
  })

  it('reports a document without text as EMPTY', async () => {
    await expect(prepare(toolsFor([text(' \n ')]))).rejects.toMatchObject({ code: 'EMPTY' })
    await expect(prepare(toolsFor([]))).rejects.toMatchObject({ code: 'EMPTY' })
  })

  it('reports a missing file as NOT_FOUND', async () => {
    const missing = { source: { kind: 'file', path: '/nowhere/at/all', name: 'x' } } as const
    await expect(prepare(toolsFor([]), missing)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })
})

describe('chunks made elsewhere', () => {
  it('are stored as they are, in order, with their metadata and pages', async () => {
    const chunks = [
      { text: 'Alpha', metadata: { a: 1 } },
      { text: 'Beta', span: { start: 0, end: 4, page: 3 } },
    ]
    const { pieces, opening } = await prepare(toolsFor([]), {
      documentId: 'd',
      title: 'T',
      source: { kind: 'chunks', chunks, name: 'd' },
    })
    expect(opening).toMatchObject({ documentId: 'd', title: 'T' })
    expect(chunksOf(pieces)).toMatchObject([
      { text: 'Alpha', metadata: { a: 1 } },
      { text: 'Beta', span: { page: 3 } },
    ])
  })
})

describe('a document whose content is stored', () => {
  const partsOf = async (from: PrepareRequest) => {
    const document = prepareDocument(from, toolsFor([text('content')]))
    const parts: string[] = []
    for (;;) {
      const next = await document.next()
      if (next.done === true) return { parts, summary: next.value }
      parts.push(next.value.type)
    }
  }

  it('is neither opened nor read, and any other is', async () => {
    const { opening } = await prepare(toolsFor([text('content')]))
    const storedHash = opening?.contentHash as string
    expect(await partsOf({ ...request, storedHash })).toEqual({
      parts: ['same'],
      summary: { characters: 0, pages: 0, chunks: 0 },
    })
    expect((await partsOf({ ...request, storedHash: 'other' })).parts).toEqual(['opened', 'piece'])
    const chunks: PrepareRequest = { documentId: 'd', source: { kind: 'chunks', name: 'd', chunks: [{ text: 'one' }] } }
    const own = await prepare(toolsFor([]), chunks)
    expect((await partsOf({ ...chunks, storedHash: own.opening?.contentHash as string })).parts).toEqual(['same'])
  })
})
