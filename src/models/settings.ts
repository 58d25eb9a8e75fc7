import { join } from 'node:path'
import { RagError } from '../core/errors.js'
import { asObject, type Json, readJson } from './json-file.js'
import { findKnownModel, type KnownEmbeddingModel, type KnownModel } from './registry.js'
import type { EmbeddingModel, Pooling, RerankingModel } from './types.js'

/** How a model wants to be used. */
export type ModelSettings = Pick<EmbeddingModel, 'pooling' | 'prefixes' | 'dimensions' | 'maxTokens'> & {
  /** Neither caller nor files nor registry say how to pool; `pooling` is a guess. */
  readonly poolingGuessed: boolean
}

/** What the caller knows better; each wins over registry and files. */
export interface SettingsOverrides {
  readonly pooling?: Pooling | undefined
  readonly queryPrefix?: string | undefined
  readonly passagePrefix?: string | undefined
  readonly maxTokens?: number | undefined
}

/** Files that are read here, as far as they are there. */
export const settingsFiles = [
  'config.json',
  'modules.json',
  'sentence_bert_config.json',
  'config_sentence_transformers.json',
  'tokenizer_config.json',
] as const

/** Taken when neither files nor registry say: what BERT and most of its descendants see. */
const usualMaxTokens = 512

/** A model on this machine, as `locateModel` finds it. */
export interface ModelFolder {
  /** Hub id, or the name of the folder. */
  readonly name: string
  readonly directory: string
  /** It was asked for by its hub id, so it is what is known under that id; a folder may be anything. */
  readonly byId: boolean
}

/**
 * Settings of the model in a folder: what the caller says, else what is known of a model of that id (as long as its width is the
 * one of these files), else what the files say as sentence-transformers reads them, else what is known of a model by the name of the
 * folder or of its origin. Rejects with `UNSUPPORTED` for models that need more than pooling after the transformer, with
 * `INTEGRITY` for files that are not JSON, with `BAD_OPTION` for a `maxTokens` that the model has no positions for.
 */
export async function readSettings(folder: ModelFolder, overrides: SettingsOverrides): Promise<ModelSettings> {
  const { name, directory } = folder
  const files = await readFiles(directory)
  refuseOtherKinds(folder, files)
  const width = widthOf(files.config)
  const modules = readModules(files.modules)
  const known = knownSettings(folder, files, width)
  const pooling =
    overrides.pooling ??
    known?.pooling ??
    (files.pooling === undefined ? undefined : poolingOf(files.pooling, directory))
  if (pooling !== 'none' && known === undefined) refuseFurtherModules(modules, name)
  const dimensions = await dimensionsOf({ width, known, pooling, modules, directory })
  const positions = positionsOf(files.config)
  const prefixes = known?.prefixes ?? prefixesOf(files.sentenceTransformers)
  return {
    pooling: pooling ?? 'mean',
    poolingGuessed: pooling === undefined,
    prefixes: {
      query: overrides.queryPrefix ?? prefixes.query,
      passage: overrides.passagePrefix ?? prefixes.passage,
    },
    dimensions,
    maxTokens: maxTokensOf({ wanted: overrides.maxTokens, known: known?.maxTokens, positions, files }),
  }
}

interface Files {
  readonly config: Json
  readonly modules: unknown
  /** Absent: the folder does not say how to pool. */
  readonly pooling: Json | undefined
  readonly sentenceBert: Json
  readonly sentenceTransformers: Json
  readonly tokenizer: Json
}

async function readFiles(directory: string): Promise<Files> {
  const [config, modules, sentenceBert, sentenceTransformers, tokenizer] = await Promise.all(
    settingsFiles.map((file) => readJson(join(directory, file))),
  )
  const path = readModules(modules).find(({ type }) => type === 'Pooling')?.path ?? '1_Pooling'
  const pooling = await readJson(join(directory, path, 'config.json'))
  return {
    config: asObject(config),
    modules,
    pooling: pooling === undefined ? undefined : asObject(pooling),
    sentenceBert: asObject(sentenceBert),
    sentenceTransformers: asObject(sentenceTransformers),
    tokenizer: asObject(tokenizer),
  }
}

/** Values per token, by the names that architectures give it. */
function widthOf(config: Json): number | undefined {
  return [config.hidden_size, config.d_model, config.dim, config.n_embd].find(isCount)
}

/** Positions the model has, special tokens included. */
function positionsOf(config: Json): number | undefined {
  const positions = [config.max_position_embeddings, config.n_positions].find(isCount)
  if (positions === undefined) return undefined
  // These count positions from the padding id on, so the first ones are never used.
  const offset = offsetArchitectures.has(String(config.model_type)) ? Number(config.pad_token_id ?? 1) + 1 : 0
  return positions - offset
}

