import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type EmbeddingModelRequest, openEmbeddingModel } from '../../../src/models/describe.js'
import { bertFiles, onnxFile, smallOnnxFile, temporaryFolder, warnings, writeFiles } from './support.js'

const root = temporaryFolder()
let folders = 0

/** A folder with a small BERT, and what is added or (with `undefined`) left out. */
function modelFolder(files: Readonly<Record<string, unknown>> = {}, name = `model-${folders++}`): string {
  const all = Object.entries({ ...bertFiles(), ...files }).filter(([, content]) => content !== undefined)
  return writeFiles(join(root, name), Object.fromEntries(all))
}

const processor = { arch: 'x64', vnni: false }
const pooling = (mode: object) => ({ '1_Pooling/config.json': mode })
const meanPooling = pooling({
  word_embedding_dimension: 32,
  pooling_mode_mean_tokens: true,
  pooling_mode_cls_token: false,
})

const open = (model: string, options: Partial<EmbeddingModelRequest> = {}) =>
  openEmbeddingModel({
    model,
    processor,
    environment: { HF_HOME: join(root, 'no-cache'), HF_HUB_OFFLINE: '1' },
    ...options,
  })

describe('an embedding model', () => {
  it('is described by its folder', async () => {
    const directory = modelFolder({
      ...meanPooling,
      'sentence_bert_config.json': { max_seq_length: 48, do_lower_case: false },
      'tokenizer_config.json': { model_max_length: 64 },
      'config_sentence_transformers.json': {
        prompts: { query: 'q: ', document: 'd: ', other: 'x' },
        default_prompt_name: null,
      },
    })
    expect(await open(directory)).toEqual({
      name: expect.stringMatching(/^model-/),
      directory,
      weights: join(directory, 'onnx/model.onnx'),
      weightsFiles: [join(directory, 'onnx/model.onnx')],
      quantization: 'fp32',
      contentHash: expect.stringMatching(/^[0-9a-f]{64}$/),
      pooling: 'mean',
      prefixes: { query: 'q: ', passage: 'd: ' },
      dimensions: 32,
      maxTokens: 48,
    })
  })

  it('takes what the caller says before everything else', async () => {
    const directory = modelFolder({ ...meanPooling, 'sentence_bert_config.json': { max_seq_length: 48 } })
    const told = { pooling: 'cls', queryPrefix: '', passagePrefix: 'p ', maxTokens: 16 } as const
    expect(await open(directory, told)).toMatchObject({
      pooling: 'cls',
      prefixes: { query: '', passage: 'p ' },
      maxTokens: 16,
    })
  })

  it.each([1, 65, 1.5, Number.NaN, -1])('refuses a maxTokens of %s where it has 64 positions', async (maxTokens) => {
    await expect(open(modelFolder(meanPooling), { maxTokens })).rejects.toMatchObject({
      code: 'BAD_OPTION',
      data: { positions: 64 },
    })
  })

  it.each([
    [{ hidden_size: 32 }, 32],
    [{ hidden_size: undefined, d_model: 48 }, 48],
    [{ hidden_size: undefined, dim: 16, hidden_dim: 99 }, 16],
  ])('has the width that its configuration names: %o', async (config, dimensions) => {
    expect((await open(modelFolder({ ...bertFiles(config), ...meanPooling }))).dimensions).toBe(dimensions)
  })

  it('whose configuration names no width is UNSUPPORTED', async () => {
    const directory = modelFolder({ ...bertFiles({ hidden_size: undefined }), ...meanPooling })
    await expect(open(directory)).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      data: { file: join(directory, 'config.json') },
    })
  })

  it.each([
    [
      'sentence_bert_config.json',
      { 'sentence_bert_config.json': { max_seq_length: 20 }, 'tokenizer_config.json': { model_max_length: 30 } },
      20,
    ],
    ['the tokenizer', { 'tokenizer_config.json': { model_max_length: 30 } }, 30],
    [
      'its positions, where the tokenizer names a number without meaning',
      { 'tokenizer_config.json': { model_max_length: 1e30 } },
      64,
    ],
    ['its positions, where a file promises more', { 'sentence_bert_config.json': { max_seq_length: 512 } }, 64],
    ['512, where nothing is told', bertFiles({ max_position_embeddings: undefined }), 512],
    [
      'its positions less those before the first',
      { ...bertFiles({ model_type: 'xlm-roberta', max_position_embeddings: 66, pad_token_id: 1 }) },
      64,
    ],
  ])('sees as many tokens as say %s', async (_, files, maxTokens) => {
    expect((await open(modelFolder({ ...meanPooling, ...files }))).maxTokens).toBe(maxTokens)
  })

  it.each([
    [{ pooling_mode_cls_token: true, pooling_mode_mean_tokens: false }, 'cls'],
    [{ pooling_mode_lasttoken: true }, 'last-token'],
    [{ pooling_mode: 'cls', embedding_dimension: 32 }, 'cls'],
    [{ pooling_mode: ['lasttoken'] }, 'last-token'],
    [{ pooling_mode_cls_token: false }, 'mean'],
  ])('pools as its file says, old or new: %o', async (mode, expected) => {
    expect((await open(modelFolder(pooling(mode)))).pooling).toBe(expected)
  })

  it.each([
    [{ pooling_mode_max_tokens: true }, 'max'],
    [{ pooling_mode_cls_token: true, pooling_mode_mean_tokens: true }, 'cls + mean'],
    [{ pooling_mode: ['mean', 'max'] }, 'mean + max'],
    [{ pooling_mode_mean_tokens: true, include_prompt: false }, 'mean without the prompt'],
  ])('that pools in a way we cannot is UNSUPPORTED, and overridable: %o', async (mode, named) => {
    const directory = modelFolder(pooling(mode))
    await expect(open(directory)).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining(`"${named}"`),
    })
    expect((await open(directory, { pooling: 'mean' })).pooling).toBe('mean')
  })

  it('finds its pooling where modules.json says', async () => {
    const modules = [
      { idx: 0, path: '', type: 'sentence_transformers.models.Transformer' },
      { idx: 1, path: '5_Pooling', type: 'sentence_transformers.sentence_transformer.modules.pooling.Pooling' },
      { idx: 2, path: '2_Normalize', type: 'sentence_transformers.models.Normalize' },
    ]
    const files = { 'modules.json': modules, '5_Pooling/config.json': { pooling_mode_cls_token: true } }
    expect((await open(modelFolder({ ...meanPooling, ...files }))).pooling).toBe('cls')
  })

  it('warns once when it must guess how to pool', async () => {
    const { logger, messages } = warnings()
    expect((await open(modelFolder(), { logger })).pooling).toBe('mean')
    expect(messages).toEqual([expect.stringContaining('does not say how')])
    await open(modelFolder(), { logger, pooling: 'mean' })
    expect(messages).toHaveLength(1)
  })

  it('with a layer after pooling is UNSUPPORTED, unless the graph has it', async () => {
    const modules = [
      { path: '', type: 'sentence_transformers.models.Transformer' },
      { path: '1_Pooling', type: 'sentence_transformers.models.Pooling' },
      { path: '2_Dense', type: 'sentence_transformers.models.Dense' },
    ]
    const dense = { in_features: 32, out_features: 8, bias: true }
    const directory = modelFolder({ ...meanPooling, 'modules.json': modules, '2_Dense/config.json': dense })
    await expect(open(directory)).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining('Dense'),
      hint: expect.stringContaining("pooling: 'none'"),
    })
    expect(await open(directory, { pooling: 'none' })).toMatchObject({ pooling: 'none', dimensions: 8 })
  })

  it.each([
    ['a static one', { 'config.json': { model_type: 'model2vec', hidden_dim: 8 } }, 'static'],
    [
      'a table of vectors',
      { 'modules.json': [{ path: '', type: 'sentence_transformers.models.StaticEmbedding' }] },
      'static',
    ],
    ['a reranker', bertFiles({ architectures: ['BertForSequenceClassification'] }), 'pairs'],
  ])('that is %s is UNSUPPORTED, and says what it is', async (_, files, word) => {
    await expect(open(modelFolder(files))).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining(word),
    })
  })

  it('of a known name is known, as long as it has the known width', async () => {
    const id = 'BAAI/bge-small-en-v1.5'
    const modelsDir = join(root, 'known')
    writeFiles(join(modelsDir, id), {
      ...bertFiles({ hidden_size: 384, max_position_embeddings: 512 }),
      ...meanPooling,
    })
    const known = {
      pooling: 'cls',
      prefixes: { query: 'Represent this sentence for searching relevant passages: ', passage: '' },
      maxTokens: 512,
      dimensions: 384,
    }
    expect(await open(id, { modelsDir })).toMatchObject({ name: id, ...known })
    expect((await open('bge-small-en-v1.5', { modelsDir })).name).toBe(id)
    expect((await open(id, { modelsDir, queryPrefix: '' })).prefixes.query).toBe('')

    writeFiles(join(modelsDir, id), bertFiles({ hidden_size: 16 }))
    expect(await open(id, { modelsDir })).toMatchObject({ pooling: 'mean', dimensions: 16 })
  })

  it('in a folder is what its files say, even under a known name', async () => {
    const files = { ...bertFiles({ hidden_size: 384 }), ...meanPooling }
    expect((await open(modelFolder(files, 'own/bge-small-en-v1.5'))).pooling).toBe('mean')
  })

  it('of ONNX files alone is known by its folder, or by its origin', async () => {
    const files = bertFiles({ hidden_size: 384, _name_or_path: 'BAAI/bge-small-en-v1.5' })
    expect((await open(modelFolder(files))).pooling).toBe('cls')
    expect((await open(modelFolder(bertFiles({ hidden_size: 384 }), 'bare/bge-small-en-v1.5'))).pooling).toBe('cls')
    expect((await open(modelFolder({ ...files, ...meanPooling }))).pooling).toBe('mean')
  })

  it.each(['config.json', 'tokenizer.json'])('without %s is NOT_FOUND, which names it', async (file) => {
    await expect(open(modelFolder({ [file]: undefined }))).rejects.toMatchObject({
      code: 'NOT_FOUND',
      data: { missing: [file] },
    })
  })

  it('without weights is NOT_FOUND with what was looked for and what is there', async () => {
    const directory = modelFolder({ 'onnx/model.onnx': undefined, 'model.safetensors': 'x', 'onnx/decoder.onnx': 'x' })
    await expect(open(directory, { quantization: 'int8' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      data: {
        lookedFor: expect.arrayContaining(['onnx/model_quantized.onnx', 'model_quint8_avx2.onnx']),
        found: ['model.safetensors', 'onnx/decoder.onnx'],
      },
    })
  })

  it.each(['config.json', 'modules.json', 'tokenizer_config.json', '1_Pooling/config.json'])(
    'with half of %s is INTEGRITY that names the file and quotes nothing',
    async (file) => {
      const directory = modelFolder({ ...meanPooling, [file]: '{"secret": tru' })
      const error = await open(directory).catch((reason) => reason)
      expect(error).toMatchObject({ code: 'INTEGRITY', data: { file: join(directory, file) } })
      expect(JSON.stringify(error)).not.toContain('secret')
    },
  )

  it('replaces a precision that is not there, says so once and tells the truth', async () => {
    const { logger, messages } = warnings()
    const model = await open(modelFolder(meanPooling), { quantization: 'int8', logger })
    expect(model.quantization).toBe('fp32')
    expect(messages).toEqual([expect.stringMatching(/has no int8 weights; fp32 is used/)])
  })

  it('warns of 8-bit weights that overflow here', async () => {
    const { logger, messages } = warnings()
    const directory = modelFolder({ ...meanPooling, 'onnx/model_qint8_avx512_vnni.onnx': smallOnnxFile() })
    expect((await open(directory, { quantization: 'int8', logger })).quantization).toBe('int8')
    expect(messages).toEqual([expect.stringContaining('less exact')])
    await open(directory, { quantization: 'int8', logger, processor: { arch: 'x64', vnni: true } })
    expect(messages).toHaveLength(1)
  })

  it('with half of its weights is INTEGRITY that names the file', async () => {
    const directory = modelFolder({ ...meanPooling, 'onnx/model.onnx': smallOnnxFile().subarray(0, 40) })
    await expect(open(directory)).rejects.toMatchObject({
      code: 'INTEGRITY',
      data: { file: join(directory, 'onnx/model.onnx') },
    })
  })

  it('whose files cannot be read is STORAGE, which says why', async () => {
    const directory = modelFolder({ ...meanPooling, 'tokenizer_config.json': undefined, 'config.json': undefined })
    symlinkSync('config.json', join(directory, 'config.json'))
    await expect(open(directory)).rejects.toMatchObject({ code: 'STORAGE', data: { code: 'ELOOP' } })
    const modelsDir = join(root, 'loops')
    mkdirSync(join(modelsDir, 'acme'), { recursive: true })
    renameSync(directory, join(modelsDir, 'acme/loop'))
    const { logger, messages } = warnings()
    await expect(open('acme/loop', { modelsDir, logger })).rejects.toMatchObject({ code: 'STORAGE' })
    expect(messages).toEqual([expect.stringContaining('ELOOP')])
  })

  it('stops when told to', async () => {
    const signal = AbortSignal.abort(new Error('enough'))
    await expect(open('all-MiniLM-L6-v2', { signal })).rejects.toThrow('enough')
    await expect(open(modelFolder(meanPooling), { signal })).rejects.toThrow('enough')
  })
})

