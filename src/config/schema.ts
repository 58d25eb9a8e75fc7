import * as z from 'zod/mini'
import type { Cache } from '../cache/types.js'
import type { Chunker } from '../chunk/types.js'
import { RagError } from '../core/errors.js'
import type { UnderstandOptions } from '../core/understanding.js'
import type { Embedder, PcaBasis } from '../embed/types.js'
import type { Enricher } from '../enrich/types.js'
import type { PromptFunction } from '../llm/types.js'
import type { Reranker } from '../rerank/types.js'
import type { Store } from '../store/types.js'
import { nearest } from '../util/nearest.js'
import { adapterOptions, chunkSizes } from './adapter-options.js'
import { flag, isFunction, filledText as text, whole } from './checks.js'
import { defaults } from './defaults.js'
import { givenLlm, toLlmForm } from './llm-options.js'
import type {
  CacheOptions,
  ChunkerOptions,
  EmbedderOptions,
  EnricherOptions,
  FusionOptions,
  HashingEmbedderOptions,
  LexicalIndexOptions,
  LmdbStorage,
  MemoryStorage,
  RerankOptions,
  UltraFastRAGOptions,
  VectorIndexChoice,
} from './options.js'
import { precision } from './precision.js'
import { type PresetName, presets, type Quantization } from './presets.js'
import { type ProfileName, profiles } from './profiles.js'
import type { GivenLlm } from './resolve-llm.js'

/** The names of the adapters there are, by port: the catalogue, of which only the keys are read. */
export type AdapterNames = Readonly<
  Record<
    | 'extractors'
    | 'chunkers'
    | 'embedders'
    | 'embedderFitters'
    | 'vectorIndexes'
    | 'lexicalIndexes'
    | 'fusions'
    | 'rerankers'
    | 'llms'
    | 'enrichers'
    | 'caches'
    | 'stores',
    Readonly<Record<string, unknown>>
  >
>

/** An adapter the caller made; it stays the caller's to close. */
export interface Instance<Port> {
  readonly kind: 'instance'
  readonly instance: Port
}

type Plain = Omit<
  UltraFastRAGOptions,
  | 'storage'
  | 'chunker'
  | 'embedder'
  | 'vectorIndex'
  | 'lexicalIndex'
  | 'fusion'
  | 'rerank'
  | 'llm'
  | 'cache'
  | 'enrich'
  | 'quantization'
>

/**
 * What the caller gave, checked, in one form: short names are `{ kind }`, ready-made adapters `{ kind: 'instance' }`. Adapters that
 * every configuration has, and the options of adapters, are filled in.
 */
export interface GivenOptions extends Plain {
  readonly storage?: LmdbStorage | MemoryStorage | Instance<Store>
  readonly chunker: ChunkerOptions | Instance<Chunker>
  readonly embedder?:
    | false
    | Required<HashingEmbedderOptions>
    | Exclude<EmbedderOptions, HashingEmbedderOptions>
    | Instance<Embedder>
  readonly quantization?: Quantization
  readonly vectorIndex: VectorIndexChoice
  readonly lexicalIndex: LexicalIndexOptions
  readonly fusion?: ResolvedFusion
  readonly rerank?: false | CompleteRerankOptions | Instance<Reranker>
  readonly llm: GivenLlm
  readonly cache?: false | CacheOptions | Instance<Cache>
  readonly enrich?: false | readonly GivenEnricher[]
}

/** An enricher in one form. */
export type GivenEnricher = EnricherOptions | Instance<Enricher>

/** A way of joining the legs, complete. */
export type ResolvedFusion =
  | Extract<FusionOptions, { kind: 'adaptive' }>
  | Required<Extract<FusionOptions, { kind: 'rrf' }>>
  | Required<Extract<FusionOptions, { kind: 'weighted' }>>

/** A reranker with the defaults that are the library's and not its own. */
type CompleteRerankOptions = RerankOptions & { readonly candidates: number }

/** Embedders that presets name; whether they are there is for `resolve.ts` to say. */
const namedByPresets = new Set(Object.values(presets).map(({ embedder }) => embedder.kind))

