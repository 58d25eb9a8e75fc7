import { RagError } from '../core/errors.js'
import type { Reranker } from '../rerank/types.js'
import { defaults } from './defaults.js'
import type { CrossEncoderRerankOptions, LlmRerankOptions, MmrRerankOptions, RerankOptions } from './options.js'
import { type PresetName, presets, type Quantization } from './presets.js'
import type { ResolvedConfig } from './resolve.js'
import { type InstructedLlm, requireInstructed, toResolvedLlm } from './resolve-llm.js'
import { type AdapterNames, type GivenOptions, type Instance, parseReranker } from './schema.js'

/** A reranker of the catalogue with its options, those of the top level among them. What is absent is the adapter's own default. */
export type ResolvedReranker =
  | Complete<MmrRerankOptions>
  | Complete<CrossEncoderRerankOptions & ResolvedModel>
  | Complete<Omit<LlmRerankOptions, 'llm'> & { readonly llm: InstructedLlm }>

type Complete<Options> = Options & { readonly candidates: number }

interface ResolvedModel {
  readonly model: string
  readonly quantization: Quantization
  /** Absolute. */
  readonly modelsDir?: string
  readonly maxWorkers: number
}

/** What the top level says, resolved. */
export interface RerankerContext {
  readonly quantization: Quantization
  readonly maxWorkers: number
  readonly modelsDir: string | undefined
  /** What writes the answers. */
  readonly llm: ResolvedConfig['llm']
}

/** The reranker that was chosen, by the caller or by the preset. Throws `UNSUPPORTED` when this version does not have it. */
export function resolveReranker(
  given: GivenOptions,
  { preset, ...context }: RerankerContext & { readonly preset: PresetName },
  catalogue: AdapterNames,
): false | ResolvedReranker | Instance<Reranker> {
  if (given.rerank === false || given.rerank?.kind === 'instance') return given.rerank
  if (given.rerank !== undefined) return withTopLevel(given.rerank, context)
  const { rerank } = presets[preset]
  if (rerank === false) return false
  if (rerank.kind in catalogue.rerankers) return completeReranker(rerank as RerankOptions, context, catalogue)
  throw new RagError(
    'UNSUPPORTED',
    `The preset uses the reranker "${rerank.kind}", which this version does not have.`,
    {
      data: { option: 'rerank', adapter: rerank.kind, available: Object.keys(catalogue.rerankers) },
      hint: 'Pass rerank: false.',
    },
  )
}

/** A reranker that a preset or a call names. */
export function completeReranker(
  options: RerankOptions,
  context: RerankerContext,
  catalogue: AdapterNames,
): ResolvedReranker {
  return withTopLevel(parseReranker(options, catalogue), context)
}

function withTopLevel(chosen: Complete<RerankOptions>, context: RerankerContext): ResolvedReranker {
  const { llm, maxWorkers, modelsDir, quantization } = context
  switch (chosen.kind) {
    case 'llm':
      return { ...chosen, llm: chosen.llm === undefined ? requireModel(llm) : toResolvedLlm(chosen.llm, context) }
    case 'mmr':
      return chosen
    case 'cross-encoder':
      return {
        ...chosen,
        model: chosen.model ?? defaults.models['cross-encoder'],
        // Parsed: "none" is "fp32" by now.
        quantization: (chosen.quantization as Quantization | undefined) ?? quantization,
        maxWorkers,
        ...(modelsDir === undefined ? {} : { modelsDir }),
      }
    default:
      return chosen satisfies never
  }
}

function requireModel(llm: ResolvedConfig['llm']): InstructedLlm {
  return requireInstructed(llm, {
    what: 'Reranking with "llm"',
    option: 'rerank',
    hint: 'Set the option "llm", or pass rerank: { kind: "llm", llm }.',
  })
}
