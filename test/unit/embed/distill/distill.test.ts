import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Tokenizer } from '@huggingface/tokenizers'
import { afterAll, describe, expect, it } from 'vitest'
import { distillStatic } from '../../../../src/compose/distill-static.js'
import type { DistillProgress } from '../../../../src/embed/distill/distill.js'
import { createHashingEmbedder } from '../../../../src/embed/hashing.js'
import { createStaticEmbedder } from '../../../../src/embed/static.js'
import type { Embedder } from '../../../../src/embed/types.js'
import { openSafetensors } from '../../../../src/models/safetensors.js'
import { createFakeEmbedder } from '../../../../src/testing/index.js'
import { nextLoopTurn, randomNumbers } from '../../../../src/testing/support.js'
import { inSoak } from '../../../lib/soak.js'
import { createModelFolders, staticTokens, tokenizerFile } from '../../../lib/static-models.js'

const folders = createModelFolders()
afterAll(() => folders.remove())
let next = 0
const newFolder = () => join(folders.root, `out-${next++}`)
const base = folders.write({ 'tokenizer.json': tokenizerFile() })

const width = 40
const latent = 12

/** Letters only, all different. */
function makeWords(count: number): string[] {
  const letters = 'abcdefghijklmnopqrst'
  return Array.from({ length: count }, (_, i) =>
    [i % 20, Math.floor(i / 20) % 20, Math.floor(i / 400) % 20, (i * 7) % 20].map((place) => letters[place]).join(''),
  )
}
const words = makeWords(600)

/** The vector of a text is the sum of those of its words, which lie in a space of fewer dimensions; known is all of it. */
function createSumTeacher(): Embedder {
  const random = randomNumbers(1)
  const gaussian = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  const frame = Array.from({ length: latent }, () => Array.from({ length: width }, gaussian))
  const vectors = new Map(
    words.map((word) => {
      const inner = Array.from({ length: latent }, gaussian)
      const outer = frame[0]!.map((_, i) => inner.reduce((sum, value, k) => sum + value * frame[k]![i]!, 0))
      return [word, outer.map((value) => value / Math.hypot(...outer))]
    }),
  )
  return {
    id: 'sums',
    fingerprint: 'sums/1',
    dimensions: width,
    capabilities: { fitted: false, batchSize: 50, concurrency: 3 },
    async embed(texts) {
      const result = new Float32Array(texts.length * width)
      const failed: { index: number; error: Error }[] = []
      for (const [index, text] of texts.entries()) {
        const sum = Array<number>(width).fill(0)
        for (const word of text.split(' '))
          for (const [i, value] of (vectors.get(word) ?? []).entries()) sum[i]! += value
        const length = Math.hypot(...sum)
        if (length === 0) failed.push({ index, error: new Error('unknown') })
        else
          result.set(
            sum.map((value) => value / length),
            index * width,
          )
      }
      return { vectors: result, failed, tokens: 0 }
    },
    async close() {},
  }
}

async function readMatrix(folder: string): Promise<number[][]> {
  const file = await openSafetensors(join(folder, 'model.safetensors'))
  const tensor = file.tensors.get('embeddings')!
  const columns = tensor.shape[1]!
  const values: number[] = []
  for await (const part of file.values(tensor)) values.push(...part)
  await file.close()
  return Array.from({ length: tensor.shape[0]! }, (_, row) => values.slice(row * columns, (row + 1) * columns))
}

const readTokenizer = (folder: string) => JSON.parse(readFileSync(join(folder, 'tokenizer.json'), 'utf8'))
const vocabularyOf = (folder: string): Record<string, number> => readTokenizer(folder).model.vocab

async function vectorsOf(embedder: Embedder, texts: readonly string[]): Promise<number[][]> {
  const { vectors } = await embedder.embed(texts, { kind: 'passage' })
  return texts.map((_, i) => [...vectors.subarray(i * embedder.dimensions, (i + 1) * embedder.dimensions)])
}

const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, i) => sum + value * b[i]!, 0)
const distance = (a: readonly number[], b: readonly number[]) => Math.hypot(...a.map((value, i) => value - b[i]!))

function correlation(a: readonly number[], b: readonly number[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const centred = (values: readonly number[]) => values.map((value) => value - mean(values))
  const [x, y] = [centred(a), centred(b)]
  return dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y))
}

