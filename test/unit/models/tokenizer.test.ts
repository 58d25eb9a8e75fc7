import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AutoTokenizer, env } from '@huggingface/transformers'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { RagError } from '../../../src/index.js'
import { openTokenizer } from '../../../src/models/tokenizer.js'
import { modelFolder } from '../../fixtures/models/model-folder.js'
import type { TokenizerChoice } from '../../fixtures/models/tokenizers.js'
import { inSoak } from '../../lib/soak.js'
import { tokenizerLines } from '../../lib/tokenizer-lines.js'
import { tokenizerJson, uncased } from '../../lib/tokenizer-parity.js'

env.allowRemoteModels = false
env.localModelPath = '/'

const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

function folderOf(files: Readonly<Record<string, unknown>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-tokenizer-'))
  folders.push(folder)
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content))
  }
  return folder
}

const tokens = ['un', '##aff', '##able', 'a', 'b', 'query', ':']
const json = tokenizerJson({ normalizer: uncased, tokens })
const wordPiece = () => openTokenizer(folderOf({ 'tokenizer.json': json }))
const [unknown, start, end] = [1, 2, 3]
const all = { maxTokens: Number.POSITIVE_INFINITY }

function rows({ ids, offsets }: { ids: Int32Array; offsets: Int32Array }): number[][] {
  return Array.from({ length: offsets.length - 1 }, (_, i) => [...ids.subarray(offsets[i], offsets[i + 1])])
}

describe('encode', () => {
  it('puts the special tokens around each text, also an empty one', async () => {
    const tokenizer = await wordPiece()
    expect(rows(tokenizer.encode(['Unaffable a', '', ' \n', 'q'], all))).toEqual([
      [start, 5, 6, 7, 8, end],
      [start, end],
      [start, end],
      [start, unknown, end],
    ])
  })

  it('returns no rows for no texts', async () => {
    const { ids, offsets } = (await wordPiece()).encode([], all)
    expect([...ids]).toEqual([])
    expect([...offsets]).toEqual([0])
  })

  it('cuts texts and keeps the closing special token', async () => {
    const tokenizer = await wordPiece()
    const cut = (maxTokens: number) => rows(tokenizer.encode(['unaffable a b'], { maxTokens }))[0]
    expect(cut(7)).toEqual([start, 5, 6, 7, 8, 9, end])
    expect(cut(6)).toEqual([start, 5, 6, 7, 8, end])
    expect(cut(3)).toEqual([start, 5, end])
    expect(cut(2)).toEqual([start, end])
  })

  it.each([1, 0, -5, Number.NaN])('refuses %d tokens, which have no room for the special ones', async (maxTokens) => {
    const tokenizer = await wordPiece()
    expect(() => tokenizer.encode(['a'], { maxTokens })).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }))
  })

  it('does without special tokens when asked to', async () => {
    const tokenizer = await wordPiece()
    expect(rows(tokenizer.encode(['a b', '', 'unaffable'], { maxTokens: 2, special: false }))).toEqual([
      [8, 9],
      [],
      [5, 6],
    ])
    expect(rows(tokenizer.encode(['a'], { maxTokens: 0, special: false }))).toEqual([[]])
  })

  it('reads the prefix as the beginning of each text', async () => {
    const tokenizer = await wordPiece()
    expect(rows(tokenizer.encode(['a', ''], { ...all, prefix: 'query: ' }))).toEqual([
      [start, 10, 11, 8, end],
      [start, 10, 11, end],
    ])
    expect(rows(tokenizer.encode(['affable'], { ...all, prefix: 'un' }))).toEqual([[start, 5, 6, 7, end]])
    expect(rows(tokenizer.encode(['a b'], { maxTokens: 5, prefix: 'query: ' }))).toEqual([[start, 10, 11, 8, end]])
  })

  it('gives each call arrays of its own, which may be moved to another thread', async () => {
    const tokenizer = await wordPiece()
    const first = tokenizer.encode(['a b'], all)
    expect(first.ids.buffer.byteLength).toBe(first.ids.byteLength)
    const copy = [...first.ids]
    const second = tokenizer.encode(['unaffable unaffable'], all)
    expect([...first.ids]).toEqual(copy)
    structuredClone(first.ids, { transfer: [first.ids.buffer] })
    expect(rows(second)).toEqual([[start, 5, 6, 7, 5, 6, 7, end]])
    expect(rows(tokenizer.encode(['a b'], all))).toEqual([copy])
  })

  it('takes more texts and tokens than its buffers begin with', async () => {
    const texts = Array.from({ length: 3000 }, (_, i) => 'a '.repeat(i % 700))
    const { ids, offsets } = (await wordPiece()).encode(texts, all)
    expect(offsets).toHaveLength(3001)
    expect(offsets[3000]).toBe(ids.length)
    expect(rows({ ids, offsets }).map((row) => row.length)).toEqual(texts.map((text) => text.length / 2 + 2))
  })
})

