import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createTokenChunker } from '../../../src/chunk/token.js'
import type { Section } from '../../../src/chunk/types.js'
import { openTokenizer } from '../../../src/models/tokenizer.js'
import { modelFolder } from '../../fixtures/models/model-folder.js'
import { hostileTexts } from '../../lib/texts.js'
import { anySection } from './support.js'

const sizes = { chunkSize: 4_000, chunkOverlap: 0, minChunkSize: 0 }

describe.each(['wordpiece', 'byte-bpe', 'unigram'] as const)('createTokenChunker with %s', async (kind) => {
  const folder = modelFolder({ tokenizer: kind })
  const tokenizer = await openTokenizer(folder)
  const count = (text: string): number =>
    tokenizer.encode([text], { maxTokens: Number.POSITIVE_INFINITY }).offsets[1] as number
  const embedded = ({ text, context = '' }: Section, { start, end }: { start: number; end: number }) =>
    context === '' ? text.slice(start, end) : `${context}\n${text.slice(start, end)}`

  it('makes no chunk with more tokens than asked for, title and special tokens included', async () => {
    await fc.assert(
      fc.asyncProperty(anySection, fc.integer({ min: 16, max: 60 }), async (section, maxTokens) => {
        const chunker = await createTokenChunker({ ...sizes, tokenizer: folder, maxTokens })
        const titled = { ...section, context: 'A title\nand its heading' }
        const title = count(`${titled.context}\n`)
        const most = title + Math.max(maxTokens - title, maxTokens >> 1)
        let covered = 0
        for (const span of await chunker.chunk(titled)) {
          const isOneCharacter = [...section.text.slice(span.start, span.end)].length <= 2
          if (!isOneCharacter) expect(count(embedded(titled, span))).toBeLessThanOrEqual(most)
          expect(section.text.slice(covered, span.start).trim()).toBe('')
          covered = span.end
        }
        expect(section.text.slice(covered).trim()).toBe('')
      }),
      { seed: 1, numRuns: 40 },
    )
  })

  it('leaves no room that the next sentence would fit into', async () => {
    const text = Array.from({ length: 60 }, (_, i) => `The ${'house and garden '.repeat((i % 5) + 1)}are old.`).join(
      ' ',
    )
    const chunker = await createTokenChunker({ ...sizes, tokenizer: folder, maxTokens: 64 })
    const chunks = await chunker.chunk({ text, whole: [] })
    expect(chunks.length).toBeGreaterThan(3)
    for (const [i, { start }] of chunks.slice(0, -1).entries()) {
      const next = text.indexOf('old.', chunks[i + 1]?.start) + 4
      // Where tokens depend on what is before them, sums of sentences are a little more than the whole.
      expect(count(text.slice(start, next))).toBeGreaterThan(kind === 'wordpiece' ? 64 : 56)
    }
  })

  it('cuts what has no place to cut', async () => {
    const chunker = await createTokenChunker({ ...sizes, tokenizer: folder, maxTokens: 16 })
    for (const [, repeat] of hostileTexts) {
      const text = repeat(500)
      for (const { start, end } of await chunker.chunk({ text, whole: [] })) {
        const part = text.slice(start, end)
        expect([...part].length <= 2 || count(part) <= 16).toBe(true)
      }
    }
  })
})

describe('createTokenChunker', () => {
  it('has a fingerprint that tells limit, prefix and tokenizer', async () => {
    const [one, other] = [modelFolder(), modelFolder({ tokenizer: 'unigram' })]
    const made = await Promise.all(
      [{}, { maxTokens: 64 }, { prefix: 'passage: ' }, { tokenizer: other }].map((change) =>
        createTokenChunker({ ...sizes, tokenizer: one, ...change }),
      ),
    )
    expect(new Set(made.map(({ fingerprint }) => fingerprint)).size).toBe(4)
  })

  it('refuses a limit that is none, and a folder without a tokenizer', async () => {
    for (const maxTokens of [15, 8_193, 20.5, Number.NaN]) {
      await expect(createTokenChunker({ ...sizes, tokenizer: modelFolder(), maxTokens })).rejects.toMatchObject({
        code: 'BAD_OPTION',
      })
    }
    await expect(createTokenChunker({ ...sizes, tokenizer: '/nowhere' })).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })
})