function sentences(count: number, seed: number): string[] {
  const random = randomNumbers(seed)
  return Array.from({ length: count }, () =>
    Array.from({ length: 3 + Math.floor(random() * 12) }, () => words[Math.floor(random() * words.length)]).join(' '),
  )
}

describe('a distilled model', () => {
  inSoak('has the geometry of a teacher whose vectors are sums', async () => {
    const teacher = createSumTeacher()
    const report = await distillStatic(teacher, {
      out: newFolder(),
      vocabulary: words,
      dimensions: latent,
      sifCoefficient: 0,
    })
    expect(report).toMatchObject({ tokens: 602, addedWords: 600, skippedWords: [], failed: 0, dimensions: latent })
    expect(report.explainedVariance).toBeGreaterThan(0.999999)

    const student = await createStaticEmbedder({ model: report.directory, workers: 1 })
    const texts = sentences(150, 2)
    const [theirs, ours] = [await vectorsOf(teacher, texts), await vectorsOf(student, texts)]
    await student.close()
    const pairs = texts.flatMap((_, i) => Array.from({ length: i }, (_, j) => [i, j] as const))
    const cosines = (vectors: readonly number[][]) => pairs.map(([i, j]) => dot(vectors[i]!, vectors[j]!))
    expect(correlation(cosines(theirs), cosines(ours))).toBeGreaterThan(0.99)

    const coarse = await distillStatic(teacher, {
      out: newFolder(),
      vocabulary: words,
      dimensions: 3,
      sifCoefficient: 0,
    })
    expect(coarse.explainedVariance).toBeLessThan(0.6)
  })

  it('keeps the distances of the teacher exactly when it keeps all dimensions', async () => {
    const teacher = createHashingEmbedder({ dimensions: 24 })
    const { directory, explainedVariance } = await distillStatic(teacher, {
      out: newFolder(),
      vocabulary: words.slice(0, 60),
      sifCoefficient: 0,
    })
    expect(explainedVariance).toBeCloseTo(1, 6)
    const rows = await readMatrix(directory)
    const vocabulary = vocabularyOf(directory)
    const theirs = await vectorsOf(teacher, words.slice(0, 60))
    for (let i = 0; i < 60; i++) {
      for (let j = 0; j < i; j++) {
        const ours = distance(rows[vocabulary[words[i]!]!]!, rows[vocabulary[words[j]!]!]!)
        expect(Math.abs(ours - distance(theirs[i]!, theirs[j]!))).toBeLessThan(1e-5)
      }
    }
    // Around their mean, as principal components are.
    const sum = rows[0]!.map((_, i) => rows.reduce((total, row) => total + row[i]!, 0))
    for (const value of sum) expect(Math.abs(value)).toBeLessThan(1e-4)
  })

  it('weights tokens by Zipf and SIF as model2vec does', async () => {
    const teacher = createSumTeacher()
    const options = { vocabulary: words, dimensions: 8 }
    const plain = await readMatrix(
      (await distillStatic(teacher, { out: newFolder(), ...options, sifCoefficient: 0 })).directory,
    )
    const report = await distillStatic(teacher, { out: newFolder(), ...options, sifCoefficient: 1e-3 })
    const weighted = await readMatrix(report.directory)
    // inv_rank = 1 / arange(2, n + 2); proba = inv_rank / sum; weight = a / (a + proba)
    const total = plain.reduce((sum, _, i) => sum + 1 / (i + 2), 0)
    for (const [i, row] of plain.entries()) {
      const weight = 1e-3 / (1e-3 + 1 / (i + 2) / total)
      for (const [k, value] of row.entries()) expect(Math.abs(weighted[i]![k]! - value * weight)).toBeLessThan(1e-6)
    }
  })

  it('weights tokens by their counts in the texts it is made for', async () => {
    const teacher = createSumTeacher()
    const [often, rare, never] = words.slice(0, 3) as [string, string, string]
    async function* corpus() {
      for (let i = 0; i < 50; i++) {
        await nextLoopTurn()
        yield `${often.toUpperCase()}, ${often}! ${i === 7 ? rare : often}.`
      }
    }
    const options = { vocabulary: words, dimensions: 8 }
    const plain = await readMatrix(
      (await distillStatic(teacher, { out: newFolder(), ...options, sifCoefficient: 0 })).directory,
    )
    const { directory } = await distillStatic(teacher, {
      out: newFolder(),
      ...options,
      corpus: corpus(),
      sifCoefficient: 0.01,
    })
    const weighted = await readMatrix(directory)
    const vocabulary = vocabularyOf(directory)
    const weightOf = (word: string) => weighted[vocabulary[word]!]![0]! / plain[vocabulary[word]!]![0]!
    expect(weightOf(often)).toBeCloseTo(0.01 / (0.01 + 149 / 150), 4)
    expect(weightOf(rare)).toBeCloseTo(0.01 / (0.01 + 1 / 150), 4)
    expect(weightOf(never)).toBeCloseTo(1, 4)
  })

  it('is the same, byte by byte, every time', async () => {
    const files = await Promise.all(
      [1, 2].map(async () => {
        const { directory } = await distillStatic(createSumTeacher(), { out: newFolder(), vocabulary: words })
        return readdirSync(directory)
          .sort()
          .map((name) => [name, readFileSync(join(directory, name)).toString('base64')])
      }),
    )
    expect(files[0]).toEqual(files[1])
  })

  it('is a folder as model2vec writes it', async () => {
    const { directory } = await distillStatic(createSumTeacher(), {
      out: newFolder(),
      vocabulary: words,
      dimensions: 16,
    })
    expect(readdirSync(directory).sort()).toEqual([
      'config.json',
      'model.safetensors',
      'modules.json',
      'tokenizer.json',
    ])
    expect(JSON.parse(readFileSync(join(directory, 'config.json'), 'utf8'))).toEqual({
      model_type: 'model2vec',
      architectures: ['StaticModel'],
      tokenizer_name: 'sums',
      apply_pca: 16,
      sif_coefficient: 1e-4,
      hidden_dim: 16,
      seq_length: 1_000_000,
      normalize: true,
      embedding_dtype: 'float32',
    })
    const matrix = await readMatrix(directory)
    const tokens = Object.entries(vocabularyOf(directory))
    expect(matrix.length).toBe(tokens.length)
    expect(tokens.map(([, id]) => id).sort((a, b) => a - b)).toEqual([...matrix.keys()])
    // The rows of [PAD] and [UNK].
    expect(matrix.slice(0, 2).flat()).toEqual(Array(32).fill(0))
  })
})

