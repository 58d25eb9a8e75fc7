import type { Embedder, EmbedderStats } from '../embed/types.js'
import type { Gauges } from '../performance/tracker.js'

/** An embedder and what it did since it was made. */
export interface EmbedderReport extends EmbedderStats {
  /** Kind of embedder. */
  readonly id: string
  readonly fingerprint: string
  readonly dimensions: number
  /** Of the time in which the model ran; 0 before it did. */
  readonly textsPerSecond: number
  readonly tokensPerSecond: number
}

const nothing: EmbedderStats = {
  texts: 0,
  tokens: 0,
  failed: 0,
  batches: 0,
  paddingWaste: 0,
  queued: 0,
  busyMs: 0,
  devices: {},
  fallbacks: 0,
  retries: 0,
}

/** All zero without an embedder, which one that was not opened yet is. */
export function reportEmbedder(embedder: Embedder | undefined): EmbedderReport {
  const { id = '', fingerprint = '', dimensions = 0 } = embedder ?? {}
  const facts = embedder?.stats?.() ?? nothing
  const perSecond = (count: number) => (facts.busyMs > 0 ? (count * 1000) / facts.busyMs : 0)
  return {
    id,
    fingerprint,
    dimensions,
    ...facts,
    textsPerSecond: perSecond(facts.texts),
    tokensPerSecond: perSecond(facts.tokens),
  }
}

/** The numbers of a report in one row. */
export function toGauges({ id: _id, fingerprint: _fingerprint, ...report }: EmbedderReport): Gauges {
  const { batchMs, devices, ...numbers } = report
  const inner = (name: string, values: Gauges = {}) =>
    Object.entries(values).map(([key, value]) => [`${name}.${key}`, value])
  return { ...numbers, ...Object.fromEntries([...inner('batchMs', batchMs), ...inner('devices', devices)]) }
}