const offsetArchitectures = new Set([
  'roberta',
  'xlm-roberta',
  'xlm-roberta-xl',
  'camembert',
  'mpnet',
  'longformer',
  'data2vec-text',
  'xmod',
  'ibert',
])

/**
 * What is known of the model. Mirrors offer folders of ONNX files alone, which say nothing of pooling and prefixes: then it is known
 * by the name of the folder, or by the one that the conversion to ONNX has left in `config.json`. A model that was trained further
 * may carry its ancestor's name, too, but says itself how it pools. Another width means another model under a known name.
 */
function knownSettings(
  { name, byId }: ModelFolder,
  { config, modules, pooling }: Files,
  width: number | undefined,
): KnownEmbeddingModel | undefined {
  const isBare = modules === undefined && pooling === undefined
  const origin = config._name_or_path
  const names = [...(byId || isBare ? [name] : []), ...(isBare && typeof origin === 'string' ? [origin] : [])]
  const known = names.map(findKnownModel).find((model) => model !== undefined)
  return known?.kind === 'embedding' && (width === undefined || width === known.dimensions) ? known : undefined
}

/** How a model that scores pairs of texts wants to be used. */
export type RerankerSettings = Pick<RerankingModel, 'maxTokens'>

/**
 * Settings of a model that scores pairs. Rejects with `UNSUPPORTED` for models of other kinds and for those that tell classes instead
 * of one score, with `INTEGRITY` for files that are not JSON, with `BAD_OPTION` for a `maxTokens` that the model has no positions for.
 */
export async function readRerankerSettings(
  folder: ModelFolder,
  { maxTokens: wanted }: Pick<SettingsOverrides, 'maxTokens'>,
): Promise<RerankerSettings> {
  const { name, directory } = folder
  const files = await readFiles(directory)
  if (kindOf(folder, files) !== 'reranker') {
    throw new RagError('UNSUPPORTED', `"${name}" does not score pairs of texts.`, {
      data: { model: name },
      hint: 'Choose a cross-encoder, such as cross-encoder/ms-marco-MiniLM-L6-v2.',
    })
  }
  const labels = Object.keys(asObject(files.config.id2label)).length
  if (labels > 1) {
    throw new RagError('UNSUPPORTED', `"${name}" tells ${labels} classes apart; a reranker gives one score.`, {
      data: { model: name, labels },
      hint: 'Choose a cross-encoder with one label, such as cross-encoder/ms-marco-MiniLM-L6-v2.',
    })
  }
  const named = findKnownModel(name)
  const known = folder.byId && named?.kind === 'reranker' ? named.maxTokens : undefined
  return { maxTokens: maxTokensOf({ wanted, known, positions: positionsOf(files.config), files }) }
}

/** What kind of model lies in a folder. */
export async function readKind(folder: ModelFolder): Promise<KnownModel['kind']> {
  return kindOf(folder, await readFiles(folder.directory))
}

function kindOf({ name, byId }: ModelFolder, { config, modules }: Files): KnownModel['kind'] {
  const known = byId ? findKnownModel(name) : undefined
  if (known !== undefined) return known.kind
  const hasTable = readModules(modules).some(({ type }) => type === 'StaticEmbedding')
  if (config.model_type === 'model2vec' || hasTable) return 'static'
  const architectures = Array.isArray(config.architectures) ? config.architectures.map(String) : []
  const classifies = architectures.length > 0 && architectures.every((one) => one.endsWith('ForSequenceClassification'))
  return classifies ? 'reranker' : 'embedding'
}

function refuseOtherKinds(folder: ModelFolder, files: Files): void {
  const { name: model } = folder
  switch (kindOf(folder, files)) {
    case 'embedding':
      return
    case 'static':
      throw new RagError('UNSUPPORTED', `"${model}" is a static model: a table of token vectors, no transformer.`, {
        data: { model },
        hint: `Choose it with embedder: { kind: 'static', model: '${model}' }.`,
      })
    case 'reranker':
      throw new RagError('UNSUPPORTED', `"${model}" scores pairs of texts; it does not embed.`, {
        data: { model },
        hint: 'Choose an embedding model, such as sentence-transformers/all-MiniLM-L6-v2.',
      })
  }
}

/** A step of a sentence-transformers model. */
interface Module {
  /** `Transformer`, `Pooling`, `Normalize`, … */
  readonly type: string
  /** Folder of its configuration within the model's. */
  readonly path: string
}

function readModules(value: unknown): readonly Module[] {
  if (!Array.isArray(value)) return []
  return value.map((entry) => {
    const { type, path } = asObject(entry)
    return { type: String(type).split('.').at(-1) ?? '', path: typeof path === 'string' ? path : '' }
  })
}

/** Vectors are always brought to length 1 here, so `Normalize` asks for nothing. */
const supportedModules = new Set(['Transformer', 'Pooling', 'Normalize', 'Dropout'])

