import type { Cache, CacheEntry } from '../cache/types.js'
import { sha256Hex } from '../util/hash.js'
import { SingleFlight } from '../util/single-flight.js'
import { allFinite } from '../util/vector-math.js'
import type { Embedder, Embeddings, EmbedOptions } from './types.js'

/** Options of {@link createCachedEmbedder}. */
export interface CachedEmbedderOptions {
  /** Where vectors are kept. A failing one makes `embed()` fail: give one made by `createSafeCache`. */
  readonly cache: Cache
  /** Kinds of texts that are looked up. Default: both. */
  readonly kinds?: readonly EmbedOptions['kind'][]
  /** Milliseconds a vector is kept. Default: until there is no room. */
  readonly ttlMs?: number
  /** Told how many different texts of a call were found, and how many not. */
  readonly onLookup?: (found: { readonly hits: number; readonly misses: number }) => void
  readonly now?: () => number
}

/**
 * Looks vectors up before it has them made, and has each text of a call made once. A key is the SHA-256 of the embedder's fingerprint,
 * the kind and the text, so vectors of another model, precision, prefix or cut are never found; bytes that are no vector of this width
 * are a miss. A question that many ask at the same time is embedded once. Vectors are kept as they are, 4 bytes a value; those of failed texts are not kept. `tokens` counts what the model saw.
 */
export function createCachedEmbedder(embedder: Embedder, options: CachedEmbedderOptions): Embedder {
  const { cache, kinds = ['query', 'passage'], onLookup, ttlMs, now = Date.now } = options
  const { id, capabilities, dimensions, fingerprint } = embedder
  const flights = new SingleFlight<Embeddings>()
  const keyOf = (text: string, kind: EmbedOptions['kind']) => sha256Hex('embedding', fingerprint, kind, text)

  return {
    id,
    fingerprint,
    dimensions,
    capabilities,
    async embed(texts, embedOptions) {
      const { kind, signal } = embedOptions
      if (!kinds.includes(kind)) return embedder.embed(texts, embedOptions)
      signal?.throwIfAborted()
      const different = [...new Set(texts)]
      const keys = different.map((text) => keyOf(text, kind))
      const hits = await cache.get(keys)
      signal?.throwIfAborted()

      const vectors = new Map<string, Float32Array>()
      const missing: { readonly text: string; readonly key: string }[] = []
      for (const [place, text] of different.entries()) {
        const vector = toVector(hits[place]?.value, dimensions)
        if (vector === undefined) missing.push({ text, key: keys[place] as string })
        else vectors.set(text, vector)
      }
      onLookup?.({ hits: vectors.size, misses: missing.length })
      const [lone] = missing
      if (kind === 'query' && texts.length === 1 && lone !== undefined) {
        const { value } = await flights.run(
          lone.key,
          async (stop) => {
            const made = await embedder.embed(texts, { ...embedOptions, signal: stop })
            keep(made, missing)
            return made
          },
          signal,
        )
        return { ...value, vectors: value.vectors.slice() }
      }
      if (missing.length === different.length && different.length === texts.length) {
        // The usual first ingest: nothing is copied.
        const made = await embedder.embed(texts, embedOptions)
        keep(made, missing)
        return made
      }
      const made: Embeddings =
        missing.length === 0
          ? { vectors: new Float32Array(0), failed: [], tokens: 0 }
          : await embedder.embed(
              missing.map(({ text }) => text),
              embedOptions,
            )
      keep(made, missing)
      for (const [row, { text }] of missing.entries()) {
        vectors.set(text, made.vectors.subarray(row * dimensions, (row + 1) * dimensions))
      }
      return gather(texts, vectors, made, missing)
    },
    ...(embedder.warmUp === undefined ? {} : { warmUp: embedder.warmUp.bind(embedder) }),
    ...(embedder.stats === undefined ? {} : { stats: embedder.stats.bind(embedder) }),
    close: () => embedder.close(),
  }

  /** Nobody waits for it: what is not kept is made again. */
  function keep({ failed, vectors }: Embeddings, made: readonly { readonly key: string }[]): void {
    const failures = new Set(failed.map(({ index }) => index))
    const expiry = ttlMs === undefined ? {} : { expiresAt: now() + ttlMs }
    const entries = made.flatMap(({ key }, row): CacheEntry[] => {
      if (failures.has(row)) return []
      const { buffer, byteOffset } = vectors
      return [{ key, value: new Uint8Array(buffer, byteOffset + row * dimensions * 4, dimensions * 4), ...expiry }]
    })
    if (entries.length > 0) cache.set(entries).catch(() => {})
  }

  function gather(
    texts: readonly string[],
    vectors: ReadonlyMap<string, Float32Array>,
    made: Embeddings,
    missing: readonly { readonly text: string }[],
  ): Embeddings {
    const errors = new Map(made.failed.map(({ index, error }) => [missing[index]?.text, error]))
    const result = new Float32Array(texts.length * dimensions)
    const failed: { index: number; error: unknown }[] = []
    for (const [row, text] of texts.entries()) {
      if (errors.has(text)) failed.push({ index: row, error: errors.get(text) })
      else result.set(vectors.get(text) as Float32Array, row * dimensions)
    }
    return { vectors: result, failed, tokens: made.tokens }
  }
}

/** A copy, because the bytes may lie anywhere. `undefined`: these are not the bytes of a usable vector. */
function toVector(bytes: Uint8Array | undefined, dimensions: number): Float32Array | undefined {
  if (bytes?.length !== dimensions * 4) return undefined
  const vector = new Float32Array(bytes.slice().buffer)
  return allFinite(vector, 0, dimensions) ? vector : undefined
}
