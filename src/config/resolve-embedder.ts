import { RagError } from '../core/errors.js'
import type { Embedder } from '../embed/types.js'
import { contradiction } from './contradiction.js'
import { defaults } from './defaults.js'
import type {
  AiSdkEmbedderOptions,
  HashingEmbedderOptions,
  LatentSemanticEmbedderOptions,
  OnnxEmbedderOptions,
  OpenAiCompatibleEmbedderOptions,
  StaticEmbedderOptions,
} from './options.js'
import { type PresetName, presets, type Quantization } from './presets.js'
import { writesHere } from './resolve-llm.js'
import type { AdapterNames, GivenOptions, Instance } from './schema.js'

/** An embedder of the catalogue with its options, those of the top level among them. What is absent is the adapter's own default. */
export type ResolvedEmbedder =
  | Required<HashingEmbedderOptions>
  | (LatentSemanticEmbedderOptions & { readonly workers: number })
  | (OnnxEmbedderOptions & ResolvedModel & { readonly maxWorkers: number })
  | (StaticEmbedderOptions & ResolvedModel & { readonly workers: number })
  | AiSdkEmbedderOptions
  | OpenAiCompatibleEmbedderOptions

interface ResolvedModel {
  readonly model: string
  readonly quantization: Quantization
  /** Absolute. */
  readonly modelsDir?: string
}

/** What the top level says, resolved. */
export interface EmbedderContext {
  readonly preset: PresetName
  readonly quantization: Quantization
  readonly maxWorkers: number
  readonly modelsDir: string | undefined
  /** Of the caller or the profile. */
  readonly batchSize: number | undefined
}

/** Texts per call that a service can be asked for. */
const maxItemsPerCall = 2_048

/** Threads that keep up with an ingest: one embeds some 20,000 chunks per second. */
const latentSemanticWorkers = 2

/** The embedder that was chosen, by the caller or by the preset. Throws `UNSUPPORTED` when this version does not have it. */
export function resolveEmbedder(
  given: GivenOptions,
  context: EmbedderContext,
  catalogue: AdapterNames,
): false | ResolvedEmbedder | Instance<Embedder> {
  if (given.embedder === false || given.embedder?.kind === 'instance') return given.embedder
  const own = presets[context.preset].embedder
  const chosen = given.embedder ?? own
  if (!(chosen.kind in catalogue.embedders) && !(chosen.kind in catalogue.embedderFitters)) {
    throw missing(chosen.kind, given, context.preset, catalogue)
  }
  // A preset's batch size goes with its own embedder: another may be on a device that is not filled by so little.
  const batchSize = context.batchSize ?? (given.embedder === undefined ? presets[context.preset].batchSize : undefined)
  return withTopLevel(chosen as Chosen, { ...context, batchSize })
}

type Chosen = Exclude<GivenOptions['embedder'], false | undefined | { readonly kind: 'instance' }>

function withTopLevel(chosen: Chosen, context: EmbedderContext): ResolvedEmbedder {
  const { batchSize, maxWorkers } = context
  switch (chosen.kind) {
    case 'hashing':
      return chosen
    case 'latent-semantic':
      return { ...chosen, workers: Math.min(chosen.workers ?? latentSemanticWorkers, maxWorkers) }
    case 'onnx':
      return {
        ...chosen,
        ...modelOf(chosen, context),
        maxWorkers,
        ...(chosen.batchSize === undefined && batchSize !== undefined ? { batchSize } : {}),
      }
    case 'static':
      return { ...chosen, ...modelOf(chosen, context), workers: chosen.workers ?? maxWorkers }
    case 'ai-sdk':
    case 'openai-compatible':
      if (chosen.maxItemsPerCall !== undefined || batchSize === undefined) return chosen
      return { ...chosen, maxItemsPerCall: Math.min(batchSize, maxItemsPerCall) }
    default:
      return chosen satisfies never
  }
}

function modelOf(
  chosen: Extract<Chosen, { readonly kind: 'onnx' | 'static' }>,
  { modelsDir, preset, quantization }: EmbedderContext,
): ResolvedModel {
  const own = presets[preset].embedder
  return {
    model: chosen.model ?? (own.kind === chosen.kind ? own.model : undefined) ?? defaults.models[chosen.kind],
    quantization: (chosen.quantization as Quantization | undefined) ?? quantization,
    ...(modelsDir === undefined ? {} : { modelsDir }),
  }
}

function missing(kind: string, given: GivenOptions, preset: PresetName, catalogue: AdapterNames): RagError {
  const available = [...Object.keys(catalogue.embedders), ...Object.keys(catalogue.embedderFitters)]
  const source = given.embedder === undefined ? `The preset "${preset}" uses` : 'Option "embedder" names'
  return new RagError('UNSUPPORTED', `${source} the embedder "${kind}", which this version does not have.`, {
    data: { option: 'embedder', adapter: kind, available },
    hint: `Pass embedder: false (words alone), ${available.map((name) => `"${name}"`).join(', ')}, or an Embedder of your own.`,
  })
}

/** Throws `BAD_OPTION` where the options of the embedder and those of the top level say different things. */
export function refuseEmbedderContradictions(given: GivenOptions, preset: PresetName): void {
  const { batchSize, embedder, maxWorkers, quantization, useQuantization } = given
  if (useQuantization === true && quantization === 'fp32') contradiction('useQuantization', 'quantization')
  if (useQuantization === false && quantization !== undefined && quantization !== 'fp32') {
    contradiction('useQuantization', 'quantization')
  }
  const precision = quantization !== undefined ? 'quantization' : useQuantization !== undefined ? 'useQuantization' : ''
  // Precision may be meant for a neural reranker, or for a model that writes here.
  const reranks = given.rerank !== undefined && given.rerank !== false && given.rerank.kind === 'cross-encoder'
  const isMeantForOthers = reranks || writesHere(given.llm)
  if (precision !== '' && embedder === undefined && preset === 'default' && !isMeantForOthers) {
    contradiction(
      precision,
      'preset',
      'The preset "default" has no neural embedder: choose another preset or an embedder.',
    )
  }
  if (embedder === undefined) return
  const hasPrecision = embedder !== false && (embedder.kind === 'onnx' || embedder.kind === 'static')
  if (
    precision !== '' &&
    !hasPrecision &&
    !isMeantForOthers &&
    (embedder === false || embedder.kind !== 'latent-semantic')
  ) {
    contradiction(precision, 'embedder', "Precision is a matter of the library's own neural embedders.")
  }
  if (!hasPrecision) {
    const isRemote = embedder !== false && (embedder.kind === 'ai-sdk' || embedder.kind === 'openai-compatible')
    if (isRemote && differ(batchSize, embedder.maxItemsPerCall)) contradiction('batchSize', 'embedder.maxItemsPerCall')
    return
  }
  if (differ(quantization, embedder.quantization)) contradiction('quantization', 'embedder.quantization')
  if (embedder.quantization !== undefined && useQuantization === (embedder.quantization === 'fp32')) {
    contradiction('useQuantization', 'embedder.quantization')
  }
  if (embedder.kind === 'onnx' && differ(batchSize, embedder.batchSize))
    contradiction('batchSize', 'embedder.batchSize')
  if (maxWorkers !== undefined && embedder.workers !== undefined && embedder.workers > maxWorkers) {
    contradiction('maxWorkers', 'embedder.workers')
  }
}

function differ<Value>(one: Value | undefined, other: Value | undefined): boolean {
  return one !== undefined && other !== undefined && one !== other
}
