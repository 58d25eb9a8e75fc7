import { RagError } from '../core/errors.js'
import { nearest } from '../util/nearest.js'
import { adapterOptions } from './adapter-options.js'
import type { UltraFastRAGOptions } from './options.js'
import { parseOptions } from './schema.js'

/** How the text of a variable becomes a value; `undefined` when it does not. */
const readers = {
  text: (value: string) => value,
  number: (value: string) => (/^\d+$/.test(value) ? Number(value) : undefined),
  flag: (value: string) => flags.get(value.toLowerCase()),
}

const flags = new Map([
  ...['true', '1', 'yes', 'on'].map((word) => [word, true] as const),
  ...['false', '0', 'no', 'off'].map((word) => [word, false] as const),
])

/** Every variable, the option it sets (a path) and how it is read. */
export const environmentVariables = {
  UFRAG_PRESET: ['preset', 'text'],
  UFRAG_PROFILE: ['profile', 'text'],
  UFRAG_STORAGE: ['storage', 'text'],
  UFRAG_READ_ONLY: ['readOnly', 'flag'],
  UFRAG_ROOT: ['root', 'text'],
  UFRAG_ALLOW_URLS: ['allowUrls', 'flag'],
  UFRAG_LANGUAGE: ['language', 'text'],
  UFRAG_CHUNK_SIZE: ['chunkSize', 'number'],
  UFRAG_CHUNK_OVERLAP: ['chunkOverlap', 'number'],
  UFRAG_MIN_CHUNK_SIZE: ['minChunkSize', 'number'],
  UFRAG_MAX_CHUNKS_PER_PAGE: ['maxChunksPerPage', 'number'],
  UFRAG_SKIP_ENRICHMENT: ['skipEnrichment', 'flag'],
  UFRAG_KEYWORDS_ONLY: ['keywordsOnly', 'flag'],
  UFRAG_MAX_CONCURRENT_API_CALLS: ['maxConcurrentApiCalls', 'number'],
  UFRAG_API_RATE_LIMIT_DELAY_MS: ['apiRateLimitDelayMs', 'number'],
  UFRAG_API_REQUESTS_PER_MINUTE: ['apiRequestsPerMinute', 'number'],
  UFRAG_API_TOKENS_PER_MINUTE: ['apiTokensPerMinute', 'number'],
  UFRAG_API_TIMEOUT_MS: ['apiTimeoutMs', 'number'],
  UFRAG_TOP_K: ['topK', 'number'],
  UFRAG_PER_DOCUMENT: ['perDocument', 'number'],
  UFRAG_MAX_CONTEXT_CHARS: ['maxContextChars', 'number'],
  UFRAG_MAX_CONTEXT_TOKENS: ['maxContextTokens', 'number'],
  UFRAG_BUDGET_MS: ['budgetMs', 'number'],
  UFRAG_MAX_CONCURRENT_QUERIES: ['maxConcurrentQueries', 'number'],
  UFRAG_MAX_QUEUED_QUERIES: ['maxQueuedQueries', 'number'],
  UFRAG_BATCH_SIZE: ['batchSize', 'number'],
  UFRAG_BATCH_TIMEOUT_MS: ['batchTimeoutMs', 'number'],
  UFRAG_MAX_WORKERS: ['maxWorkers', 'number'],
  UFRAG_CACHE_EMBEDDINGS: ['cacheEmbeddings', 'flag'],
  UFRAG_CACHE_QUERIES: ['cacheQueries', 'flag'],
  UFRAG_CACHE_ANSWERS: ['cacheAnswers', 'flag'],
  UFRAG_CACHE_TTL_MS: ['cacheTtlMs', 'number'],
  UFRAG_MAX_TEXT_LENGTH: ['maxTextLength', 'number'],
  UFRAG_QUANTIZATION: ['quantization', 'text'],
  UFRAG_USE_QUANTIZATION: ['useQuantization', 'flag'],
  UFRAG_EXTREME_MODE: ['extremeMode', 'flag'],
  UFRAG_MODELS: ['modelsDir', 'text'],
  UFRAG_MAX_MEMORY_MB: ['maxMemoryMb', 'number'],
  UFRAG_MAX_FILE_BYTES: ['limits.maxFileBytes', 'number'],
  UFRAG_PAGE_TIMEOUT_MS: ['limits.pageTimeoutMs', 'number'],
  UFRAG_MAX_ARCHIVE_ENTRIES: ['limits.maxArchiveEntries', 'number'],
  UFRAG_MAX_ARCHIVE_BYTES: ['limits.maxArchiveBytes', 'number'],
  UFRAG_MAX_ARCHIVE_RATIO: ['limits.maxArchiveRatio', 'number'],
  UFRAG_MAX_QUERY_CHARS: ['limits.maxQueryChars', 'number'],
  UFRAG_MAX_OPEN_NAMESPACES: ['limits.maxOpenNamespaces', 'number'],
} as const satisfies Record<string, readonly [path: string, reader: keyof typeof readers]>

/**
 * Options from `UFRAG_*` variables, to be spread under your own: `new UltraFastRAG({ ...configFromEnv(), topK: 3 })`. Empty variables
 * count as absent. Throws `RagError` `BAD_OPTION` that names the variable when a value is not what the option takes, or when a
 * variable looks like a mistyped one; other `UFRAG_*` variables are left alone.
 */
export function configFromEnv(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): UltraFastRAGOptions {
  refuseMistyped(Object.keys(environment))
  const options: Record<string, unknown> = {}
  for (const [variable, [path, reader]] of Object.entries(environmentVariables)) {
    const text = environment[variable]?.trim()
    if (text === undefined || text === '') continue
    const [outer, inner] = path.split('.') as [string, string?]
    const value = read(variable, text, path, reader)
    options[outer] = inner === undefined ? value : { ...(options[outer] as object | undefined), [inner]: value }
  }
  // Each value has just been checked against the schema, under its own name.
  return options as UltraFastRAGOptions
}

function refuseMistyped(names: readonly string[]): void {
  const known = Object.keys(environmentVariables)
  for (const name of names) {
    if (!name.startsWith('UFRAG_') || known.includes(name)) continue
    // The shared prefix must not make strangers look alike.
    const meant = nearest(
      name.slice(6),
      known.map((variable) => variable.slice(6)),
    )
    if (meant === undefined) continue
    throw new RagError('BAD_OPTION', `Environment variable ${name} is not known.`, {
      data: { variable: name },
      hint: `Did you mean UFRAG_${meant}?`,
    })
  }
}

function read(variable: string, text: string, path: string, reader: keyof typeof readers): unknown {
  const value = readers[reader](text)
  if (value === undefined) {
    const wanted = reader === 'number' ? 'a whole number' : 'true or false'
    throw badVariable(variable, `Option "${path}" must be ${wanted}.`)
  }
  const [outer, inner] = path.split('.') as [string, string?]
  try {
    parseOptions({ [outer]: inner === undefined ? value : { [inner]: value } }, anyNames)
  } catch (error) {
    if (!RagError.isInstance(error)) throw error
    throw badVariable(variable, error.message, error)
  }
  return value
}

/** No variable chooses an adapter, so any names will do. */
const anyNames = { ...adapterOptions, extractors: { pdfium: {} }, stores: {} }

function badVariable(variable: string, reason: string, cause?: RagError): RagError {
  return new RagError('BAD_OPTION', `Environment variable ${variable}: ${reason}`, {
    data: { ...cause?.data, variable },
    cause,
    ...(cause?.hint === undefined ? {} : { hint: cause.hint }),
  })
}
