import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TokenBuffer } from '../../../src/text/token-buffer.js'
import { WordPiece, type WordPieceOptions } from '../../../src/text/wordpiece.js'
import { countReads } from '../../lib/count-reads.js'
import { inSoak } from '../../lib/soak.js'
import { anyText, hostileTexts } from '../../lib/texts.js'
import { codePointLines, tokenizerLines } from '../../lib/tokenizer-lines.js'
import { allNormalizers, cased, compareWithTransformers, tokenizerJson, uncased } from '../../lib/tokenizer-parity.js'

const tokens = [
  '[UNK]',
  'a',
  'b',
  'un',
  '##aff',
  '##able',
  '##a',
  '##b',
  '.',
  'x',
  '##x',
  'é',
  'e',
  "'",
  '!',
  '中',
  '😀',
  '##😀',
]
const normalization = { cleanText: true, splitIdeographs: true, stripAccents: true, lowercase: true }

function wordPiece(options: Partial<WordPieceOptions> = {}): WordPiece {
  return new WordPiece({
    vocabulary: { tokens, ids: tokens.map((_, id) => id) },
    unknownId: 0,
    continuingPrefix: '##',
    maxWordLength: 100,
    normalization,
    addedTokens: [{ content: '[UNK]', id: 0 }],
    ...options,
  })
}

function encode(model: WordPiece, text: string, limit = Number.POSITIVE_INFINITY): number[] {
  const output = new TokenBuffer()
  model.append(text, output, limit)
  return [...output.ids.subarray(0, output.length)]
}

const spelled = (text: string, model = wordPiece()) => encode(model, text).map((id) => tokens[id])

function* sampleOfBlocks(): Generator<string> {
  yield* codePointLines(0, 0x600)
  for (let block = 0; block < 0x110000; block += 0x800) yield* codePointLines(block, block + 32)
}

describe('ids', () => {
  it.each([
    ['uncased', uncased],
    ['cased', cased],
  ])('are those of @huggingface/transformers on lines of any kind, %s', (_, normalizer) => {
    const { ids, unknown } = compareWithTransformers(tokenizerJson({ normalizer }), tokenizerLines(1, 1500))
    expect(ids).toBeGreaterThan(30_000)
    expect(unknown / ids).toBeLessThan(0.2)
  })

  it('are those of @huggingface/transformers with every combination of options', () => {
    for (const [seed, normalizer] of allNormalizers.entries()) {
      compareWithTransformers(tokenizerJson({ normalizer }), tokenizerLines(100 + seed, 60))
    }
  })

  inSoak('are those of @huggingface/transformers with added tokens of every kind', () => {
    // A dotted capital I could end in the middle of a token: such files are left to the library.
    const ours = allNormalizers.filter(({ lowercase, strip_accents: strips }) => !lowercase || strips !== false)
    expect(ours).toHaveLength(20)
    for (const [seed, normalizer] of ours.entries()) {
      compareWithTransformers(tokenizerJson({ normalizer, moreAdded: true }), tokenizerLines(200 + seed, 60))
    }
  })

  it.each([
    ['uncased', uncased],
    ['cased', cased],
    ['not cleaned', { ...uncased, clean_text: false }],
  ])('are those of @huggingface/transformers for characters of all blocks, %s', (_, normalizer) => {
    compareWithTransformers(tokenizerJson({ normalizer }), sampleOfBlocks())
  })

  it('are those of @huggingface/transformers for any text', () => {
    const json = tokenizerJson({ normalizer: uncased })
    const texts = fc.sample(anyText, { numRuns: 300, seed: 1 })
    expect(compareWithTransformers(json, texts).lines).toBe(300)
  })
})