describe('the content hash', () => {
  const hashOf = async (directory: string, options = {}) => (await open(directory, options)).contentHash

  it('is the same for the same content in another folder, under other names', async () => {
    const one = modelFolder(meanPooling)
    const other = modelFolder({ ...meanPooling, 'README.md': 'hello', 'onnx/model_q4.onnx': smallOnnxFile() })
    expect(await hashOf(other)).toBe(await hashOf(one))
  })

  it.each([
    ['weights', { 'onnx/model.onnx': smallOnnxFile(2) }],
    ['tokenizer', { 'tokenizer.json': { version: '1.1' } }],
    ["tokenizer's options", { 'tokenizer_config.json': { do_lower_case: false } }],
    ['pooling', pooling({ pooling_mode: 'cls' })],
    ['limit', { 'sentence_bert_config.json': { max_seq_length: 9 } }],
    ['prompts', { 'config_sentence_transformers.json': { prompts: { query: 'q' } } }],
  ])('differs for other %s', async (_, files) => {
    expect(await hashOf(modelFolder({ ...meanPooling, ...files }))).not.toBe(await hashOf(modelFolder(meanPooling)))
  })

  it('sees what the caller overrides', async () => {
    const directory = modelFolder(meanPooling)
    const hashes = [{}, { pooling: 'cls' }, { queryPrefix: 'q' }, { passagePrefix: 'q' }, { maxTokens: 8 }].map(
      (options) => hashOf(directory, options),
    )
    expect(new Set(await Promise.all(hashes)).size).toBe(5)
  })

  it('covers weights in files of their own', async () => {
    const files = (fill: number) => ({
      ...meanPooling,
      'onnx/model.onnx': onnxFile([{ name: 'w', location: 'model.onnx_data', count: 4 }]),
      'onnx/model.onnx_data': Buffer.alloc(16, fill),
    })
    expect(await hashOf(modelFolder(files(1)))).not.toBe(await hashOf(modelFolder(files(2))))
    const missing = modelFolder({ ...files(1), 'onnx/model.onnx_data': undefined })
    await expect(hashOf(missing)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      data: { file: join(missing, 'onnx/model.onnx_data') },
    })
  })

  it('of large weights sees their first, last and sampled bytes, and their size', async () => {
    const size = 12 << 20
    const withByte = (place?: number, length = size) => {
      const data = Buffer.alloc(length)
      if (place !== undefined) data[place] = 1
      return modelFolder({
        ...meanPooling,
        'onnx/model.onnx': onnxFile([{ name: 'w', location: 'model.onnx_data', count: 4 }]),
        'onnx/model.onnx_data': data,
      })
    }
    const hashes = [withByte(), withByte(0), withByte(size - 1), withByte(undefined, size + 1)].map((directory) =>
      hashOf(directory),
    )
    expect(new Set(await Promise.all(hashes)).size).toBe(4)
  })
})

