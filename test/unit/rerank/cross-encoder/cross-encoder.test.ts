import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AutoModelForSequenceClassification, AutoTokenizer, env, Tensor } from '@huggingface/transformers'
import { afterAll, describe, expect, it } from 'vitest'
import { RagError } from '../../../../src/core/errors.js'
import { type CrossEncoderOptions, createCrossEncoder } from '../../../../src/rerank/cross-encoder/cross-encoder.js'
import type { Scorer, ScorerOptions } from '../../../../src/rerank/cross-encoder/scorer.js'
import type { RerankCandidate, Reranker } from '../../../../src/rerank/types.js'
import { randomNumbers } from '../../../../src/util/random.js'
import { modelFolder } from '../../../fixtures/models/model-folder.js'
import { commonWords } from '../../../fixtures/models/words.js'

const model = modelFolder({ output: 'logit', weights: ['fp32', 'int8'] })

const opened: Reranker[] = []
afterAll(() => Promise.all(opened.map((one) => one.close())))

async function open(options: Partial<CrossEncoderOptions> = {}): Promise<Reranker> {
  const reranker = await createCrossEncoder({ model, device: 'cpu', workers: 1, activation: 'none', ...options })
  opened.push(reranker)
  return reranker
}

const candidatesOf = (texts: readonly string[]): RerankCandidate[] =>
  texts.map((text, number) => ({ number, text, language: 'en', score: -number }))

/** Logit of each text, in the order of the texts. */
async function logitsOf(reranker: Reranker, question: string, texts: readonly string[]): Promise<number[]> {
  const matches = await reranker.rerank({ question, candidates: candidatesOf(texts), topK: texts.length }, {})
  return texts.map((_, number) => matches.find((match) => match.number === number)?.score ?? Number.NaN)
}

function passages(count: number, seed: number): string[] {
  const random = randomNumbers(seed)
  return Array.from({ length: count }, () => {
    const words = 1 + Math.floor(random() ** 2 * 60)
    return Array.from({ length: words }, () => commonWords[Math.floor(random() * 500)]).join(' ')
  })
}

/** What `@huggingface/transformers` makes of pairs. A pair that is too long is cut as in Python: the second text alone. */
async function transformersLogits(folder: string, question: string, texts: readonly string[], maxTokens: number) {
  env.allowRemoteModels = false
  const tokenizer = await AutoTokenizer.from_pretrained(folder)
  const classifier = await AutoModelForSequenceClassification.from_pretrained(folder, { dtype: 'fp32' })
  const logits: number[] = []
  for (const text of texts) {
    const { input_ids, token_type_ids } = await tokenizer(question, { text_pair: text })
    const ids = [...(input_ids.data as BigInt64Array)]
    const types = token_type_ids === undefined ? ids.map(() => 0n) : [...(token_type_ids.data as BigInt64Array)]
    const end = ids.at(-1) as bigint
    if (ids.length > maxTokens) {
      ids.splice(maxTokens - 1, ids.length, end)
      types.splice(maxTokens, types.length)
    }
    const tensor = (values: readonly bigint[]) => new Tensor('int64', BigInt64Array.from(values), [1, values.length])
    const inputs = { input_ids: tensor(ids), token_type_ids: tensor(types), attention_mask: tensor(ids.map(() => 1n)) }
    const { logits: output } = await classifier(inputs)
    logits.push(output.data[0] as number)
  }
  await classifier.dispose()
  return logits
}

