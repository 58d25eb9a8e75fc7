import type { Closable } from '../core/lifecycle.js'

/** Turns texts into unit-length vectors. */
export interface Embedder extends Closable {
  /** Kind of embedder, for people; what tells two apart is the fingerprint. */
  readonly id: string
  /** Model, revision, precision, pooling, prefix, padding policy and dimensions: whatever changes the vectors changes this. */
  readonly fingerprint: string
  /** Values per vector. */
  readonly dimensions: number
  readonly capabilities: EmbedderCapabilities
  /**
   * Embeds any number of texts, in their order. One text that cannot be embedded fails alone (see `failed`); the call rejects when
   * the fault is no text's (an outage, a wrong key): with `signal.reason`, `PROVIDER`, `TIMEOUT` or `CLOSED`.
   */
  embed(texts: readonly string[], options: EmbedOptions): Promise<Embeddings>
  /**
   * Loads what the first call of this kind would load; without a kind, the first of each. Concurrent callers share one load; one that
   * failed is tried again. Absent: nothing to load.
   */
  warmUp?(options?: WarmUpOptions): Promise<void>
  /** What it did so far. Absent: it does not count. */
  stats?(): EmbedderStats
  /** Measures how many tokens a pass of its model best has, and keeps to that from then on. Absent: there is nothing to measure. */
  autoTune?(options?: AutoTuneOptions): Promise<AutoTuneResult>
}

/** Options of {@link Embedder.autoTune}. */
export interface AutoTuneOptions {
  readonly signal?: AbortSignal | undefined
  /** Texts like those that will be embedded. They are used as often as it takes. Default: made-up ones of 8 to 120 words. */
  readonly sample?: readonly string[] | undefined
}

/** What {@link Embedder.autoTune} found. */
export interface AutoTuneResult {
  /** Every budget that was tried, in the order it was. */
  readonly table: readonly AutoTuneRow[]
  /** The one to use, by kind of device (`'cpu'`, `'cuda'`). */
  readonly best: Readonly<Record<string, AutoTuneRow>>
}

/** Speed with one budget. */
export interface AutoTuneRow {
  /** Kind of device. */
  readonly device: string
  /** Tokens in one pass of the model, padding included. */
  readonly maxBatchTokens: number
  /** Without padding; all devices of the kind together. */
  readonly tokensPerSecond: number
  /** Share of padding in what was computed, 0 to 1. */
  readonly paddingWaste: number
  /** A device had no memory for it. */
  readonly refused: boolean
}

/** Options of {@link Embedder.warmUp}. */
export interface WarmUpOptions {
  readonly kind?: EmbedOptions['kind']
  readonly signal?: AbortSignal
}

/** What an {@link Embedder} did since it was made. */
export interface EmbedderStats {
  /** Texts embedded, and tokens the model saw of them. */
  readonly texts: number
  readonly tokens: number
  readonly failed: number
  /** Calls of the model. */
  readonly batches: number
  /** Share of what the model computed that was filling, 0 to 1. */
  readonly paddingWaste: number
  /** Texts that wait now. */
  readonly queued: number
  /** Milliseconds in which at least one call of the model ran. */
  readonly busyMs: number
  /** Milliseconds of one call of the model. Absent: it does not measure them. */
  readonly batchMs?: { readonly p50: number; readonly p95: number }
  /** Share of the texts by device (`'cpu:0'`, `'cuda:1'`) or endpoint; they add up to 1. */
  readonly devices: Readonly<Record<string, number>>
  /** Devices that were given up for the next on their list, and calls that were tried again. */
  readonly fallbacks: number
  readonly retries: number
}

/** What the pipeline must know about an embedder to plan around it. */
export interface EmbedderCapabilities {
  /** It is fitted on the corpus: its vectors are derived data and never stored. */
  readonly fitted: boolean
  /** Texts per call that it likes best. */
  readonly batchSize: number
  /**
   * Calls at once, of up to `batchSize` texts or a larger piece of one document, that keep it busy: the more, the better it can sort and
   * fill its batches. Small documents share calls. Absent: one more than there are worker threads.
   */
  readonly concurrency?: number
}

/** Options of {@link Embedder.embed}. */
export interface EmbedOptions {
  /** Some models treat questions and passages differently. */
  readonly kind: 'query' | 'passage'
  /** Stops soon after it fires: the call rejects with `signal.reason`. */
  readonly signal?: AbortSignal
}

