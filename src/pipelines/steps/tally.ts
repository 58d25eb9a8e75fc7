import type { IngestProgress } from '../../core/events.js'
import type { EmbeddingFailure, EnrichmentFailure, IngestFailure, IngestReport } from '../ingest.js'
import type { DocumentOutcome } from './write-document.js'

/** Documents with chunks that could not be embedded, or enriched, that a report names. */
const maxNamed = 100

/** The running totals that progress and report are made of. */
export class Tally {
  readonly #now: () => number
  readonly #began: number
  readonly #failed: IngestFailure[] = []
  readonly #embeddingFailures: EmbeddingFailure[] = []
  readonly #enrichmentFailures: EnrichmentFailure[] = []
  total = 0
  discovering = true
  #committed = 0
  #unchanged = 0
  #chunks = 0
  #unembedded = 0
  #unenriched = 0
  #pages = 0
  #bytes = 0

  constructor(now: () => number) {
    this.#now = now
    this.#began = now()
  }

  add(outcome: DocumentOutcome): IngestProgress {
    const { stage, source, chunks = 0, pages = 0, bytes = 0, error, unembedded, unenriched } = outcome
    if (stage === 'committed') this.#committed++
    else if (stage === 'unchanged') this.#unchanged++
    else if (error !== undefined) this.#failed.push({ source, error })
    if (unembedded !== undefined) {
      this.#unembedded += unembedded.chunks
      if (this.#embeddingFailures.length < maxNamed) this.#embeddingFailures.push({ source, ...unembedded })
    }
    if (unenriched !== undefined) {
      this.#unenriched += unenriched.chunks
      if (this.#enrichmentFailures.length < maxNamed) this.#enrichmentFailures.push({ source, ...unenriched })
    }
    this.#chunks += chunks
    this.#pages += pages
    this.#bytes += bytes
    const documentsDone = this.#committed + this.#unchanged + this.#failed.length
    const elapsedMs = this.#now() - this.#began
    const left = this.total - documentsDone
    return {
      stage,
      source,
      documentsDone,
      documentsTotal: this.total,
      discovering: this.discovering,
      failed: this.#failed.length,
      unchanged: this.#unchanged,
      chunks: this.#chunks,
      unembedded: this.#unembedded,
      unenriched: this.#unenriched,
      pages: this.#pages,
      bytes: this.#bytes,
      elapsedMs,
      chunksPerSecond: elapsedMs > 0 ? (this.#chunks * 1000) / elapsedMs : 0,
      ...(this.discovering ? {} : { remainingMs: (elapsedMs / documentsDone) * left }),
    }
  }

  report(): IngestReport {
    return {
      documents: this.#committed,
      unchanged: this.#unchanged,
      removed: 0,
      chunks: this.#chunks,
      failed: this.#failed,
      unembedded: this.#unembedded,
      embeddingFailures: this.#embeddingFailures,
      unenriched: this.#unenriched,
      enrichmentFailures: this.#enrichmentFailures,
      durationMs: this.#now() - this.#began,
    }
  }
}