describe('a model by its id', () => {
  const id = 'acme/tiny'
  const commit = 'c'.repeat(40)
  const snapshot = { ...bertFiles(), ...meanPooling }

  /** A hub cache as huggingface_hub of Python leaves it. */
  function cache(
    name: string,
    files: Readonly<Record<string, unknown>> = snapshot,
    refs: Readonly<Record<string, string>> = { main: commit },
  ): string {
    const home = join(root, name)
    const repository = join(home, 'hub/models--acme--tiny')
    for (const [path, content] of Object.entries(files)) {
      const blob = path.replaceAll('/', '-')
      writeFiles(join(repository, 'blobs'), { [blob]: content })
      const link = join(repository, 'snapshots', commit, path)
      mkdirSync(dirname(link), { recursive: true })
      symlinkSync(relative(dirname(link), join(repository, 'blobs', blob)), link)
    }
    for (const [ref, target] of Object.entries(refs)) writeFiles(join(repository, 'refs'), { [ref]: target })
    return home
  }

  const offline = { HF_HUB_OFFLINE: '1' }

  it('is found in the hub cache', async () => {
    const home = cache('home')
    const directory = join(home, 'hub/models--acme--tiny/snapshots', commit)
    for (const environment of [
      { HF_HOME: home },
      { HF_HUB_CACHE: join(home, 'hub') },
      { HUGGINGFACE_HUB_CACHE: join(home, 'hub') },
    ]) {
      expect(await open(id, { environment: { ...environment, ...offline } })).toMatchObject({ name: id, directory })
    }
    mkdirSync(join(root, 'xdg'))
    renameSync(home, join(root, 'xdg/huggingface'))
    const { directory: moved } = await open(id, { environment: { XDG_CACHE_HOME: join(root, 'xdg'), ...offline } })
    expect(moved).toBe(join(root, 'xdg/huggingface/hub/models--acme--tiny/snapshots', commit))
  })

  it('is found at a commit, a tag, or the only snapshot there is', async () => {
    const environment = { HF_HOME: cache('refs', snapshot, { 'v1.0': commit }), ...offline }
    expect((await open(id, { environment, revision: 'v1.0' })).name).toBe(id)
    expect((await open(id, { environment, revision: commit })).name).toBe(id)
    expect((await open(id, { environment })).name).toBe(id)
    mkdirSync(join(environment.HF_HOME, 'hub/models--acme--tiny/snapshots', 'd'.repeat(40)))
    await expect(open(id, { environment })).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  it('is found in modelsDir before UFRAG_MODELS before the cache, by id, by name or as a copied cache', async () => {
    const environment = { HF_HOME: cache('order'), UFRAG_MODELS: join(root, 'variable'), ...offline }
    const modelsDir = join(root, 'option')
    const found = async () => (await open(id, { environment, modelsDir })).directory
    expect(await found()).toContain(environment.HF_HOME)
    writeFiles(join(environment.UFRAG_MODELS, 'tiny'), snapshot)
    expect(await found()).toBe(join(environment.UFRAG_MODELS, 'tiny'))
    writeFiles(join(modelsDir, `models--acme--tiny/snapshots/${commit}`), snapshot)
    expect(await found()).toBe(join(modelsDir, `models--acme--tiny/snapshots/${commit}`))
    writeFiles(join(modelsDir, 'acme/tiny'), snapshot)
    expect(await found()).toBe(join(modelsDir, 'acme/tiny'))
  })

  it('is taken from the cache when only that has the precision that was asked for', async () => {
    const environment = {
      HF_HOME: cache('precision', { ...snapshot, 'onnx/model_int8.onnx': smallOnnxFile() }),
      ...offline,
    }
    const modelsDir = writeFiles(join(root, 'precision-models'), {})
    writeFiles(join(modelsDir, 'acme/tiny'), snapshot)
    expect((await open(id, { environment, modelsDir, quantization: 'int8' })).directory).toContain(environment.HF_HOME)
    expect((await open(id, { environment, modelsDir, quantization: 'fp16' })).directory).toBe(
      join(modelsDir, 'acme/tiny'),
    )
  })

  it('is found by the id of a mirror when its own is not here', async () => {
    const modelsDir = join(root, 'mirrors')
    writeFiles(join(modelsDir, 'Xenova/gte-small'), bertFiles({ hidden_size: 384, max_position_embeddings: 512 }))
    expect(await open('thenlper/gte-small', { modelsDir })).toMatchObject({
      name: 'thenlper/gte-small',
      directory: join(modelsDir, 'Xenova/gte-small'),
      pooling: 'mean',
    })
  })

  it('that is a folder in the working directory is that folder, but only if it holds a model', async () => {
    const modelsDir = join(root, 'beside')
    writeFiles(join(modelsDir, id), snapshot)
    const working = join(root, 'working')
    mkdirSync(join(working, id), { recursive: true })
    const before = process.cwd()
    process.chdir(working)
    try {
      expect((await open(id, { modelsDir })).directory).toBe(join(modelsDir, id))
      writeFiles(join(working, id), snapshot)
      expect((await open(id, { modelsDir })).directory).toBe(join(working, id))
      expect((await open(`./${id}`)).directory).toBe(join(working, id))
      await expect(open('./nothing')).rejects.toMatchObject({
        code: 'NOT_FOUND',
        data: { path: join(working, 'nothing') },
      })
    } finally {
      process.chdir(before)
    }
  })

  it('with blobs that were deleted is not there', async () => {
    const home = cache('broken')
    rmSync(join(home, 'hub/models--acme--tiny/blobs/tokenizer.json'))
    await expect(open(id, { environment: { HF_HOME: home, ...offline } })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('lacks tokenizer.json'),
    })
  })

  it('with damaged weights is INTEGRITY that names them', async () => {
    const home = cache('damaged')
    const blob = join(home, 'hub/models--acme--tiny/blobs/onnx-model.onnx')
    writeFileSync(blob, smallOnnxFile().subarray(0, 50))
    await expect(open(id, { environment: { HF_HOME: home, ...offline } })).rejects.toMatchObject({ code: 'INTEGRITY' })
  })

  it.each([
    '',
    '../no such folder',
    'a/b/c',
    'a--b/c',
    '/no/such',
    '.hidden',
    'a/..',
    'a b',
    'a/b\0',
    'x'.repeat(200),
    'C:\\models',
  ])('that cannot be one is refused: %j', async (name) => {
    const error = await open(name).catch((reason) => reason)
    expect(['BAD_OPTION', 'NOT_FOUND']).toContain(error.code)
    expect(error.hint).toContain('sentence-transformers/all-MiniLM-L6-v2')
  })

  it('that is nowhere is NOT_FOUND with every place that was looked in, and the next step', async () => {
    const environment = { HF_HOME: join(root, 'empty'), UFRAG_MODELS: join(root, 'also-empty'), ...offline }
    await expect(open('all-MiniLM-L6-v3', { environment, modelsDir: root })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      data: {
        looked: expect.arrayContaining([
          expect.objectContaining({ from: 'modelsDir', path: join(root, 'all-MiniLM-L6-v3'), problem: 'not there' }),
          expect.objectContaining({ from: 'UFRAG_MODELS' }),
          expect.objectContaining({ from: 'HF_HOME' }),
        ]),
      },
      hint: expect.stringMatching(/Did you mean all-MiniLM-L6-v2\?.*ufrag pull/),
    })
  })
})