describe('a tokenizer', () => {
  it('tells its padding, what it does not know, and the token of each id', async () => {
    const tokenizer = await wordPiece()
    expect(tokenizer.paddingId).toBe(0)
    expect(tokenizer.unknownId).toBe(unknown)
    expect(tokenizer.vocabulary()).toEqual(['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', ...tokens])
  })

  it('has an empty token where no token has the id', async () => {
    const { vocab } = json.model
    const tokenizer = await openTokenizer(folderOf({ 'tokenizer.json': withModel({ vocab: { ...vocab, b: 14 } }) }))
    expect(tokenizer.vocabulary()).toEqual([
      '[PAD]',
      '[UNK]',
      '[CLS]',
      '[SEP]',
      '[MASK]',
      'un',
      '##aff',
      '##able',
      'a',
      '',
      'query',
      ':',
      '',
      '',
      'b',
    ])
    expect(rows(tokenizer.encode(['b'], all))).toEqual([[start, 14, end]])
  })

  it.each([
    ['tokenizer_config.json', { 'tokenizer_config.json': { pad_token: 'b' } }, 9],
    ['tokenizer_config.json, with its properties', { 'tokenizer_config.json': { pad_token: { content: 'b' } } }, 9],
    ['special_tokens_map.json', { 'special_tokens_map.json': { pad_token: 'b' } }, 9],
    ['its name where no file tells it', { 'tokenizer_config.json': { pad_token: null } }, 0],
  ])('has the padding told by %s', async (_, files, padding) => {
    expect((await openTokenizer(folderOf({ 'tokenizer.json': json, ...files }))).paddingId).toBe(padding)
  })

  it('has words that are named like members of objects', async () => {
    const vocab = JSON.parse('{"[UNK]":0,"__proto__":1,"constructor":2,"_":3}') as Record<string, number>
    const named = { ...withModel({ vocab }), added_tokens: [], post_processor: null }
    const tokenizer = await openTokenizer(
      folderOf({ 'tokenizer.json': JSON.stringify(named).replace('"constructor"', '"toString":5,"constructor"') }),
    )
    expect(rows(tokenizer.encode(['constructor tostring hasOwnProperty'], all))).toEqual([[2, 0, 0]])
  })

  it('puts around texts what its template says', async () => {
    const special = (id: string) => ({ SpecialToken: { id, type_id: 0 } })
    const single = [special('[CLS]'), special('a'), { Sequence: { id: 'A', type_id: 0 } }, special('[SEP]')]
    const template = { type: 'TemplateProcessing', single, pair: [], special_tokens: {} }
    const tokenizer = await openTokenizer(folderOf({ 'tokenizer.json': { ...json, post_processor: template } }))
    expect(rows(tokenizer.encode(['b b'], { maxTokens: 4 }))).toEqual([[start, 8, 9, end]])
    const bare = await openTokenizer(folderOf({ 'tokenizer.json': { ...json, post_processor: null } }))
    expect(rows(bare.encode(['b'], { maxTokens: 4 }))).toEqual([[9]])
  })
})

describe.each(['wordpiece', 'wordpiece-cased', 'byte-bpe', 'unigram'] satisfies TokenizerChoice[])('%s', (choice) => {
  const folder = modelFolder({ tokenizer: choice })

  it('gives the ids of @huggingface/transformers', async () => {
    const theirs = await AutoTokenizer.from_pretrained(folder)
    const ours = await openTokenizer(folder)
    for (const line of tokenizerLines(3, 200)) {
      expect(rows(ours.encode([line], all)), JSON.stringify(line)).toEqual([theirs.encode(line)])
    }
    expect(ours.paddingId).toBe(theirs.pad_token_id)
  })

  it('cuts as the library does but for the closing special token', async () => {
    const theirs = await AutoTokenizer.from_pretrained(folder)
    const ours = await openTokenizer(folder)
    const text = 'the river and the mountain were known '.repeat(200)
    const full = theirs.encode(text)
    for (const maxTokens of [2, 3, 17, 128, full.length - 1, full.length]) {
      const expected = [...full.slice(0, maxTokens - 1), full.at(-1)]
      expect(rows(ours.encode([text], { maxTokens }))).toEqual([expected])
    }
  })

  it('knows the token of each id', async () => {
    const theirs = await AutoTokenizer.from_pretrained(folder)
    const vocabulary = (await openTokenizer(folder)).vocabulary()
    expect(vocabulary.map((token) => theirs.convert_tokens_to_ids(token))).toEqual(vocabulary.map((_, id) => id))
  })

  inSoak('encodes a megabyte without spaces', async () => {
    const tokenizer = await openTokenizer(folder)
    expect(tokenizer.encode(['x'.repeat(1_000_000)], { maxTokens: 64 }).ids.length).toBeLessThanOrEqual(64)
    const { ids } = tokenizer.encode([`${'x'.repeat(140_000)} the`], { ...all, special: false })
    expect(tokenizer.vocabulary()[ids.at(-1) as number]).toMatch(/the$/)
  })
})

