import type { DocumentFailure } from '../../core/document.js'
import type { IngestProgress, IngestStage } from '../../core/events.js'
import type { EmbeddingFailure, EnrichmentFailure, IngestFailure, IngestReport } from '../ingest.js'
import type { DocumentOutcome } from './write-document.js'

/** Documents with chunks that could not be embedded, or enriched, that a report names. */
const maxNamed = 100

/** The running totals that progress and report are made of. */
export class Tally {
  readonly #now: () => number
  readonly #began: number
  readonly #failed: IngestFailure[] = []
  readonly #quarantined: DocumentFailure[] = []
  readonly #embeddingFailures: EmbeddingFailure[] = []
  readonly #enrichmentFailures: EnrichmentFailure[] = []
  total = 0
  discovering = true
  /** Whether everything that was named could be listed. */
  complete = true
  /** See `IngestReport.synced`. */
  synced: boolean | undefined
  #committed = 0
  #unchanged = 0
  #removed = 0
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
    const { stage, source, chunks = 0, pages = 0, bytes = 0, error, quarantined, unembedded, unenriched } = outcome
    if (stage === 'committed') this.#committed++
    else if (stage === 'unchanged') this.#unchanged++
    else if (quarantined !== undefined) this.#quarantined.push(quarantined)
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
    return this.#progress(stage, source)
  }

  /** A document was removed. */
  remove(source: string): IngestProgress {
    this.#removed++
    return this.#progress('removed', source)
  }

  #progress(stage: IngestStage, source: string): IngestProgress {
    const documentsDone = this.#committed + this.#unchanged + this.#quarantined.length + this.#failed.length
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
      quarantined: this.#quarantined.length,
      removed: this.#removed,
      chunks: this.#chunks,
      unembedded: this.#unembedded,
      unenriched: this.#unenriched,
      pages: this.#pages,
      bytes: this.#bytes,
      elapsedMs,
      chunksPerSecond: elapsedMs > 0 ? (this.#chunks * 1000) / elapsedMs : 0,
      ...(this.discovering || documentsDone === 0 ? {} : { remainingMs: (elapsedMs / documentsDone) * left }),
    }
  }

  report(): IngestReport {
    return {
      documents: this.#committed,
      unchanged: this.#unchanged,
      removed: this.#removed,
      ...(this.synced === undefined ? {} : { synced: this.synced }),
      chunks: this.#chunks,
      failed: this.#failed,
      quarantined: this.#quarantined,
      unembedded: this.#unembedded,
      embeddingFailures: this.#embeddingFailures,
      unenriched: this.#unenriched,
      enrichmentFailures: this.#enrichmentFailures,
      durationMs: this.#now() - this.#began,
    }
  }
}