/** Checks the shape of options: names, types and ranges, one at a time. Throws `RagError` `BAD_OPTION` that says what is allowed. */
export function parseOptions(options: unknown, names: AdapterNames): GivenOptions {
  if (!isPlainObject(options)) throw badOption([], 'must be an object of options', options)
  const { plain, instances } = separate({ ...defaults.adapters, ...withoutUndefined(options) })
  const shape = optionShape(names)
  const parsed = z.strictObject(shape).safeParse(plain)
  if (!parsed.success) throw explain(parsed.error.issues[0]!, plain, shape)
  // The shape depends on the catalogue at run time, so its type says less than the interface it was written after.
  return { ...parsed.data, ...instances } as unknown as GivenOptions
}

/** The reranker that a preset or a call names, with its defaults. */
export function parseReranker(options: RerankOptions, names: AdapterNames): CompleteRerankOptions {
  return parseOptions({ rerank: options }, names).rerank as CompleteRerankOptions
}

/** Methods by which a ready-made adapter is known. */
const portMethods = {
  storage: ['namespace', 'acquireMaintenance'],
  chunker: ['chunk'],
  embedder: ['embed'],
  rerank: ['rerank'],
  llm: ['generate'],
  cache: ['get', 'set', 'delete'],
} as const

/** What else a ready-made adapter must have: it goes into what is stored, so that one without it would be noticed too late. */
const portFacts = {
  storage: ['id'],
  chunker: ['id', 'fingerprint'],
  embedder: ['id', 'fingerprint', 'dimensions'],
  rerank: ['id'],
  llm: ['id'],
  cache: ['id'],
} as const

/** Takes ready-made adapters out, which no schema could describe, and writes short names as `{ kind }`. */
function separate(options: Readonly<Record<string, unknown>>): {
  plain: Record<string, unknown>
  instances: Record<string, unknown>
} {
  const plain: Record<string, unknown> = { ...options, llm: toLlmForm(options.llm) }
  const instances: Record<string, unknown> = {}
  for (const [port, methods] of Object.entries(portMethods)) {
    const value = plain[port]
    if (typeof value !== 'object' || value === null) continue
    const has = (method: string) => method in value && typeof value[method as keyof typeof value] === 'function'
    if (methods.every(has)) {
      const missing = portFacts[port as keyof typeof portFacts].find((fact) => !isFact(value, fact))
      if (missing !== undefined) throw badOption([port, missing], 'must be there', (value as never)[missing])
      instances[port] = { kind: 'instance', instance: value }
    } else if (!isPlainObject(value)) throw badOption([port], `must have the methods ${methods.join('(), ')}()`, value)
    else continue
    delete plain[port]
  }
  if (typeof plain.llm === 'function') {
    instances.llm = { kind: 'function', generate: plain.llm }
    delete plain.llm
  }
  for (const port of ['chunker', 'embedder', 'vectorIndex', 'lexicalIndex', 'fusion', 'rerank', 'llm', 'cache']) {
    if (typeof plain[port] === 'string') plain[port] = { kind: plain[port] }
  }
  if (plain.enrich !== undefined && plain.enrich !== false) plain.enrich = [plain.enrich].flat().map(toEnricher)
  if (typeof plain.storage === 'string') plain.storage = { kind: 'lmdb', directory: plain.storage }
  return { plain, instances }
}

/** A short form of an enricher as it is written out; what is none is left for the schema to refuse. */
function toEnricher(value: unknown): unknown {
  if (typeof value === 'string') return { kind: value }
  if (typeof value === 'function') return { kind: 'function', enrich: value }
  const isInstance = typeof value === 'object' && value !== null && 'enrich' in value && !('kind' in value)
  return isInstance ? { kind: 'instance', instance: value } : value
}

function isFact(adapter: object, fact: string): boolean {
  const value: unknown = fact in adapter ? adapter[fact as keyof typeof adapter] : undefined
  return fact === 'dimensions'
    ? Number.isInteger(value) && (value as number) > 0
    : typeof value === 'string' && value !== ''
}