describe('other tokenizers', () => {
  it.each([
    ['another normalizer', { normalizer: { type: 'Lowercase' } }],
    ['another cut into words', { pre_tokenizer: { type: 'WhitespaceSplit' } }],
    ['an added token that is found only as a word', { added_tokens: [{ id: 9, content: 'b', single_word: true }] }],
    ['an added token with a space', { added_tokens: [{ id: 9, content: 'b b' }] }],
  ])('with %s are left to the library', async (_, change) => {
    const folder = folderOf({ 'tokenizer.json': { ...json, ...change }, 'tokenizer_config.json': {} })
    const theirs = await AutoTokenizer.from_pretrained(folder)
    const ours = await openTokenizer(folder)
    for (const text of ['UNAFFABLE a. b b', 'ab b', ''])
      expect(rows(ours.encode([text], all))).toEqual([theirs.encode(text)])
  })

  it('reject with the command that installs the library where it is missing', async () => {
    vi.doMock('@huggingface/tokenizers', () => {
      throw new Error('not there')
    })
    try {
      const folder = folderOf({ 'tokenizer.json': { ...json, normalizer: { type: 'Lowercase' } } })
      await expect(openTokenizer(folder)).rejects.toMatchObject({
        code: 'MISSING_PEER',
        hint: 'Run: npm i @huggingface/tokenizers@0.2',
      })
      await expect(wordPiece()).resolves.toBeDefined()
    } finally {
      vi.doUnmock('@huggingface/tokenizers')
    }
  })
})

describe('files', () => {
  it.each([
    ['cut off', JSON.stringify(json).slice(0, -20), 'INTEGRITY'],
    ['empty', '', 'INTEGRITY'],
    ['a list', [], 'INTEGRITY'],
    ['without a model', { ...json, model: undefined }, 'INTEGRITY'],
    ['with an id that is none', withModel({ vocab: { ...json.model.vocab, a: 1.5 } }), 'INTEGRITY'],
    ['with a negative id', withModel({ vocab: { ...json.model.vocab, a: -1 } }), 'INTEGRITY'],
    ['with an enormous id', withModel({ vocab: { ...json.model.vocab, a: 2 ** 40 } }), 'INTEGRITY'],
    ['with half a character', withModel({ vocab: { ...json.model.vocab, '\ud800': 12 } }), 'INTEGRITY'],
    ['without its token for the unknown', withModel({ unk_token: '<none>' }), 'INTEGRITY'],
    ['with added tokens that are none', { ...json, added_tokens: [{ id: 'x' }] }, 'INTEGRITY'],
    ['with a normalizer nobody knows', { ...json, normalizer: { type: 'Martian' } }, 'UNSUPPORTED'],
    ['with a model nobody knows', { ...json, model: { type: 'Martian' } }, 'UNSUPPORTED'],
  ])('%s are refused by name', async (_, content, code) => {
    const folder = folderOf({ 'tokenizer.json': content })
    const error = await openTokenizer(folder).catch((reason) => reason)
    expect(RagError.isInstance(error)).toBe(true)
    expect(error).toMatchObject({ code, data: { file: join(folder, 'tokenizer.json') }, hint: expect.any(String) })
    expect(error.message).toContain(join(folder, 'tokenizer.json'))
  })

  it('that are not there are told by name', async () => {
    const folder = folderOf({})
    await expect(openTokenizer(folder)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      data: { file: join(folder, 'tokenizer.json') },
    })
  })

  it('beside the tokenizer may be damaged, too', async () => {
    const folder = folderOf({ 'tokenizer.json': json, 'tokenizer_config.json': '{' })
    await expect(openTokenizer(folder)).rejects.toMatchObject({
      code: 'INTEGRITY',
      data: { file: join(folder, 'tokenizer_config.json') },
    })
  })
})

function withModel(change: object) {
  return { ...json, model: { ...json.model, ...change } }
}
