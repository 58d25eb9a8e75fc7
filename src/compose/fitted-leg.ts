import { RagError } from '../core/errors.js'
import type { EmbedderFitter, FittedEmbedder, LegWeights } from '../embed/types.js'
import type { Recorder } from '../performance/types.js'
import { rebuildVector, type VectorLeg } from '../pipelines/catch-up.js'
import { sampleCorpus } from '../pipelines/steps/sample-corpus.js'
import type { Store, StoreNamespace } from '../store/types.js'
import { Readers } from '../util/readers.js'
import type { VectorIndex } from '../vector-index/types.js'
import type { FitFile, FitFileVersion } from './fit-file.js'

/** Below so many chunks the words of a corpus do not tell which go together. */
export const leastFitChunks = 200
const sampleLimits = { maxChunks: 20_000, maxCharacters: 16 << 20 }
/** Milliseconds between two looks for what another process has fitted, while a fit is due. */
const lookEveryMs = 1_000

/** What `stats()` says of an embedder that is fitted to the corpus. */
export interface FitReport {
  /**
   * `'too-few-chunks'`: passages are found by their words alone; `'waiting'`: a fit is due and has not been made, by this process or another;
   * `'fitted'`; `'failed'`: the last fit failed, which the logger was told, and words alone are searched.
   */
  readonly state: 'too-few-chunks' | 'waiting' | 'fitted' | 'failed'
  /** Chunks from which on it is fitted. */
  readonly leastChunks: number
  /** Chunks the corpus had when it was fitted. */
  readonly corpusChunks?: number
  /** What the legs of a search are worth on this corpus. */
  readonly weights?: LegWeights
  /** Bytes of what was learnt, in memory. */
  readonly bytes?: number
}

export interface FittedLegOptions {
  readonly store: Store
  readonly namespace: StoreNamespace
  readonly fitter: EmbedderFitter
  /** An empty index for vectors of this embedder, or what is left of one in `directory`. */
  readonly openIndex: (embedder: FittedEmbedder, directory: string | undefined) => Promise<VectorIndex>
  /** Absent: nothing is kept. */
  readonly file: FitFile | undefined
  /** Runs one maintenance of the store after the other. */
  readonly maintain: <Result>(task: () => Promise<Result>) => Promise<Result>
  readonly recorder: Recorder
  readonly now: () => number
  readonly warn: (problem: RagError) => void
}

/**
 * The vector leg of a namespace whose embedder is fitted to its documents: there is none below {@link leastFitChunks}; from then on the
 * embedder is fitted, and again whenever as many chunks were added as there were at the last fit. A new fit fills an index of its
 * own and then takes the place of the old one: whoever searches goes on with the old one until they are done.
 *
 * Of the processes that share a store only the maintainer fits and writes; the others take over what it left.
 */
export class FittedLeg {
  readonly #options: FittedLegOptions
  readonly #readers = new Readers()
  readonly #stop = new AbortController()
  #leg: (VectorLeg & { readonly embedder: FittedEmbedder }) | undefined
  #fitting: Promise<void> | undefined
  #failed: { readonly chunks: number } | undefined
  #version: FitFileVersion | undefined
  #lookedAt = Number.NEGATIVE_INFINITY
  #isSaved = false

  constructor(options: FittedLegOptions) {
    this.#options = options
  }

  /**
   * Takes over what was left on disk, if it is ready for use. Never rejects: what cannot be used is made anew, in the background of
   * the first questions.
   */
  async open(): Promise<void> {
    await this.#adopt({ fill: false })
  }

  get current(): VectorLeg | undefined {
    return this.#leg
  }

  /** The legs stay as they are while `read` runs. */
  reading<Result>(read: () => Promise<Result>): Promise<Result> {
    return this.#readers.while(read)
  }

