import { RagError } from '../core/errors.js'
import { encodePiece } from '../core/piece.js'
import { analyzerFingerprint } from '../text/analyzer.js'
import { createAnalyzers } from '../text/analyzers.js'
import { queryTerms } from '../text/query-terms.js'
import { WorkerPool } from '../util/worker-pool.js'
import { createTurns, type Turns } from '../util/yield.js'
import { type Basis, readBasis, view } from './latent-semantic/basis.js'
import { FoldIn } from './latent-semantic/fold-in.js'
import type {
  EmbedderFitter,
  Embeddings,
  EmbedOptions,
  FitOptions,
  FittedEmbedder,
  PassagePart,
  SamplePart,
} from './types.js'

/** Options of {@link createLatentSemanticFitter}. */
export interface LatentSemanticOptions {
  /**
   * Values per vector at most, 2 to 1,024. Default 128; a corpus of less than some 4,000 chunks gets fewer. More find rarer words, and
   * fewer relations between words.
   */
  readonly dimensions?: number
  /** Threads that embed passages, 1 to 64. Default 2. They share what was fitted. */
  readonly workers?: number
}

const defaultDimensions = 128
const limits = { dimensions: [2, 1_024], workers: [1, 64] } as const
/** Texts of one call to a thread. */
const textsPerCall = 64

/**
 * Learns from a corpus which words go together and finds passages by what they are about, without any model: latent semantic analysis
 * (Deerwester et al. 1990). TF-IDF over the analyzer's terms is brought down to `dimensions` values by a truncated singular value
 * decomposition of a sample; other texts and questions are folded in. A fit of 20,000 chunks takes some seconds and 100 MB in a
 * worker thread. Throws `BAD_OPTION` for options out of range.
 */
export function createLatentSemanticFitter(options: LatentSemanticOptions = {}): EmbedderFitter {
  const { dimensions = defaultDimensions, workers = 2 } = options
  requireWhole('dimensions', dimensions)
  requireWhole('workers', workers)
  const pool = new WorkerPool({ worker: 'latent-semantic', size: workers })
  // One thread, because a sample gathers in it; ours alone, because it is busy for seconds.
  const fits = new WorkerPool({ worker: 'latent-semantic', size: 1 })
  const turns = createTurns()
  const fingerprint = `latent-semantic/2/${analyzerFingerprint}/${dimensions}`
  const open = (basis: Basis) => new LatentSemanticEmbedder({ basis, pool, turns })
  let begun = 0
  return {
    id: 'latent-semantic',
    fingerprint,
    dimensions,

    async fit(
      sample: Iterable<readonly SamplePart[]> | AsyncIterable<readonly SamplePart[]>,
      { signal, ...corpus }: FitOptions,
    ) {
      signal?.throwIfAborted()
      const id = begun++
      try {
        for await (const parts of sample) {
          const transfer = buffersOf(parts)
          await fits.run({ type: 'sample', payload: { id, parts }, transfer }, { signal })
        }
        const payload = { id, dimensions, fingerprint, ...corpus }
        return open(view(await fits.run<SharedArrayBuffer>({ type: 'fit', payload }, { signal })))
      } finally {
        fits.run({ type: 'forget', payload: id }).catch(() => {
          // A thread that has ended has forgotten.
        })
      }
    },

    async restore(snapshot: Uint8Array) {
      const basis = readBasis(snapshot)
      if (basis.facts.fingerprint !== fingerprint) {
        throw new RagError('FINGERPRINT', 'This was fitted with other options, or by another version.', {
          data: { found: basis.facts.fingerprint, expected: fingerprint },
        })
      }
      return open(basis)
    },

    close: async () => {
      await Promise.all([pool.close(), fits.close()])
    },
  }
}

function buffersOf(parts: readonly PassagePart[]): ArrayBuffer[] {
  return [...new Set(parts.flatMap(({ pieces }) => pieces.map(({ buffer }) => buffer as ArrayBuffer)))]
}

function requireWhole(option: keyof typeof limits, value: number): void {
  const [least, most] = limits[option]
  if (Number.isInteger(value) && value >= least && value <= most) return
  throw new RagError('BAD_OPTION', `${option} is a whole number from ${least} to ${most}.`, {
    data: { [option]: value },
  })
}