function refuseFurtherModules(modules: readonly Module[], name: string): void {
  const foreign = modules.filter(({ type }) => !supportedModules.has(type)).map(({ type }) => type)
  if (foreign.length === 0) return
  throw new RagError(
    'UNSUPPORTED',
    `"${name}" has steps after its transformer that are not supported: ${foreign.join(', ')}.`,
    {
      data: { model: name, modules: foreign },
      hint: "Export it with these steps inside the ONNX graph and give pooling: 'none', or choose another model.",
    },
  )
}

/** Pooling as the model's own configuration says. */
function poolingOf(config: Json, directory: string): Pooling {
  const modes = poolingModes(config)
  const [mode = ''] = modes
  const pooling = modes.length === 1 ? poolings.get(mode) : undefined
  if (pooling !== undefined && config.include_prompt !== false) return pooling
  const wanted = pooling === undefined ? modes.join(' + ') : `${mode} without the prompt`
  throw new RagError('UNSUPPORTED', `The model pools by "${wanted}", which is not supported.`, {
    data: { directory, modes },
    hint: "Supported are mean, cls and last-token. The option pooling overrides what the model's files say; 'none' is for graphs that pool.",
  })
}

const poolings = new Map<string, Pooling>([
  ['mean', 'mean'],
  ['cls', 'cls'],
  ['lasttoken', 'last-token'],
])

/** Newer files name the mode or modes, older ones have a switch for each; all off means mean, as it does there. */
function poolingModes(config: Json): readonly string[] {
  const { pooling_mode: named } = config
  if (typeof named === 'string') return [named]
  if (Array.isArray(named)) return named.map(String)
  const on = [...switches].filter(([key]) => config[key] === true).map(([, mode]) => mode)
  return on.length === 0 ? ['mean'] : on
}

const switches = new Map([
  ['pooling_mode_cls_token', 'cls'],
  ['pooling_mode_max_tokens', 'max'],
  ['pooling_mode_mean_tokens', 'mean'],
  ['pooling_mode_mean_sqrt_len_tokens', 'mean_sqrt_len_tokens'],
  ['pooling_mode_weightedmean_tokens', 'weightedmean'],
  ['pooling_mode_lasttoken', 'lasttoken'],
])

interface DimensionSources {
  readonly width: number | undefined
  readonly known: KnownEmbeddingModel | undefined
  readonly pooling: Pooling | undefined
  readonly modules: readonly Module[]
  readonly directory: string
}

/** Values per vector: the width of the transformer, or of the last layer behind it when the graph does all. */
async function dimensionsOf({ width, known, pooling, modules, directory }: DimensionSources): Promise<number> {
  const dense = pooling === 'none' ? modules.findLast(({ type }) => type === 'Dense') : undefined
  const config = dense === undefined ? {} : asObject(await readJson(join(directory, dense.path, 'config.json')))
  const dimensions = [config.out_features, width, known?.dimensions].find(isCount)
  if (dimensions !== undefined) return dimensions
  const file = join(directory, 'config.json')
  throw new RagError('UNSUPPORTED', `The width of the model is not told by "${file}".`, {
    data: { file, keys: ['hidden_size', 'd_model', 'dim', 'n_embd'] },
    hint: 'Check that the folder is one of a transformer that embeds texts, with its own config.json.',
  })
}

/** Prompts of `config_sentence_transformers.json`, by the names that `encode_query` and `encode_document` look for. */
function prefixesOf(config: Json): { readonly query: string; readonly passage: string } {
  const prompts = asObject(config.prompts)
  const find = (...names: readonly string[]): string =>
    [...names, String(config.default_prompt_name)]
      .map((name) => prompts[name])
      .find((text) => typeof text === 'string') ?? ''
  return { query: find('query'), passage: find('document', 'passage', 'corpus') }
}

interface TokenSources {
  readonly wanted: number | undefined
  readonly known: number | undefined
  readonly positions: number | undefined
  readonly files: Files
}

function maxTokensOf({ wanted, known, positions = Number.POSITIVE_INFINITY, files }: TokenSources): number {
  if (wanted !== undefined) {
    if (isCount(wanted) && wanted >= 2 && wanted <= positions) return wanted
    throw new RagError('BAD_OPTION', `maxTokens is a whole number from 2 to ${positions}, but is ${wanted}.`, {
      data: { maxTokens: wanted, positions },
      hint: 'Leave it out to take what the model was trained for.',
    })
  }
  const told = [known, files.sentenceBert.max_seq_length, files.tokenizer.model_max_length].find(isTokenCount)
  return Math.min(told ?? usualMaxTokens, positions)
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0
}

/** Tokenizers without a limit of their own say 1e30, or another number that no model reaches. */
function isTokenCount(value: unknown): value is number {
  return isCount(value) && value >= 2 && value <= 1_000_000
}
