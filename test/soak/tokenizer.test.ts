import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { codePointLines, tokenizerLines } from '../lib/tokenizer-lines.js'
import { allNormalizers, cased, compareWithTransformers, tokenizerJson, uncased } from '../lib/tokenizer-parity.js'

const data = process.env.UFRAG_DATA ?? join(import.meta.dirname, '../../../shared/data')
const bert = join(data, 'tokenizer/bert-base-uncased/tokenizer.json')
const retrieval = join(data, 'retrieval')
const naughty = join(data, 'abuse/blns.json')
const missing = [bert, retrieval, naughty].filter((path) => !existsSync(path))
if (missing.length > 0) console.warn(`Skipped: texts of others, for want of ${missing.join(', ')}; set UFRAG_DATA.`)

const kinds = [
  ['uncased', uncased],
  ['cased', cased],
] as const

describe('ids are those of @huggingface/transformers', () => {
  it.each(kinds)('on 50,000 lines of any kind, %s', (_, normalizer) => {
    const compared = compareWithTransformers(tokenizerJson({ normalizer }), tokenizerLines(10, 50_000))
    expect(compared.lines).toBe(50_000)
    expect(compared.unknown / compared.ids).toBeLessThan(0.2)
  })

  it.each(allNormalizers.map((normalizer) => [JSON.stringify(normalizer), normalizer] as const))(
    'on 1,000 lines with and without added tokens of every kind, %s',
    (_, normalizer) => {
      compareWithTransformers(tokenizerJson({ normalizer }), tokenizerLines(11, 1000))
      if (normalizer.lowercase && normalizer.strip_accents === false) return
      compareWithTransformers(tokenizerJson({ normalizer, moreAdded: true }), tokenizerLines(12, 1000))
    },
  )

  it.each([...kinds, ['not cleaned', { ...uncased, clean_text: false }]] as const)(
    'for every character there is, %s',
    (_, normalizer) => {
      const tokens = [...characters(0x21, 0xd800), ...characters(0xe000, 0x10000)]
      const json = tokenizerJson({ normalizer, tokens: [...tokens, ...tokens.map((token) => `##${token}`)] })
      const compared = compareWithTransformers(json, codePointLines(0, 0x110000))
      expect(compared.lines).toBe(0x110000 / 32)
    },
  )

  it.skipIf(missing.length > 0).each(kinds)(
    'on the texts of retrieval sets and naughty strings, %s',
    (_, normalizer) => {
      const json = JSON.parse(readFileSync(bert, 'utf8'))
      const compared = compareWithTransformers(
        { ...json, normalizer: { type: 'BertNormalizer', ...normalizer } },
        textsOfOthers(),
      )
      expect(compared.lines).toBeGreaterThan(20_000)
    },
  )
})

function* characters(first: number, end: number): Generator<string> {
  for (let codePoint = first; codePoint < end; codePoint++) yield String.fromCodePoint(codePoint)
}

function* textsOfOthers(): Generator<string> {
  yield* JSON.parse(readFileSync(naughty, 'utf8')) as string[]
  for (const name of readdirSync(retrieval)) {
    for (const file of ['corpus.jsonl', 'queries.jsonl']) {
      const lines = readFileSync(join(retrieval, name, file), 'utf8').split('\n')
      for (const line of lines) if (line !== '') yield (JSON.parse(line) as { text: string }).text
    }
  }
}