/** The schema of each option. */
export function optionShape(names: AdapterNames) {
  const callable = <Value>(what: string) => z.custom<Value>(isFunction, `must be a function ${what}`)
  const embedders = { ...names.embedders, ...names.embedderFitters }
  const planned = [...namedByPresets].filter((kind) => !(kind in embedders))
  return {
    preset: z.optional(z.enum(Object.keys(presets) as [PresetName])),
    profile: z.optional(z.enum(Object.keys(profiles) as [ProfileName])),
    storage: z.optional(
      z.discriminatedUnion('kind', [
        z.strictObject({ kind: z.literal('lmdb'), directory: text, readOnly: flag }),
        z.strictObject({ kind: z.literal('memory') }),
      ]),
    ),
    readOnly: flag,
    root: z.optional(text),
    allowUrls: z.optional(z.union([z.boolean(), urlShape()])),
    language: z.optional(text),
    extractor: z.optional(
      z.strictObject({
        pdf: z.optional(z.enum(Object.keys(names.extractors) as [string])),
        layout: z.optional(z.enum(['clean', 'raw'])),
        ...adapterOptions.formats,
      }),
    ),
    chunker: z.optional(choice(names.chunkers, adapterOptions.chunkers)),
    ...chunkSizes(),
    embedder: z.optional(
      z.union([
        z.literal(false),
        choice(
          { ...embedders, ...Object.fromEntries(planned.map((kind) => [kind, undefined])) },
          {
            ...Object.fromEntries(planned.map((kind) => [kind, { model: z.optional(text) }])),
            ...adapterOptions.embedders,
            ...adapterOptions.embedderFitters,
          },
        ),
      ]),
    ),
    reduction: z.optional(z.union([z.literal(false), reductionShape()])),
    vectorIndex: z.optional(choice(names.vectorIndexes, adapterOptions.vectorIndexes)),
    lexicalIndex: z.optional(choice(names.lexicalIndexes, adapterOptions.lexicalIndexes)),
    fusion: z.optional(choice(names.fusions, adapterOptions.fusions)),
    rerank: z.optional(z.union([z.literal(false), choice(names.rerankers, adapterOptions.rerankers)])),
    llm: z.optional(choice(names.llms, adapterOptions.llms)),
    enrich: z.optional(
      z.union([
        z.literal(false),
        z.array(choice({ headings: 0, ...names.enrichers, instance: 0 }, adapterOptions.enrichers)),
      ]),
    ),
    enrichLlm: givenLlm(),
    skipEnrichment: flag,
    keywordsOnly: flag,
    maxConcurrentApiCalls: whole(1, 1_000),
    apiRateLimitDelayMs: whole(0, 600_000),
    apiRequestsPerMinute: whole(1),
    apiTokensPerMinute: whole(1),
    apiTimeoutMs: whole(1, 3_600_000),
    understand: z.optional(understandShape()),
    understandLlm: givenLlm(),
    topK: whole(1, 10_000),
    recallSampleRate: z.optional(z.number().check(z.minimum(0), z.maximum(1))),
    maxMemoryMb: whole(128, 2 ** 24),
    perDocument: whole(1),
    maxContextChars: whole(100),
    maxContextTokens: whole(25),
    prompt: z.optional(callable<PromptFunction>('that makes a prompt of its parts')),
    budgetMs: whole(1, 600_000),
    maxConcurrentQueries: whole(1),
    maxQueuedQueries: whole(0),
    batchSize: whole(1, 4_096),
    batchTimeoutMs: whole(0, 60_000),
    maxWorkers: whole(1),
    cacheEmbeddings: flag,
    cacheQueries: flag,
    cacheAnswers: flag,
    cacheTtlMs: whole(0),
    semanticCache: z.optional(z.union([z.boolean(), semanticShape()])),
    cache: z.optional(z.union([z.literal(false), choice(names.caches, adapterOptions.caches)])),
    maxTextLength: whole(0),
    quantization: z.optional(precision),
    useQuantization: flag,
    extremeMode: flag,
    modelsDir: z.optional(text),
    limits: z.optional(
      z.strictObject({
        maxFileBytes: whole(1),
        pageTimeoutMs: whole(1, 2 ** 31 - 1),
        maxArchiveEntries: whole(1),
        maxArchiveBytes: whole(1),
        maxArchiveRatio: whole(1),
        maxQueryChars: whole(1),
        maxOpenNamespaces: whole(1),
      }),
    ),
    logger: z.optional(
      z.object({
        debug: callable('(message, data)'),
        info: callable('(message, data)'),
        warn: callable('(message, data)'),
        error: callable('(message, data)'),
      }),
    ),
  } satisfies Record<keyof UltraFastRAGOptions, unknown>
}