/** Writes down what the teacher is asked. */
function listenTo(teacher: Embedder, asked: string[]): Embedder {
  return {
    ...teacher,
    embed: (texts, options) => {
      asked.push(...texts)
      return teacher.embed(texts, options)
    },
  }
}

describe('the vocabulary of a distilled model', () => {
  const teacher = createFakeEmbedder({ dimensions: 32 })

  it('is that of the tokenizer, without special and unused tokens, and taught as text', async () => {
    const special = ['[PAD]', '[unused0]', '[unused99]', '[UNK]', '[CLS]', '[SEP]']
    const own = ['the', '##ing', 'sing', '!', '[unusual]', '2010', '##0']
    const json = JSON.parse(tokenizerFile([...special, ...own]))
    json.added_tokens = ['[PAD]', '[UNK]', '[CLS]', '[SEP]'].map((content) => ({
      id: special.indexOf(content),
      content,
      special: true,
    }))
    json.post_processor = { type: 'BertProcessing', cls: ['[CLS]', 4], sep: ['[SEP]', 5] }
    const asked: string[] = []
    const listening = listenTo(teacher, asked)
    const { directory, tokens } = await distillStatic(listening, {
      out: newFolder(),
      tokenizer: folders.write({ 'tokenizer.json': JSON.stringify(json) }),
      dimensions: 3,
    })
    expect(
      Object.entries(vocabularyOf(directory))
        .sort((a, b) => a[1] - b[1])
        .map(([token]) => token),
    ).toEqual(['[PAD]', '[UNK]', ...own])
    expect(tokens).toBe(9)
    expect(asked.sort()).toEqual(['!', '0', '2010', '[unusual]', 'ing', 'sing', 'the'])
  })

  it('asks once for what several tokens share', async () => {
    const tokens = ['[PAD]', '[UNK]', 'ing', '##ing', '##s']
    const asked: string[] = []
    const listening = listenTo(teacher, asked)
    const { directory } = await distillStatic(listening, {
      out: newFolder(),
      tokenizer: folders.write({ 'tokenizer.json': tokenizerFile(tokens) }),
      dimensions: 2,
      sifCoefficient: 0,
    })
    expect(asked.sort()).toEqual(['ing', 's'])
    const rows = await readMatrix(directory)
    expect(rows[2]).toEqual(rows[3])
  })

  it('gets words that the tokenizer cuts or cannot spell, each as one token that texts reach', async () => {
    const { directory, addedWords, skippedWords, tokens } = await distillStatic(teacher, {
      out: newFolder(),
      tokenizer: base,
      vocabulary: [
        'Zyzzyva',
        'zyzzyva',
        'ÉTERNEL',
        'the',
        '☃☃',
        '__proto__',
        'constructor',
        'a-b',
        'two words',
        '',
        ' ',
        '[UNK]',
        '[CLS]',
        'x'.repeat(101),
      ],
    })
    expect(addedWords).toBe(4)
    expect(skippedWords).toEqual(['__proto__', 'a-b', 'two words', '', ' ', '[UNK]', '[CLS]', 'x'.repeat(101)])
    expect(tokens).toBe(staticTokens.length + 4)
    const library = new Tokenizer(readTokenizer(directory), {})
    const encode = (text: string) => library.encode(text, { add_special_tokens: false }).tokens
    expect(encode('The zyzzyva, éternel!')).toEqual(['the', 'zyzzyva', ',', 'eternel', '!'])
    expect(encode('☃☃ constructor')).toEqual(['☃☃', 'constructor'])
    const student = await createStaticEmbedder({ model: directory, workers: 1 })
    expect((await student.embed(['ZYZZYVA', '☃☃'], { kind: 'query' })).failed).toEqual([])
    await student.close()
  })

  it('gets the frequent words of a corpus, the most frequent first', async () => {
    const corpus = ['Quokka wombat. quokka', 'wombat quokka, numbat', 'bilby bilby Bilby', 'the the the the']
    const { directory, addedWords } = await distillStatic(teacher, {
      out: newFolder(),
      tokenizer: base,
      corpus,
      minCount: 2,
    })
    expect(addedWords).toBe(3)
    const added = Object.entries(vocabularyOf(directory)).filter(([, id]) => id >= staticTokens.length)
    expect(added.sort((a, b) => a[1] - b[1]).map(([token]) => token)).toEqual(['quokka', 'bilby', 'wombat'])

    const limited = await distillStatic(teacher, {
      out: newFolder(),
      tokenizer: base,
      corpus,
      minCount: 1,
      maxWords: 1,
      vocabulary: ['numbat'],
    })
    const two = Object.entries(vocabularyOf(limited.directory)).filter(([, id]) => id >= staticTokens.length)
    expect(two.sort((a, b) => a[1] - b[1]).map(([token]) => token)).toEqual(['numbat', 'quokka'])
  })

  it('may be made of a corpus alone', async () => {
    const corpus = ['alpha beta gamma', 'alpha Beta', 'ALPHA']
    const { directory } = await distillStatic(teacher, { out: newFolder(), corpus, minCount: 2, dimensions: 2 })
    expect(vocabularyOf(directory)).toEqual({ '[PAD]': 0, '[UNK]': 1, alpha: 2, beta: 3 })
  })

  it('must be WordPiece', async () => {
    const json = { added_tokens: [], model: { type: 'BPE', vocab: { a: 0 }, merges: [] } }
    const tokenizer = folders.write({ 'tokenizer.json': JSON.stringify(json) })
    const out = newFolder()
    await expect(distillStatic(teacher, { out, tokenizer })).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    expect(existsSync(out)).toBe(false)
  })
})