describe('the cross-encoder', () => {
  const question = 'how does the river reach the sea'
  const odd = ['', ' ', 'a', '?', '日本 語', '[SEP] and [CLS]', 'the river', '\u0000', 'word '.repeat(400)]

  it('gives the logits of @huggingface/transformers: any length, cut passages, empty texts, batches', async () => {
    const texts = [...odd, ...passages(24, 1)]
    const ours = await logitsOf(await open(), question, texts)
    const theirs = await transformersLogits(model, question, texts, 128)
    // They differ enough that a mistake would be seen.
    expect(Math.max(...theirs) - Math.min(...theirs)).toBeGreaterThan(0.5)
    for (const [place, logit] of ours.entries()) expect(logit).toBeCloseTo(theirs[place] as number, 4)
  })

  it('cuts the passage alone when a smaller number of tokens is allowed, and an empty question is one', async () => {
    const texts = passages(8, 2)
    const ours = await logitsOf(await open({ maxTokens: 24 }), question, texts)
    const theirs = await transformersLogits(model, question, texts, 24)
    for (const [place, logit] of ours.entries()) expect(logit).toBeCloseTo(theirs[place] as number, 4)
    const [unasked] = await logitsOf(await open(), '', texts)
    expect(unasked).toBeCloseTo((await transformersLogits(model, '', texts.slice(0, 1), 128))[0] as number, 4)
  })

  it('gives the same scores with several workers, small batches and one row at a time', async () => {
    const texts = passages(30, 3)
    const expected = await logitsOf(await open({ workers: 1, maxBatchTokens: 1 << 20 }), question, texts)
    for (const options of [{ workers: 2 }, { maxBatchTokens: 1 }, { maxBatchTokens: 100, threads: 1 }]) {
      const logits = await logitsOf(await open(options), question, texts)
      for (const [place, logit] of logits.entries()) expect(logit).toBeCloseTo(expected[place] as number, 5)
    }
  })

  it('maps logits to 0 to 1, in the same order', async () => {
    const texts = passages(6, 4)
    const request = { question, candidates: candidatesOf(texts), topK: 6 }
    const logits = await (await open()).rerank(request, {})
    const shares = await (await open({ activation: 'sigmoid' })).rerank(request, {})
    expect(shares.map(({ number }) => number)).toEqual(logits.map(({ number }) => number))
    for (const [place, { score }] of shares.entries()) {
      expect(score).toBeCloseTo(1 / (1 + Math.exp(-(logits[place]?.score as number))), 10)
    }
  })

  it('leaves out what the model has no finite score for, and fails when that is all', async () => {
    const broken = modelFolder({ output: 'logit', weights: ['fp32'], notFinite: ['wolf'] })
    const reranker = await open({ model: broken })
    const texts = ['the wolf', 'the river', 'a wolf and a bear', 'the sea']
    const matches = await reranker.rerank({ question: 'who', candidates: candidatesOf(texts), topK: 4 }, {})
    expect(matches.map(({ number }) => number).sort()).toEqual([1, 3])
    const asked = reranker.rerank({ question: 'the wolf', candidates: candidatesOf(texts), topK: 4 }, {})
    await expect(asked).rejects.toMatchObject({ code: 'PROVIDER' })
  })

  it('works with tokenizers of other kinds', async () => {
    for (const tokenizer of ['byte-bpe', 'unigram', 'wordpiece-cased'] as const) {
      const folder = modelFolder({
        output: 'logit',
        weights: ['fp32'],
        tokenizer,
        tokenTypes: tokenizer === 'wordpiece-cased',
      })
      const texts = passages(4, 5)
      const ours = await logitsOf(await open({ model: folder }), question, texts)
      const theirs = await transformersLogits(folder, question, texts, 128)
      for (const [place, logit] of ours.entries()) expect(logit).toBeCloseTo(theirs[place] as number, 4)
    }
  })

  it('refuses models of other kinds, and options out of range', async () => {
    const code = (options: Partial<CrossEncoderOptions>) => open(options).catch((error) => error.code)
    expect(await code({ model: modelFolder() })).toBe('UNSUPPORTED')
    expect(await code({ model: '/no/such/folder' })).toBe('NOT_FOUND')
    expect(await code({ maxTokens: 7 })).toBe('BAD_OPTION')
    expect(await code({ maxTokens: 1_000 })).toBe('BAD_OPTION')
    expect(await code({ patience: 0 })).toBe('BAD_OPTION')
    expect(await code({ cascade: { keep: 0 } })).toBe('BAD_OPTION')
    expect(await code({ device: 'abacus' })).toBe('BAD_OPTION')
  })

  it('refuses a graph that does not give one number per row', async () => {
    const reranker = await open({ model: modelFolder({ output: 'logit', weights: ['fp32'] }) })
    await reranker.warmUp?.()
    // The graph of an embedder under the settings of a cross-encoder.
    const folder = mkdtempSync(join(tmpdir(), 'ufrag-cross-'))
    cpSync(modelFolder({ output: 'logit', weights: ['fp32'] }), folder, { recursive: true })
    cpSync(`${modelFolder({ weights: ['fp32'] })}/onnx/model.onnx`, `${folder}/onnx/model.onnx`)
    const wrong = await open({ model: folder })
    await expect(wrong.warmUp?.()).rejects.toMatchObject({ code: 'INTEGRITY' })
    rmSync(folder, { recursive: true })
  })
})