function urlShape() {
  return z.strictObject({
    hosts: z.optional(z.array(text).check(z.minLength(1))),
    ports: z.optional(z.array(z.int().check(z.minimum(1), z.maximum(65_535))).check(z.minLength(1))),
    maxBytes: whole(1),
    timeoutMs: whole(1, 2 ** 31 - 1),
    maxRedirects: whole(0, 20),
    allowPrivateAddresses: flag,
  })
}

function understandShape() {
  return z.strictObject({
    multiQuery: z.optional(z.union([z.boolean(), z.int().check(z.minimum(1), z.maximum(8))])),
    hyde: flag,
    decompose: z.optional(z.union([z.boolean(), z.literal('conjunctions')])),
    condense: z.optional(z.union([z.boolean(), z.literal('terms')])),
    language: flag,
    timeoutMs: z.optional(z.int().check(z.minimum(1), z.maximum(600_000))),
  } satisfies Record<keyof UnderstandOptions, unknown>)
}

function semanticShape() {
  const similarity = z.optional(z.number().check(z.minimum(-1), z.maximum(1)))
  return z.strictObject({
    threshold: similarity,
    shadow: z.optional(z.boolean()),
    maxQuestions: z.optional(z.int().check(z.minimum(1), z.maximum(20_000))),
    check: z.optional(z.union([z.boolean(), z.strictObject({ from: similarity, least: z.optional(z.number()) })])),
  })
}

function reductionShape() {
  const count = z.int().check(z.minimum(1), z.maximum(65_536))
  const basis = z.custom(isBasis, 'must be a basis of fitPca()')
  return z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('cut'), dimensions: count }),
    z.strictObject({ kind: z.literal('pca'), basis }),
    z.strictObject({ kind: z.literal('sparsify'), topK: count }),
  ])
}

function isBasis(value: unknown): boolean {
  const { dimensions, from, values } = (value ?? {}) as Partial<PcaBasis>
  if (!Number.isInteger(dimensions) || !Number.isInteger(from) || !(values instanceof Float32Array)) return false
  return values.length === ((dimensions as number) + 1) * (from as number) && values.every(Number.isFinite)
}

/** One of the named adapters, each with its own options and no others. */
function choice(
  adapters: Readonly<Record<string, unknown>>,
  options: Readonly<Record<string, z.core.$ZodLooseShape | undefined>>,
) {
  const forms = Object.keys(adapters).map((kind) => z.strictObject({ kind: z.literal(kind), ...options[kind] }))
  return z.discriminatedUnion('kind', forms as [(typeof forms)[number]])
}

type Issue = z.core.$ZodIssue

/** What is wrong, in the words of the options: the path, what is allowed, and what was probably meant. */
function explain(issue: Issue, options: unknown, shape: Shape): RagError {
  const value = valueAt(options, issue.path)
  switch (issue.code) {
    case 'unrecognized_keys':
      return unknownKey([...issue.path, issue.keys[0] ?? ''], validKeys(issue.path, options, shape))
    case 'invalid_value':
      return notOneOf(issue.path, value, issue.values.map(String))
    case 'invalid_union': {
      // Present when no form had the kind that was given; the types of zod do not know it yet.
      if ('options' in issue && Array.isArray(issue.options))
        return notOneOf(issue.path, value, issue.options.map(String))
      // `embedder: false | { kind }`: what is wrong with the object says more than that it is not `false`.
      const inner = issue.errors.at(-1)?.[0]
      if (inner === undefined) return badOption(issue.path, 'is not allowed', value)
      return explain({ ...inner, path: [...issue.path, ...inner.path] } as Issue, options, shape)
    }
    case 'invalid_type':
      return badOption(issue.path, `must be ${typeNames[issue.expected] ?? issue.expected}`, value)
    case 'too_small':
      if (issue.origin === 'string') return badOption(issue.path, 'must not be empty', value)
      return badOption(issue.path, `must be at least ${issue.minimum}`, value)
    case 'too_big':
      return badOption(issue.path, `must be at most ${issue.maximum}`, value)
    default:
      return badOption(issue.path, issue.message ?? 'is not allowed', value)
  }
}