describe('a distillation', () => {
  const teacher = createFakeEmbedder({ dimensions: 16 })

  it('tells how far it is', async () => {
    const seen: DistillProgress[] = []
    const onProgress = (progress: DistillProgress) => void seen.push(progress)
    await distillStatic(createSumTeacher(), { out: newFolder(), vocabulary: words, corpus: ['a b', 'c'], onProgress })
    expect([...new Set(seen.map(({ stage }) => stage))]).toEqual(['counting', 'teaching', 'reducing', 'saving'])
    const taught = seen.filter(({ stage }) => stage === 'teaching')
    expect(taught.map(({ done }) => done)).toEqual(Array.from({ length: 12 }, (_, i) => (i + 1) * 50))
    expect(taught.every(({ total }) => total === 600)).toBe(true)
    expect(seen.filter(({ stage }) => stage === 'counting').map(({ done }) => done)).toEqual([1, 2])
  })

  it('leaves out what the teacher cannot embed, and counts it', async () => {
    const failure = (text: string) => (text.startsWith('a') ? new Error('no') : undefined)
    const out = newFolder()
    const report = await distillStatic(createFakeEmbedder({ dimensions: 16, failure }), { out, vocabulary: words })
    const bad = words.filter((word) => word.startsWith('a'))
    expect(report.failed).toBe(bad.length)
    const rows = await readMatrix(out)
    const vocabulary = vocabularyOf(out)
    for (const word of bad) expect(rows[vocabulary[word]!]!.every((value) => value === 0)).toBe(true)
    expect(rows.filter((row) => row.some((value) => value !== 0)).length).toBe(words.length - bad.length)
  })

  const nothing = () => readdirSync(folders.root).filter((name) => name.startsWith('.'))

  it('leaves nothing when the teacher fails, whole or in all texts', async () => {
    const out = newFolder()
    const broken: Embedder = { ...teacher, embed: async () => Promise.reject(new Error('broken')) }
    await expect(distillStatic(broken, { out, vocabulary: words })).rejects.toMatchObject({ code: 'PROVIDER' })
    const cause = new Error('no')
    const deaf = createFakeEmbedder({ dimensions: 16, failure: () => cause })
    await expect(distillStatic(deaf, { out, vocabulary: words })).rejects.toMatchObject({ code: 'PROVIDER', cause })
    await expect(distillStatic(teacher, { out, vocabulary: ['two words'] })).rejects.toMatchObject({ code: 'PROVIDER' })
    expect(existsSync(out)).toBe(false)
    expect(nothing()).toEqual([])
  })

  it('stops when it is aborted, at every stage, and leaves nothing', async () => {
    for (const stage of ['counting', 'teaching', 'reducing', 'saving'] as const) {
      const controller = new AbortController()
      const reason = new Error(stage)
      const out = newFolder()
      const work = distillStatic(createSumTeacher(), {
        out,
        vocabulary: words,
        corpus: ['a b', 'c', 'd'],
        signal: controller.signal,
        onProgress: (progress) => {
          if (progress.stage === stage) controller.abort(reason)
        },
      })
      await expect(work, stage).rejects.toBe(reason)
      expect(existsSync(out)).toBe(false)
    }
    const signal = AbortSignal.abort(new Error('before'))
    await expect(distillStatic(teacher, { out: newFolder(), vocabulary: words, signal })).rejects.toBe(signal.reason)
    expect(nothing()).toEqual([])
  })

  it('never overwrites, neither what is there nor what comes meanwhile', async () => {
    const out = newFolder()
    mkdirSync(out)
    await expect(distillStatic(teacher, { out, vocabulary: words })).rejects.toMatchObject({ code: 'BAD_OPTION' })
    const late = newFolder()
    const work = distillStatic(teacher, {
      out: late,
      vocabulary: words,
      onProgress: ({ stage }) => {
        if (stage === 'saving') mkdirSync(late)
      },
    })
    await expect(work).rejects.toMatchObject({ code: 'BAD_OPTION' })
    expect(readdirSync(late)).toEqual([])
    expect(nothing()).toEqual([])
  })

  it('says when the folder cannot be written to', async () => {
    const file = newFolder()
    writeFileSync(file, '')
    const work = distillStatic(teacher, { out: join(file, 'model'), vocabulary: words })
    await expect(work).rejects.toMatchObject({ code: 'STORAGE' })
  })

  it('passes on what the texts throw', async () => {
    const failure = new Error('no more texts')
    function* corpus() {
      yield 'one'
      throw failure
    }
    await expect(distillStatic(teacher, { out: newFolder(), corpus: corpus() })).rejects.toBe(failure)
  })

  it('refuses impossible options before anything is done', async () => {
    for (const wrong of [
      { dimensions: 17 },
      { dimensions: 0 },
      { sifCoefficient: 1 },
      { sifCoefficient: -1 },
      { sifCoefficient: Number.NaN },
      { minCount: 0 },
      { maxWords: -1 },
    ]) {
      const work = distillStatic(teacher, { out: newFolder(), vocabulary: words, ...wrong })
      await expect(work).rejects.toMatchObject({ code: 'BAD_OPTION' })
    }
    await expect(distillStatic(teacher, { out: newFolder() })).rejects.toMatchObject({ code: 'BAD_OPTION' })
  })
})