  report(): FitReport {
    const leastChunks = leastFitChunks
    if (this.#leg !== undefined) {
      const { bytes, corpusChunks, weights } = this.#leg.embedder
      return { state: 'fitted', leastChunks, corpusChunks, weights, bytes }
    }
    if (this.#chunks < leastChunks) return { state: 'too-few-chunks', leastChunks }
    return { state: this.#failed === undefined ? 'waiting' : 'failed', leastChunks }
  }

  /** Whether the corpus has outgrown the fit, or the fit the corpus. */
  get isDue(): boolean {
    const chunks = this.#chunks
    if (chunks < leastFitChunks) return this.#leg !== undefined
    if (this.#failed !== undefined && chunks < 2 * this.#failed.chunks) return false
    return this.#leg === undefined || chunks >= 2 * this.#leg.embedder.corpusChunks
  }

  /** Fits, when that is due; concurrent callers share the work. Never rejects: a fit that fails leaves everything as it was, and warns. */
  async follow(): Promise<void> {
    while (this.isDue && !this.#stop.signal.aborted) {
      if (this.#chunks < leastFitChunks) {
        this.#replace(undefined)
        return
      }
      const before = this.#leg
      this.#fitting ??= this.#fit().finally(() => {
        this.#fitting = undefined
      })
      await this.#fitting
      // Somebody else's task, or nobody's any more.
      if (this.#leg === before) return
    }
  }

  /** The same in the background, but not more often than others could have done it meanwhile. */
  followSoon(): void {
    if (!this.isDue || this.#fitting !== undefined || this.#options.now() - this.#lookedAt < lookEveryMs) return
    this.#lookedAt = this.#options.now()
    void this.follow()
  }

  /** Fits anew, whether that is due or not. Rejects when it cannot. */
  async refit(): Promise<void> {
    await this.#fitting
    if (this.#chunks < leastFitChunks) this.#replace(undefined)
    // Nobody may write what is there meanwhile: that would delete the files of a leg that is still being filled.
    else await this.#options.maintain(() => this.#fitHere())
  }

  /** Writes what was fitted, and its vectors. The caller is the maintainer of the store. */
  async persist(): Promise<void> {
    const { file } = this.#options
    const leg = this.#leg
    if (leg === undefined || file === undefined) return
    if (!this.#isSaved) {
      await file.write(leg.embedder.snapshot())
      this.#version = await file.version()
      this.#isSaved = true
    }
    await leg.index.persist()
    await file.removeOthers(checksumOf(leg.embedder))
  }

  /** Ends a fit that runs; none begins any more. */
  async stop(): Promise<void> {
    this.#stop.abort(new RagError('CLOSED', 'The namespace was closed.'))
    await this.#fitting
  }

  /** Frees the index. */
  async close(): Promise<void> {
    await this.stop()
    await this.#readers.left()
    await this.#leg?.index.close()
    this.#leg = undefined
  }

  get #chunks(): number {
    return this.#options.namespace.counts().chunks
  }

  async #fit(): Promise<void> {
    const { store, maintain } = this.#options
    const { readOnly, shared } = store.capabilities
    try {
      if (await this.#adopt({ fill: true })) return
      if (!shared || readOnly) return await this.#fitHere()
      await maintain(async () => {
        const stepBack = await store.acquireMaintenance()
        // The maintainer fits; what it leaves is looked for again.
        if (stepBack === undefined) return
        try {
          if (await this.#adopt({ fill: true })) return
          await this.#fitHere()
          await this.persist()
        } finally {
          await stepBack()
        }
      })
    } catch (error) {
      if (this.#stop.signal.aborted) return
      this.#failed = { chunks: this.#chunks }
      this.#options.warn(asProblem(error))
    }
  }

  async #fitHere(): Promise<void> {
    const { file, fitter, namespace, now, openIndex, recorder } = this.#options
    const { signal } = this.#stop
    const began = now()
    const { chunks: corpusChunks, documents: corpusDocuments } = namespace.counts()
    const sample = sampleCorpus(namespace, { ...sampleLimits, signal })
    const embedder = await fitter.fit(sample, { corpusChunks, corpusDocuments, signal })
    recorder.stage('index.fit', now() - began)
    const index = await openIndex(embedder, file?.vectors(checksumOf(embedder)))
    try {
      await rebuildVector(namespace, { index, embedder }, signal)
    } catch (error) {
      await index.close()
      throw error
    }
    this.#isSaved = false
    this.#replace({ index, embedder })
  }

  /** Takes over what is on disk when it is not what is in use. Vectors that are missing there are made only with `fill`. */
  async #adopt({ fill }: { readonly fill: boolean }): Promise<boolean> {
    const { file, fitter, namespace, openIndex, warn } = this.#options
    const version = await file?.version()
    if (file === undefined || version === undefined || version === this.#version) return false
    try {
      const bytes = await file.read()
      if (bytes === undefined || this.#chunks < leastFitChunks) return false
      const embedder = await fitter.restore(bytes)
      const isOurs = embedder.fingerprint === this.#leg?.embedder.fingerprint
      const index = isOurs ? undefined : await openIndex(embedder, file.vectors(checksumOf(embedder)))
      const isEmpty = index?.epoch === 0
      if (index === undefined || (isEmpty && !fill)) {
        await index?.close()
        if (isOurs) this.#version = version
        return false
      }
      try {
        if (isEmpty) await rebuildVector(namespace, { index, embedder }, this.#stop.signal)
      } catch (error) {
        await index.close()
        throw error
      }
      this.#version = version
      this.#isSaved = true
      this.#replace({ index, embedder })
      return true
    } catch (error) {
      this.#version = version
      if (!this.#stop.signal.aborted) warn(asProblem(error))
      return false
    }
  }

  #replace(leg: (VectorLeg & { readonly embedder: FittedEmbedder }) | undefined): void {
    const old = this.#leg
    this.#leg = leg
    this.#failed = undefined
    if (old !== undefined) void this.#retire(old.index)
  }

  async #retire(index: VectorIndex): Promise<void> {
    await this.#readers.left()
    await index.close().catch((error: unknown) => this.#options.warn(asProblem(error)))
  }
}

/** The last part of a fingerprint tells one fit from another. */
function checksumOf({ fingerprint }: FittedEmbedder): string {
  return fingerprint.slice(fingerprint.lastIndexOf('/') + 1)
}

function asProblem(error: unknown): RagError {
  if (RagError.isInstance(error)) return error
  return new RagError('WORKER', 'The embedder could not be fitted to the documents.', { cause: error })
}
