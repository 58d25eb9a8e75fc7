import * as z from 'zod/mini'
import { hasFunction, isFilled, isFunction, record, filledText as text, whole } from './checks.js'
import { precision } from './precision.js'

/** What the caller may set of each model, by kind. */
export const llmOptions = {
  extractive: { maxSentences: z._default(z.int().check(z.minimum(1), z.maximum(20)), 3) },
  'ai-sdk': {
    ...remoteOptions(),
    model: z.custom(isAiSdkModel, 'must be a language model of the AI SDK, or the name of one for the AI Gateway'),
    providerOptions: z.optional(record),
  },
  'openai-compatible': {
    ...remoteOptions(),
    model: text,
    baseURL: z.optional(text),
    apiKey: z.optional(text),
    parameters: z.optional(record),
    client: z.optional(z.custom(isOpenAiClient, 'must be a client of the package "openai"')),
  },
  transformers: {
    model: text,
    quantization: z.optional(precision),
    revision: z.optional(text),
    maxTokens: whole(1, 100_000),
    temperature: z.optional(z.number().check(z.minimum(0), z.maximum(2))),
    topP: z.optional(z.number().check(z.gt(0), z.maximum(1))),
    device: z.optional(z.enum(['cpu', 'cuda', 'webgpu', 'coreml', 'dml'])),
    threads: whole(1, 64),
    templateOptions: z.optional(record),
  },
  fallback: { ...memberOptions(), models: members() },
  balance: {
    ...memberOptions(),
    models: members(),
    strategy: z.optional(z.enum(['least-busy', 'round-robin'])),
    maxWaitMs: whole(0, 600_000),
  },
  route: {
    simple: z.lazy(member),
    strong: z.lazy(member),
    rule: z.optional(z.custom(isFunction, 'must be a function (prompt)')),
  },
} satisfies Record<string, z.core.$ZodLooseShape>

/** Models that the caller made, in the form they have among others. */
const given = {
  function: { generate: z.custom(isFunction, 'must be a function (prompt, options)') },
  instance: { instance: z.custom(isLlm, 'must have the method generate() and an id') },
}

/** One of several models, in the form that {@link toLlmForm} gives it. */
function member(): z.ZodMiniType {
  const forms = Object.entries({ ...llmOptions, ...given }).map(([kind, shape]) =>
    z.strictObject({ kind: z.literal(kind), ...(shape as z.core.$ZodLooseShape) }),
  )
  return z.discriminatedUnion('kind', forms as [(typeof forms)[number]])
}

function members() {
  return z.array(z.lazy(member)).check(z.minLength(1))
}

/** Of models that are used together. */
function memberOptions() {
  return {
    firstTokenTimeoutMs: whole(1, 3_600_000),
    idleTimeoutMs: whole(1, 3_600_000),
    maxAnswerChars: whole(1),
    maxFailures: whole(1, 1_000),
    restMs: whole(1, 3_600_000),
  }
}

/** Of a model that is a service. */
function remoteOptions() {
  return {
    maxTokens: whole(1),
    temperature: z.optional(z.number().check(z.minimum(0), z.maximum(2))),
    topP: z.optional(z.number().check(z.gt(0), z.maximum(1))),
    stop: z.optional(z.array(text)),
    seed: whole(0),
    headers: z.optional(z.record(z.string(), z.string())),
    identity: z.optional(text),
    firstTokenTimeoutMs: whole(1, 300_000),
    idleTimeoutMs: whole(1, 300_000),
    maxAnswerChars: whole(1),
    maxAttempts: whole(1, 10),
    maxRetryAfterMs: whole(0, 600_000),
  }
}

/**
 * A model as it may be given, written out: a name and a model of the AI SDK as `{ kind }`, a list as a chain, and within these also functions
 * and ready-made models. What is none is left for the schema to refuse.
 */
export function toLlmForm(value: unknown): unknown {
  if (Array.isArray(value)) return { kind: 'fallback', models: value.map(toMember) }
  if (hasFunction(value, 'doStream')) return { kind: 'ai-sdk', model: value }
  if (typeof value !== 'object' || value === null || !('kind' in value)) return value
  const form: Record<string, unknown> = { ...value }
  if (Array.isArray(form.models)) form.models = form.models.map(toMember)
  for (const name of ['simple', 'strong']) if (form[name] !== undefined) form[name] = toMember(form[name])
  return form
}

function toMember(value: unknown): unknown {
  if (typeof value === 'string') return { kind: value }
  if (typeof value === 'function') return { kind: 'function', generate: value }
  if (hasFunction(value, 'generate')) return { kind: 'instance', instance: value }
  return toLlmForm(value)
}

/** A model for another purpose than to answer: a function or a ready-made one as it is, others in the form of {@link toLlmForm}. */
export function givenLlm() {
  const allowed = 'must be a function (prompt, options), have the method generate() and an id, or say what model it is'
  const written = z.custom(
    (value) => typeof value === 'string' || (typeof value === 'object' && value !== null),
    allowed,
  )
  return z.optional(z.union([z.custom(isLlm), z.pipe(z.pipe(written, z.transform(toMember)), member())]))
}

function isLlm(value: unknown): boolean {
  return typeof value === 'function' || (hasFunction(value, 'generate') && isFilled((value as { id?: unknown }).id))
}

function isAiSdkModel(value: unknown): boolean {
  return isFilled(value) || hasFunction(value, 'doStream')
}

function isOpenAiClient(value: unknown): boolean {
  const { chat } = (value ?? {}) as { readonly chat?: { readonly completions?: unknown } }
  return hasFunction(chat?.completions, 'create')
}