describe('what is scored', () => {
  /** Scores a text by the number in it, and keeps what it was asked. */
  function countingTools(asked: Map<string, string[][]>, scoreOf = (text: string) => Number(text)) {
    return {
      createScorer({ model: { name } }: ScorerOptions): Scorer {
        const calls: string[][] = []
        asked.set(name, [...(asked.get(name) ?? []), ...calls])
        return {
          async score(_, texts) {
            asked.set(name, [...(asked.get(name) ?? []), [...texts]])
            return Float32Array.from(texts, scoreOf)
          },
          async load() {},
          async close() {},
        }
      },
    }
  }
  const numbered = (...scores: number[]) => candidatesOf(scores.map(String))
  const small = modelFolder({ output: 'logit', weights: ['fp32'], layers: 1 })
  const nameOf = (folder: string) => folder.split('/').at(-1) as string

  it('is everything, in one go, unless something else was asked for', async () => {
    const asked = new Map<string, string[][]>()
    const reranker = await createCrossEncoder({ model }, countingTools(asked))
    await reranker.rerank({ question: 'x', candidates: numbered(5, 9, 1), topK: 1 }, {})
    expect(asked.get(nameOf(model))).toEqual([['5', '9', '1']])
  })

  it('ends with the first round that brings nothing among the best', async () => {
    const asked = new Map<string, string[][]>()
    const reranker = await createCrossEncoder({ model, patience: 2 }, countingTools(asked))
    const candidates = numbered(5, 4, 3, 1, 6, 0, 0, 99)
    // The first three are known; 1 and 6: 6 is better than 3; 0 and 0 are not.
    const matches = await reranker.rerank({ question: 'x', candidates, topK: 3 }, {})
    expect(asked.get(nameOf(model))).toEqual([
      ['5', '4', '3'],
      ['1', '6'],
      ['0', '0'],
    ])
    expect(matches.map(({ number }) => number)).toEqual([4, 0, 1, 2, 3, 5, 6])
  })

  it('is never less than what is wanted, whatever the patience, for any scores', async () => {
    const random = randomNumbers(9)
    for (let run = 0; run < 40; run++) {
      const scores = Array.from({ length: Math.floor(random() * 12) }, () => Math.floor(random() * 9))
      const [patience, topK] = [1 + Math.floor(random() * 4), 1 + Math.floor(random() * 6)]
      const reranker = await createCrossEncoder({ model, patience }, countingTools(new Map()))
      const matches = await reranker.rerank({ question: 'x', candidates: numbered(...scores), topK }, {})
      expect(matches.length).toBeGreaterThanOrEqual(Math.min(topK, scores.length))
      const seen = scores.slice(0, matches.length)
      expect(matches.map(({ number }) => scores[number])).toEqual([...seen].sort((a, b) => b - a))
      // Everything was seen, or the last round brought nothing.
      if (matches.length < scores.length) {
        const best = [...seen].sort((a, b) => b - a).slice(0, topK)
        const before = seen
          .slice(0, -patience)
          .sort((a, b) => b - a)
          .slice(0, topK)
        expect(best).toEqual(before)
      }
    }
  })

  it('is by the larger model what the smaller one found best, and as many as are wanted', async () => {
    const asked = new Map<string, string[][]>()
    const tools = countingTools(asked)
    const reranker = await createCrossEncoder({ model, cascade: { model: small, keep: 2 } }, tools)
    const candidates = numbered(1, 7, 3, 9, 5)
    const matches = await reranker.rerank({ question: 'x', candidates, topK: 1 }, {})
    expect(asked.get(nameOf(small))).toEqual([['1', '7', '3', '9', '5']])
    expect(asked.get(nameOf(model))).toEqual([['9', '7']])
    expect(matches.map(({ number }) => number)).toEqual([3, 1])
    await reranker.rerank({ question: 'x', candidates, topK: 4 }, {})
    expect(asked.get(nameOf(model))?.[1]).toEqual(['9', '7', '5', '3'])
    await reranker.rerank({ question: 'x', candidates, topK: 5 }, {})
    expect(asked.get(nameOf(small))).toHaveLength(2)
  })

  it('fails with the error of the model', async () => {
    let tries = 0
    const failing = {
      createScorer: (): Scorer => ({
        async score() {
          tries++
          throw new RagError('PROVIDER', 'no')
        },
        async load() {},
        async close() {},
      }),
    }
    const reranker = await createCrossEncoder({ model }, failing)
    await expect(reranker.rerank({ question: 'x', candidates: numbered(1, 2), topK: 1 }, {})).rejects.toThrow('no')
    expect(tries).toBe(1)
  })
})
