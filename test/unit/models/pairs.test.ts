import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AutoTokenizer, env } from '@huggingface/transformers'
import { afterAll, describe, expect, it } from 'vitest'
import { openRerankingModel } from '../../../src/models/describe.js'
import { openTokenizer } from '../../../src/models/tokenizer.js'
import type { TokenizedPairs } from '../../../src/models/types.js'
import { modelFolder } from '../../fixtures/models/model-folder.js'

env.allowRemoteModels = false
const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true })
})

/** A copy of a model's folder with one JSON file changed. */
function changed(from: string, file: string, change: (content: Record<string, unknown>) => object): string {
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-pairs-'))
  folders.push(folder)
  cpSync(from, folder, { recursive: true })
  const content = JSON.parse(readFileSync(join(folder, file), 'utf8'))
  writeFileSync(join(folder, file), JSON.stringify(change(content)))
  return folder
}

const bert = modelFolder({ output: 'logit', weights: ['fp32'] })
const roberta = modelFolder({ output: 'logit', weights: ['fp32'], tokenizer: 'byte-bpe', tokenTypes: false })
const rowsOf = ({ ids, offsets }: TokenizedPairs) =>
  Array.from({ length: offsets.length - 1 }, (_, row) => [...ids.slice(offsets[row], offsets[row + 1])])

const post = (folder: string, processor: unknown) =>
  changed(folder, 'tokenizer.json', (content) => ({ ...content, post_processor: processor }))
const special = (id: string, type: number) => ({ SpecialToken: { id, type_id: type } })
const sequence = (id: string, type: number) => ({ Sequence: { id, type_id: type } })

describe('pairs of texts', () => {
  const texts = ['the river', 'a fox in the wood', ' ', 'x']

  it.each([
    ['BERT, by template', bert],
    ['BERT, by its own processor', post(bert, { type: 'BertProcessing', sep: ['[SEP]', 3], cls: ['[CLS]', 2] })],
    [
      'two separators in between, as RoBERTa',
      post(roberta, {
        type: 'TemplateProcessing',
        single: [special('<s>', 0), sequence('A', 0), special('</s>', 0)],
        pair: [
          special('<s>', 0),
          sequence('A', 0),
          special('</s>', 0),
          special('</s>', 0),
          sequence('B', 0),
          special('</s>', 0),
        ],
        special_tokens: Object.fromEntries(
          [
            ['<s>', 0],
            ['</s>', 2],
          ].map(([token, id]) => [token, { id: token, ids: [id], tokens: [token] }]),
        ),
      }),
    ],
  ])('have the ids and types of @huggingface/transformers: %s', async (_, folder) => {
    const ours = await openTokenizer(folder)
    const theirs = await AutoTokenizer.from_pretrained(folder)
    const pairs = ours.encodePairs('how does it go', texts, { maxTokens: 100 })
    for (const [row, text] of texts.entries()) {
      const { input_ids, token_type_ids } = await theirs('how does it go', { text_pair: text })
      const ids = rowsOf(pairs)[row] as number[]
      expect(ids).toEqual([...(input_ids.data as BigInt64Array)].map(Number))
      if (token_type_ids === undefined) continue
      const types = ids.map((_id, place) => (place >= (pairs.seconds[row] as number) ? 1 : 0))
      expect(types).toEqual([...(token_type_ids.data as BigInt64Array)].map(Number))
    }
  })

  it('put no token of another type where the model has one type', async () => {
    const plain = post(roberta, {
      type: 'TemplateProcessing',
      single: [special('<s>', 0), sequence('A', 0), special('</s>', 0)],
      pair: [special('<s>', 0), sequence('A', 0), special('</s>', 0), sequence('B', 0), special('</s>', 0)],
      special_tokens: {
        '<s>': { id: '<s>', ids: [0], tokens: ['<s>'] },
        '</s>': { id: '</s>', ids: [2], tokens: ['</s>'] },
      },
    })
    const { offsets, seconds } = (await openTokenizer(plain)).encodePairs('a', ['b c', 'd'], { maxTokens: 100 })
    expect([...seconds]).toEqual([...offsets.slice(1)].map((end, row) => end - (offsets[row] as number)))
  })

  it('are cut in the second text; in the first only where it takes more than half of the room', async () => {
    const tokenizer = await openTokenizer(bert)
    const one = (text: string) => [...tokenizer.encode([text], { maxTokens: 1_000, special: false }).ids]
    const [long, short] = ['the river and the sea and the wood', 'a fox']
    const cut = (first: string, second: string, maxTokens: number) =>
      rowsOf(tokenizer.encodePairs(first, [second], { maxTokens }))[0] as number[]
    const [cls, sep] = [2, 3]
    expect(cut(short, long, 10)).toEqual([cls, ...one(short), sep, ...one(long).slice(0, 3), sep])
    expect(cut(long, long, 11)).toEqual([cls, ...one(long).slice(0, 4), sep, ...one(long).slice(0, 4), sep])
    // What the second text does not need is not given back to the first: its rows are of one beginning.
    expect(cut(long, 'x', 11)).toEqual([cls, ...one(long).slice(0, 4), sep, ...one('x'), sep])
    expect(cut(long, long, 3)).toEqual([cls, sep, sep])
    expect(() => cut(long, long, 2)).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }))
  })

  it('are refused where nobody says what stands between them', async () => {
    const single = { type: 'TemplateProcessing', single: [special('[CLS]', 0), sequence('A', 0), special('[SEP]', 0)] }
    for (const processor of [single, null]) {
      const tokenizer = await openTokenizer(post(bert, processor))
      expect(tokenizer.encode(['the river'], { maxTokens: 9 }).ids.length).toBeGreaterThan(0)
      expect(() => tokenizer.encodePairs('a', ['b'], { maxTokens: 9 })).toThrow(
        expect.objectContaining({ code: 'UNSUPPORTED' }),
      )
    }
  })
})

describe('a model that scores pairs', () => {
  it('is described by its files', async () => {
    const model = await openRerankingModel({ model: bert, quantization: 'fp32' })
    expect(model).toMatchObject({ directory: bert, weights: join(bert, 'onnx', 'model.onnx'), maxTokens: 128 })
    expect(model.contentHash).toMatch(/^[0-9a-f]{64}$/)
    const shorter = await openRerankingModel({ model: bert, maxTokens: 50 })
    expect(shorter.maxTokens).toBe(50)
    expect(shorter.contentHash).not.toBe(model.contentHash)
  })

  it('that tells classes apart is refused, as is one of another kind', async () => {
    const classes = changed(bert, 'config.json', (config) => ({
      ...config,
      id2label: { 0: 'no', 1: 'maybe', 2: 'yes' },
    }))
    await expect(openRerankingModel({ model: classes })).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      data: { labels: 3 },
    })
    await expect(openRerankingModel({ model: modelFolder() })).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    await expect(openRerankingModel({ model: bert, maxTokens: 10_000 })).rejects.toMatchObject({ code: 'BAD_OPTION' })
  })
})