describe('words', () => {
  it('are spelt with the longest tokens from left to right', () => {
    expect(spelled('unaffable Unaffable. b')).toEqual(['un', '##aff', '##able', 'un', '##aff', '##able', '.', 'b'])
  })

  it('are unknown as a whole when their end cannot be spelt', () => {
    expect(spelled('unq una aq a')).toEqual(['[UNK]', 'un', '##a', '[UNK]', 'a'])
  })

  it('are unknown beyond the longest length in characters, not in code units', () => {
    expect(spelled('x'.repeat(100))).toHaveLength(100)
    expect(spelled('x'.repeat(101))).toEqual(['[UNK]'])
    expect(spelled('😀'.repeat(100))).toHaveLength(100)
    expect(spelled('😀'.repeat(101))).toEqual(['[UNK]'])
  })

  it('are spelt the same again, however many others came between', () => {
    const model = wordPiece()
    const words = Array.from(
      { length: 20_000 },
      (_, i) => `a${i.toString(2).replaceAll('0', 'a').replaceAll('1', 'b')}x`,
    )
    const spellings = words.map((word) => encode(model, word).join())
    expect(new Set(spellings).size).toBe(words.length)
    expect(words.map((word) => encode(model, word).join())).toEqual(spellings)
  })

  it('may be continued without any prefix', () => {
    const vocabulary = { tokens: ['ab', 'a', 'c'], ids: [7, 8, 9] }
    expect(encode(wordPiece({ vocabulary, continuingPrefix: '' }), 'abac')).toEqual([7, 8, 9])
  })
})

describe('limits', () => {
  it('give the first ids, also within a word', () => {
    const text = 'unaffable. a 中 [UNK] x'
    const all = encode(wordPiece(), text)
    for (let limit = 0; limit <= all.length + 1; limit++)
      expect(encode(wordPiece(), text, limit)).toEqual(all.slice(0, limit))
  })

  it.each(['a ', 'unaffable, ', 'x', '中', '😀 ', 'é ', '[UNK]', 'ΑΣ '])(
    'leave the rest of a long text of %j unread',
    (unit) => {
      const text = unit.repeat(1_000_000 / unit.length)
      const model = wordPiece({ maxWordLength: 10 })
      // A word without an end is read to its end: it may be unknown.
      const limit = unit === 'x' ? 0 : 256
      expect(countReads(() => encode(model, text, limit))).toBeLessThan(20_000)
    },
  )
})

describe('hostile texts', () => {
  const models = [
    wordPiece(),
    wordPiece({ addedTokens: [{ content: '[[[[[[[[a', id: 0 }] }),
    wordPiece({ normalization: { ...normalization, lowercase: false, stripAccents: false } }),
  ]
  const units = [
    'Σ',
    "Σ'",
    'ΑΣ',
    'Σ\u0301',
    '\u302e',
    '\ua9c0\u0301',
    '\u{1d15e}',
    '[',
    '\ud800',
    '\udc00',
    '\u00ad',
    '\v',
    '\ufa6c',
  ]
  const texts = [...hostileTexts, ...units.map((unit) => [unit, (length: number) => unit.repeat(length)] as const)]
  const sigmas = (length: number) => `Α${"'".repeat(length / 2)}Σ${"'".repeat(length / 2)}Α`

  it.each([...texts, ['sigma far from letters', sigmas] as const])('of %s take time in proportion', (_, repeat) => {
    for (const model of models) {
      const reads = (length: number) => countReads(() => encode(model, repeat(length)))
      encode(model, repeat(100))
      expect(reads(8_000)).toBeLessThan(reads(2_000) * 4.2 + 500)
    }
  })

  it('without any space are read to their end, and what follows them, too', () => {
    expect(spelled(`${'q'.repeat(200_000)} a`)).toEqual(['[UNK]', 'a'])
    expect(spelled(`b${'\u0301'.repeat(200_000)} a`)).toEqual(['b', 'a'])
    expect(spelled(`b${'\u302e'.repeat(200_000)} a`)).toEqual(['[UNK]', 'a'])
  })
})

describe('a buffer', () => {
  it('is written to after what it holds already', () => {
    const output = new TokenBuffer()
    for (let i = 0; i < 3000; i++) output.push(i)
    const model = wordPiece()
    model.append('a b', output, 5)
    model.append('x', output, 5)
    expect([...output.ids.subarray(2998, output.length)]).toEqual([2998, 2999, 1, 2, 9])
  })
})