const typeNames: Readonly<Record<string, string>> = {
  int: 'a whole number',
  number: 'a number',
  string: 'a string',
  boolean: 'true or false',
  object: 'a name or an object',
}

function notOneOf(path: Path, value: unknown, allowed: readonly string[]): RagError {
  const meant = typeof value === 'string' ? nearest(value, allowed) : undefined
  return badOption(path, `must be one of ${allowed.map((name) => `"${name}"`).join(', ')}`, value, meant)
}

function unknownKey(path: Path, valid: readonly string[]): RagError {
  const key = String(path.at(-1))
  const meant = nearest(key, valid)
  return new RagError('BAD_OPTION', `Unknown option "${path.map(String).join('.')}".`, {
    data: { option: path.map(String).join('.'), valid },
    hint: meant === undefined ? `Valid are: ${valid.join(', ')}.` : `Did you mean "${meant}"?`,
  })
}

type Path = readonly PropertyKey[]

function badOption(path: Path, requirement: string, value: unknown, meant?: string): RagError {
  const option = path.map(String).join('.')
  const subject = option === '' ? 'UltraFastRAG' : `Option "${option}"`
  return new RagError('BAD_OPTION', `${subject} ${requirement}, but is ${print(value)}.`, {
    data: { option },
    ...(meant === undefined ? {} : { hint: `Did you mean "${meant}"?` }),
  })
}

/** A value short enough for a message; of an object only its kind, for it may hold anything. */
function print(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)
  if (typeof value === 'function') return 'a function'
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' && value !== null ? 'an object' : String(value)
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (inner, key) => (isPlainObject(inner) || Array.isArray(inner) ? inner[key as never] : undefined),
    value,
  )
}

/** Keys that would have been known at a path; of a choice, those of the kind that was chosen. */
function validKeys(path: Path, options: unknown, shape: Shape): string[] {
  let known: Shape = shape
  path.forEach((key, depth) => {
    const { kind } = (valueAt(options, path.slice(0, depth + 1)) ?? {}) as { kind?: unknown }
    known = shapeOf(known[String(key)], kind) ?? {}
  })
  return Object.keys(known)
}

type Shape = Readonly<Record<string, unknown>>

/** The members of the object schema behind optional, default and union; of a union the form of that kind. */
function shapeOf(schema: unknown, kind: unknown): Shape | undefined {
  const { def } = (schema as SchemaInside)._zod
  if (def.innerType !== undefined) return shapeOf(def.innerType, kind)
  if (def.getter !== undefined) return shapeOf(def.getter(), kind)
  if (def.element !== undefined) return elementsOf(def.element)
  if (def.options === undefined) return def.shape
  const forms = def.options.map((option) => shapeOf(option, kind))
  const list = forms.find((form) => form !== undefined && '0' in form)
  return list ?? forms.find((form) => (form?.kind as SchemaInside | undefined)?._zod.def.values?.includes(kind))
}

/** A list as the shape of its places. */
function elementsOf(element: unknown): Shape {
  return Object.fromEntries(Array.from({ length: 100 }, (_, place) => [place, element]))
}

/** What zod's schemas hold, as far as it is read here. */
interface SchemaInside {
  readonly _zod: {
    readonly def: {
      readonly innerType?: unknown
      /** Of a schema that is made when it is first used. */
      readonly getter?: () => unknown
      readonly element?: unknown
      readonly options?: readonly unknown[]
      readonly shape?: Shape
      readonly values?: readonly unknown[]
    }
  }
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** An option that is there and `undefined` is an option that was not given. */
function withoutUndefined(record: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined))
}