/** What an embedder returns. */
export interface Embeddings {
  /** `texts.length x dimensions`, row by row, unit length; a failed row is all zero and never stored. */
  readonly vectors: Float32Array
  /** Texts that were not embedded, by their place, each at most once, and why. */
  readonly failed: readonly { readonly index: number; readonly error: unknown }[]
  /** Tokens seen by the model; 0 when it has none. */
  readonly tokens: number
}

/** Learns from a corpus how to embed its texts. What it learns is derived data: a corpus that has changed is fitted anew. */
export interface EmbedderFitter extends Closable {
  readonly id: string
  /** Changes whenever the same sample would be fitted otherwise: a snapshot with another one cannot be restored. */
  readonly fingerprint: string
  /** Values per vector at most: what is learnt from little has fewer. */
  readonly dimensions: number
  /**
   * Learns from a sample of a corpus, which comes in groups of parts; the same parts in the same order give the same result. Rejects
   * with `EMPTY` when there is nothing to learn from, with `signal.reason` soon after an abort. The memory of the parts is the
   * fitter's from now on.
   */
  fit(
    sample: Iterable<readonly SamplePart[]> | AsyncIterable<readonly SamplePart[]>,
    options: FitOptions,
  ): Promise<FittedEmbedder>
  /** Opens what {@link FittedEmbedder.snapshot} gave. Rejects with `INTEGRITY`, `FINGERPRINT` or `UNSUPPORTED_VERSION`. */
  restore(snapshot: Uint8Array): Promise<FittedEmbedder>
}

/** Options of {@link EmbedderFitter.fit}. */
export interface FitOptions {
  /** Chunks and documents of the whole corpus, of which the sample is a part. */
  readonly corpusChunks: number
  readonly corpusDocuments: number
  readonly signal?: AbortSignal
}

/** An embedder that was fitted. It never changes: another fit is another embedder, with another fingerprint. */
export interface FittedEmbedder extends Embedder {
  /** Chunks that the corpus had when it was fitted. */
  readonly corpusChunks: number
  /** How much each leg of the search is worth on this corpus. */
  readonly weights: LegWeights
  /** Bytes held in memory, true within 10%. */
  readonly bytes: number
  /**
   * Embeds every chunk of every part: `chunks x dimensions` values each, in order, a row of zeros for a chunk without a known term.
   * Unlike `embed()` it sees the chunks that stand around a chunk. The memory of the pieces is the embedder's from now on.
   */
  embedParts(
    parts: readonly PassagePart[],
    options: { readonly signal?: AbortSignal },
  ): Promise<readonly Float32Array[]>
  /** Bytes from which the same embedder can be restored, in any process. */
  snapshot(): Uint8Array
}

/** Consecutive pieces of one document, encoded as in `core/piece.ts`. */
export interface PassagePart {
  readonly title: string
  readonly language: string
  readonly pieces: readonly Uint8Array[]
}

/** Part of a document in a sample: the chunks with ordinals from `from` to `to` (exclusive) of its pieces. */
export interface SamplePart extends PassagePart {
  readonly from: number
  readonly to: number
}

/** Weights with which the legs of a search are added, each leg scaled so that its best match is 1; that of the chunks' words is 1. */
export interface LegWeights {
  /** λ of the lexical index: the words of the document around a chunk. */
  readonly document: number
  /** What the embedder says. */
  readonly vector: number
}

/** What is done to vectors so that they take less room. Each is measured in `docs/smaller-vectors.md`. */
export type Reduction =
  | {
      /**
       * The first values only (Matryoshka representation learning, Kusupati et al. 2022): costs little where the model was trained for it
       * or orders its values by weight, as latent semantic ones do, and much elsewhere.
       */
      readonly kind: 'cut'
      /** Values kept, 1 to those of the embedder. */
      readonly dimensions: number
    }
  | {
      /** The directions in which a sample of vectors differs most, see `fitPca()`: for models that were not trained to be cut. */
      readonly kind: 'pca'
      readonly basis: PcaBasis
    }
  | {
      /** The largest values only, the others become 0. Vectors keep their width; what stores or sends them may pack the zeros. */
      readonly kind: 'sparsify'
      /** Values kept of each vector, 1 to those of the embedder. */
      readonly topK: number
    }

/** A basis of fewer dimensions, to be kept with the documents whose vectors are reduced by it: another basis is another embedder. */
export interface PcaBasis {
  /** Values of the vectors it was fitted to. */
  readonly from: number
  /** Values it leaves. */
  readonly dimensions: number
  /** The mean, then the components, one after the other: `(dimensions + 1) x from` values, in single precision. */
  readonly values: Float32Array
}
