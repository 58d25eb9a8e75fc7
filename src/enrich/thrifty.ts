import type { Cache } from '../cache/types.js'
import { followSignal } from '../util/abort.js'
import { sha256Hex } from '../util/hash.js'
import { SingleFlight } from '../util/single-flight.js'
import { stableJson } from '../util/stable-json.js'
import type { EnrichContext, Enricher, Enrichments, EnrichPassage } from './types.js'

/** Options of {@link createThriftyEnricher}. */
export interface ThriftyOptions {
  /** Absent: what was made is not kept. */
  readonly cache: Cache | undefined
  /**
   * Lets calls in, so many at once. What a call has made is kept before the next takes its place: a process that is killed loses no more
   * answers than calls at once, however slow the cache is. Default: all at once.
   */
  readonly inTurn?: <Result>(work: () => Promise<Result>, signal: AbortSignal) => Promise<Result>
  /** Told how many passages were found in the cache and how many were not, at each look-up. */
  readonly onLookup?: (counts: { readonly hits: number; readonly misses: number }) => void
}

/**
 * Asks an enricher about nothing twice: what it made is kept by content (its fingerprint and all that it reads of a passage), passages
 * that are the same share an answer, also while it is under way, and the rest is asked for in calls of `batchSize`. What a call has
 * made is kept before anything else is done with it, so that whoever stops, or dies, finds it again; what a stand-in made is used and
 * not kept. A call that fails is the failure of its passages alone.
 */
export function createThriftyEnricher(
  enricher: Enricher,
  { cache, inTurn = (work) => work(), onLookup }: ThriftyOptions,
): Enricher {
  const { id, capabilities, fingerprint } = enricher
  const reads = new Set(capabilities.reads)
  const flights = new SingleFlight<Enrichments>()

  return {
    id,
    fingerprint,
    capabilities,
    async enrich(passages, { signal }) {
      signal?.throwIfAborted()
      // Each call listens, and there may be hundreds.
      const own = followSignal(signal)
      try {
        return await enrichOnce(passages, own.signal)
      } finally {
        own.dispose()
      }
    },
    close: () => enricher.close(),
  }

  async function enrichOnce(passages: readonly EnrichPassage[], signal: AbortSignal): Promise<Enrichments> {
    const seen = passages.map((passage) => withoutUnread(passage, reads))
    const keys = seen.map((passage) => sha256Hex('enrichment', fingerprint, stableJson(passage)))
    const different = new Map(keys.map((key, place) => [key, seen[place] as EnrichPassage]))
    const made = await lookUp([...different.keys()])
    signal.throwIfAborted()
    const missing = [...different].filter(([key]) => !made.has(key))
    onLookup?.({ hits: made.size, misses: missing.length })
    const failures = new Map<string, unknown>()
    await Promise.all(
      batchesOf(missing, capabilities.batchSize).map(async (batch) => {
        try {
          const { lines, failed } = await ask(batch, signal)
          const errors = new Map(failed.map(({ index, error }) => [index, error]))
          for (const [place, [key]] of batch.entries()) {
            if (errors.has(place)) failures.set(key, errors.get(place))
            else made.set(key, lines[place] as readonly string[])
          }
        } catch (error) {
          signal.throwIfAborted()
          for (const [key] of batch) failures.set(key, error)
        }
      }),
    )
    return {
      lines: keys.map((key) => made.get(key) ?? []),
      failed: keys.flatMap((key, index) => (failures.has(key) ? [{ index, error: failures.get(key) }] : [])),
    }
  }

  async function lookUp(keys: readonly string[]): Promise<Map<string, readonly string[]>> {
    const found = new Map<string, readonly string[]>()
    // What the cache has to say against it is its own affair: then it is asked for.
    const hits = (await cache?.get(keys).catch(() => undefined)) ?? []
    for (const [place, key] of keys.entries()) {
      const lines = toLines(hits[place]?.value)
      if (lines !== undefined) found.set(key, lines)
    }
    return found
  }

  async function ask(batch: readonly Keyed[], signal: AbortSignal): Promise<Enrichments> {
    const name = sha256Hex(...batch.map(([key]) => key))
    const { value } = await flights.run(
      name,
      (stop) =>
        inTurn(async () => {
          const passages = batch.map(([, passage]) => passage)
          const made = await enricher.enrich(passages, { signal: stop })
          await keep(batch, made)
          return made
        }, stop),
      signal,
    )
    return value
  }

  async function keep(batch: readonly Keyed[], { failed, lines, passing = [] }: Enrichments): Promise<void> {
    const without = new Set([...failed.map(({ index }) => index), ...passing])
    const entries = batch.flatMap(([key], place) =>
      without.has(place) ? [] : [{ key, value: encoder.encode(JSON.stringify(lines[place])) }],
    )
    // What is not kept is asked for again.
    if (entries.length > 0) await cache?.set(entries).catch(() => {})
  }
}

type Keyed = readonly [key: string, passage: EnrichPassage]

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** What is not read must not tell two passages apart. */
function withoutUnread(passage: EnrichPassage, reads: ReadonlySet<EnrichContext>): EnrichPassage {
  const { beginning, headings, language, text, title, before, after } = passage
  return {
    text,
    title: reads.has('title') ? title : '',
    headings: reads.has('headings') ? headings : [],
    language: reads.has('language') ? language : '',
    before: reads.has('around') ? before : '',
    after: reads.has('around') ? after : '',
    beginning: reads.has('beginning') ? beginning : '',
  }
}

/** Lines as they were kept. `undefined`: these are not the bytes of any. */
function toLines(bytes: Uint8Array | undefined): readonly string[] | undefined {
  if (bytes === undefined) return undefined
  try {
    const lines: unknown = JSON.parse(decoder.decode(bytes))
    return Array.isArray(lines) && lines.every((line) => typeof line === 'string') ? lines : undefined
  } catch {
    // Somebody else's bytes: made anew.
    return undefined
  }
}

function batchesOf<Item>(items: readonly Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, batch) =>
    items.slice(batch * size, (batch + 1) * size),
  )
}
