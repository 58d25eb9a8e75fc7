import { RagError } from '../core/errors.js'
import type { Llm } from '../llm/types.js'
import type {
  AiSdkLlmOptions,
  BalanceLlmOptions,
  ExtractiveLlmOptions,
  FallbackLlmOptions,
  LlmChoice,
  LlmFunction,
  OpenAiCompatibleLlmOptions,
  RouteLlmOptions,
  TransformersLlmOptions,
} from './options.js'
import type { Quantization } from './presets.js'
import type { Instance } from './schema.js'

/** A model in one form: short ones written out, the caller's own under a kind of their own. */
export type GivenLlm =
  | Required<ExtractiveLlmOptions>
  | OpenAiCompatibleLlmOptions
  | AiSdkLlmOptions
  | ResolvedTransformers
  | (Omit<FallbackLlmOptions, 'models'> & { readonly models: readonly GivenLlm[] })
  | (Omit<BalanceLlmOptions, 'models'> & { readonly models: readonly GivenLlm[] })
  | (Omit<RouteLlmOptions, 'simple' | 'strong'> & { readonly simple: GivenLlm; readonly strong: GivenLlm })
  | { readonly kind: 'function'; readonly generate: LlmFunction }
  | Instance<Llm>

/** A local model, with what the top level says when it is resolved. */
type ResolvedTransformers = Omit<TransformersLlmOptions, 'quantization'> & {
  readonly quantization?: Quantization
  /** Absolute. */
  readonly modelsDir?: string
}

/** A model, complete. */
export type ResolvedLlm = GivenLlm

/** What the top level says, resolved. */
export interface LlmContext {
  readonly quantization: Quantization
  readonly modelsDir: string | undefined
}

/** Fills in what models take from the top level, and from those they stand among. */
export function resolveLlm(llm: GivenLlm, context: LlmContext): ResolvedLlm {
  switch (llm.kind) {
    case 'transformers': {
      const { modelsDir, quantization } = context
      return {
        ...llm,
        quantization: llm.quantization ?? quantization,
        ...(modelsDir === undefined ? {} : { modelsDir }),
      }
    }
    case 'fallback': {
      const last = llm.models.length - 1
      return {
        ...llm,
        models: llm.models.map((one, place) => resolveLlm(place < last ? askedOnce(one) : one, context)),
      }
    }
    case 'balance':
      return { ...llm, models: llm.models.map((one) => resolveLlm(askedOnce(one), context)) }
    case 'route':
      return { ...llm, simple: resolveLlm(llm.simple, context), strong: resolveLlm(llm.strong, context) }
    default:
      return llm
  }
}

/** Where somebody else can be asked nobody waits for a second attempt, unless the caller wants it so. */
function askedOnce(llm: GivenLlm): GivenLlm {
  const isService = llm.kind === 'openai-compatible' || llm.kind === 'ai-sdk'
  return isService && llm.maxAttempts === undefined ? { ...llm, maxAttempts: 1 } : llm
}

/** A model that follows instructions, which the extractive one does not. */
export type InstructedLlm = Exclude<ResolvedLlm, { readonly kind: 'extractive' }>

/**
 * A model that was given for another purpose than to answer, as the schema leaves it. Throws `BAD_OPTION` for one that follows no
 * instructions.
 */
export function toResolvedLlm(llm: LlmChoice, context: LlmContext): InstructedLlm {
  if (typeof llm === 'function') return { kind: 'function', generate: llm }
  if (typeof llm === 'object' && 'generate' in llm && typeof llm.generate === 'function') {
    return { kind: 'instance', instance: llm as Llm }
  }
  const model = instructed(resolveLlm(llm as GivenLlm, context))
  if (model !== undefined) return model
  throw new RagError('BAD_OPTION', 'The extractive model follows no instructions.', {
    data: { option: 'llm' },
    hint: 'Give a language model: a service, a local one, or a function.',
  })
}

/** A model without what follows no instructions, where it is one of several; `undefined` when nothing is left. */
export function instructed(llm: ResolvedLlm): InstructedLlm | undefined {
  switch (llm.kind) {
    case 'extractive':
      return undefined
    case 'fallback':
    case 'balance': {
      const models = llm.models.map(instructed).filter((one) => one !== undefined)
      if (models.length === 0) return undefined
      // The same object is the same model, which is then opened once.
      const isWhole = llm.models.every((one, place) => one === models[place])
      return isWhole ? llm : { ...llm, models }
    }
    case 'route': {
      const [simple, strong] = [instructed(llm.simple), instructed(llm.strong)]
      if (simple === llm.simple && strong === llm.strong) return llm
      return simple === undefined || strong === undefined ? (simple ?? strong) : { ...llm, simple, strong }
    }
    default:
      return llm
  }
}

/** The model that is to follow instructions. Throws `BAD_OPTION` where there is none; `option` is what asks for it. */
export function requireInstructed(
  llm: ResolvedLlm,
  { hint, option, what }: { readonly what: string; readonly option: string; readonly hint: string },
): InstructedLlm {
  const model = instructed(llm)
  if (model !== undefined) return model
  throw new RagError('BAD_OPTION', `${what} needs a language model; the extractive one follows no instructions.`, {
    data: { option },
    hint,
  })
}

/** Whether a model, or one of several, is one of the library's own that has a precision. */
export function writesHere(llm: GivenLlm): boolean {
  switch (llm.kind) {
    case 'transformers':
      return true
    case 'fallback':
    case 'balance':
      return llm.models.some(writesHere)
    case 'route':
      return writesHere(llm.simple) || writesHere(llm.strong)
    default:
      return false
  }
}
