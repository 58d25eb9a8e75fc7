import type { ResolvedLlm } from '../config/resolve-llm.js'
import type { Closable, Logger } from '../core/lifecycle.js'
import { createFunctionLlm } from '../llm/function.js'
import type { Llm } from '../llm/types.js'
import { sha256Hex } from '../util/hash.js'
import { stableJson } from '../util/stable-json.js'
import { catalogue } from './catalogue.js'

/** Opens models. The same object is the same model: whoever asks for it first has it opened, and all others share it. */
export type OpenLlm = (llm: ResolvedLlm) => Promise<Llm>

/** `part` keeps what it opens, to close it with everything else. */
export function createLlms(
  { logger }: { readonly logger: Logger },
  part: <Part extends Closable>(open: () => Promise<Part>) => () => Promise<Part>,
): OpenLlm {
  const opened = new Map<ResolvedLlm, () => Promise<Llm>>()
  const openOnce = (llm: ResolvedLlm): (() => Promise<Llm>) => {
    const known = opened.get(llm) ?? part(() => open(llm))
    opened.set(llm, known)
    return known
  }
  return (llm) => openOnce(llm)()

  async function open(llm: ResolvedLlm): Promise<Llm> {
    switch (llm.kind) {
      case 'instance':
        return checked(llm.instance)
      case 'function':
        return createFunctionLlm(llm.generate)
      case 'extractive':
        return catalogue.llms.extractive({ maxSentences: llm.maxSentences })
      case 'ai-sdk': {
        const { kind, ...options } = llm
        return catalogue.llms[kind](options)
      }
      case 'openai-compatible': {
        const { kind, ...options } = llm
        return catalogue.llms[kind](options)
      }
      case 'transformers': {
        const { kind, ...options } = llm
        return catalogue.llms[kind]({ ...options, logger })
      }
      case 'fallback': {
        const { kind, models, ...options } = llm
        return catalogue.llms[kind]({ ...options, models: models.map(openOnce), logger })
      }
      case 'balance': {
        const { kind, models, ...options } = llm
        return catalogue.llms[kind]({ ...options, models: models.map(openOnce) })
      }
      case 'route': {
        const { kind, simple, strong, ...options } = llm
        return catalogue.llms[kind]({ ...options, simple: openOnce(simple), strong: openOnce(strong) })
      }
      default:
        return llm satisfies never
    }
  }
}

/** A model that the caller made. It is not believed, and stays the caller's to close. */
function checked(instance: Llm): Llm {
  const llm = createFunctionLlm((prompt, options) => instance.generate(prompt, options), { id: instance.id })
  if (typeof instance.warmUp !== 'function') return llm
  return { ...llm, warmUp: async (options) => instance.warmUp?.(options) }
}

/** What does not change what a model writes, or must not be written down. */
const unshaping: ReadonlySet<string> = new Set([
  'apiKey',
  'headers',
  'client',
  'firstTokenTimeoutMs',
  'idleTimeoutMs',
  'maxAttempts',
  'maxRetryAfterMs',
  'maxFailures',
  'restMs',
  'maxWaitMs',
  'strategy',
  'threads',
  'modelsDir',
])

/**
 * Names a model and its parameters, before it is opened: whatever changes what it writes changes this. What a function does nobody can tell;
 * `ofFunction` says what stands for it.
 */
export function llmFingerprint(
  llm: ResolvedLlm,
  ofFunction: (run: (...values: never[]) => unknown) => string = sourceHash,
): string {
  return sha256Hex(stableJson(describe(llm, ofFunction)))
}

function describe(llm: ResolvedLlm, ofFunction: (run: (...values: never[]) => unknown) => string): unknown {
  const inner = (one: ResolvedLlm) => describe(one, ofFunction)
  const shaping = Object.fromEntries(Object.entries(llm).filter(([name]) => !unshaping.has(name)))
  switch (llm.kind) {
    case 'instance':
      return ['instance', llm.instance.id, llm.instance.fingerprint ?? null]
    case 'function':
      return ['function', ofFunction(llm.generate)]
    case 'ai-sdk': {
      const { identity, model } = llm
      if (identity !== undefined) return { ...shaping, model: null }
      return { ...shaping, model: typeof model === 'string' ? model : [model.provider, model.modelId] }
    }
    case 'openai-compatible':
      // An identity stands for model and address: it stays when these change.
      if (llm.identity !== undefined) return { ...shaping, model: null, baseURL: null }
      return { ...shaping, baseURL: llm.baseURL ?? llm.client?.baseURL ?? null }
    case 'fallback':
    case 'balance':
      return { ...shaping, models: llm.models.map(inner) }
    case 'route': {
      const { rule, simple, strong } = llm
      const chosenBy = rule === undefined ? null : ofFunction(rule)
      return { ...shaping, simple: inner(simple), strong: inner(strong), rule: chosenBy }
    }
    default:
      return shaping
  }
}

/** Tells a function from another one, in every process that runs the same code; not what it has closed over. */
export function sourceHash(run: (...values: never[]) => unknown): string {
  return sha256Hex(String(run)).slice(0, 16)
}

/** Whether others can know what it writes: a function is only known to this process. */
export function isKnownElsewhere(llm: ResolvedLlm): boolean {
  switch (llm.kind) {
    case 'function':
      return false
    case 'fallback':
    case 'balance':
      return llm.models.every(isKnownElsewhere)
    case 'route':
      return llm.rule === undefined && isKnownElsewhere(llm.simple) && isKnownElsewhere(llm.strong)
    default:
      return true
  }
}

/** Whether everything it is told stands in the prompt's text; the extractive model looks at scores as well. */
export function readsTextOnly(llm: ResolvedLlm): boolean {
  switch (llm.kind) {
    case 'extractive':
      return false
    case 'fallback':
    case 'balance':
      return llm.models.every(readsTextOnly)
    case 'route':
      return readsTextOnly(llm.simple) && readsTextOnly(llm.strong)
    default:
      return true
  }
}