interface Parts {
  readonly basis: Basis
  readonly pool: WorkerPool
  readonly turns: Turns
}

class LatentSemanticEmbedder implements FittedEmbedder {
  readonly id = 'latent-semantic'
  readonly capabilities = { fitted: true, batchSize: textsPerCall }
  readonly fingerprint: string
  readonly dimensions: number
  readonly #basis: Basis
  readonly #pool: WorkerPool
  readonly #turns: Turns
  readonly #foldIn: FoldIn
  readonly #analyzerFor = createAnalyzers()
  #closed = false

  constructor({ basis, pool, turns }: Parts) {
    this.#basis = basis
    this.#pool = pool
    this.#turns = turns
    this.#foldIn = new FoldIn(basis)
    this.dimensions = basis.dimensions
    this.fingerprint = `${basis.facts.fingerprint}/${basis.checksum}`
  }

  get corpusChunks() {
    return this.#basis.facts.corpusChunks
  }

  get weights() {
    return this.#basis.facts.weights
  }

  get bytes() {
    return this.#basis.buffer.byteLength + this.#basis.factors.byteLength
  }

  async embed(texts: readonly string[], { kind, signal }: EmbedOptions): Promise<Embeddings> {
    signal?.throwIfAborted()
    this.#requireOpen()
    const vectors = kind === 'query' ? await this.#questions(texts, signal) : await this.#passages(texts, signal)
    const failed = texts.flatMap((_, index) => {
      const start = index * this.dimensions
      if (vectors.subarray(start, start + this.dimensions).some((value) => value !== 0)) return []
      return [{ index, error: new RagError('EMPTY', 'The text has no word that the corpus knows.') }]
    })
    return { vectors, failed, tokens: 0 }
  }

  async embedParts(
    parts: readonly PassagePart[],
    { signal }: { readonly signal?: AbortSignal },
  ): Promise<readonly Float32Array[]> {
    this.#requireOpen()
    const payload = { basis: this.#basis.buffer, parts }
    return this.#pool.run<readonly Float32Array[]>({ type: 'embed', payload, transfer: buffersOf(parts) }, { signal })
  }

  snapshot(): Uint8Array {
    return new Uint8Array(this.#basis.buffer)
  }

  /** What it holds is memory, and the threads are the fitter's. */
  async close(): Promise<void> {
    this.#closed = true
  }

  /** In this thread: a question is read in a fraction of a millisecond, a long one in slices. */
  async #questions(texts: readonly string[], signal: AbortSignal | undefined): Promise<Float32Array> {
    const vectors = new Float32Array(texts.length * this.dimensions)
    const analyzers = await Promise.all(this.#basis.facts.languages.map((language) => this.#analyzerFor(language)))
    for (const [index, text] of texts.entries()) {
      await this.#turns.next()
      signal?.throwIfAborted()
      this.#foldIn.text(await queryTerms(text, analyzers, this.#turns), vectors, index * this.dimensions)
    }
    return vectors
  }

  /** Each text alone, as a document of one chunk. */
  async #passages(texts: readonly string[], signal: AbortSignal | undefined): Promise<Float32Array> {
    const vectors = new Float32Array(texts.length * this.dimensions)
    const [language = ''] = this.#basis.facts.languages
    for (let first = 0; first < texts.length; first += textsPerCall) {
      const part = (text: string): PassagePart => ({ title: '', language, pieces: [asPiece(text)] })
      const parts = texts.slice(first, first + textsPerCall).map(part)
      const rows = await this.embedParts(parts, signal === undefined ? {} : { signal })
      for (const [place, row] of rows.entries()) vectors.set(row, (first + place) * this.dimensions)
    }
    return vectors
  }

  #requireOpen(): void {
    if (!this.#closed) return
    throw new RagError('CLOSED', 'The latent semantic embedder was closed.')
  }
}

/** A piece that is one chunk. */
function asPiece(text: string): Uint8Array {
  // Halves of characters cannot be encoded, and are no words.
  const whole = text.toWellFormed?.() ?? text
  const chunk = { id: '', span: { start: 0, end: whole.length }, headings: [] }
  return encodePiece({ firstOrdinal: 0, start: 0, text: whole, chunks: [chunk] })
}
