import type { DocumentFailure } from '../../core/document.js'
import type { IngestProgress, IngestStage } from '../../core/events.js'
import type { EmbeddingFailure, EnrichmentFailure, IngestFailure, IngestReport } from '../ingest.js'
import type { DocumentOutcome, DocumentStep } from './write-document.js'

/** Documents with chunks that could not be embedded, or enriched, that a report names. */
const maxNamed = 100

/** Milliseconds after the last progress before a step within a document is told. */
const tellEveryMs = 200

/** What is told of one document. */
export interface DocumentUnderWay {
  /** Takes a step within it; gives progress when it is time for some. */
  step(step: DocumentStep): IngestProgress | undefined
  end(outcome: DocumentOutcome): IngestProgress
}

/** How far a document has come that has been opened. */
interface UnderWay {
  readonly pages: number
  readonly page: number
  readonly chunks: number
}

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
  #tokens = 0
  readonly #underWay = new Set<UnderWay>()
  #toldAt: number

  constructor(now: () => number) {
    this.#now = now
    this.#began = now()
    this.#toldAt = this.#began
  }

  /** A document whose turn has come. */
  begin(source: string): DocumentUnderWay {
    const under = { pages: 0, page: 0, chunks: 0 }
    return {
      step: (step) => {
        if (step.stage === 'opened') {
          under.pages = step.pages
          this.#underWay.add(under)
        } else {
          under.chunks += step.chunks
          // Not every medium tells its pages before they have been read.
          under.page = Math.max(under.page, step.page)
          under.pages = Math.max(under.pages, step.page)
          this.#tokens += step.tokens
        }
        return this.#isTime() ? this.#progress(step.stage, source) : undefined
      },
      end: (outcome) => {
        this.#underWay.delete(under)
        return this.#add(outcome)
      },
    }
  }

  #add(outcome: DocumentOutcome): IngestProgress {
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

  /** Whether it is time to tell something again that nobody has to know. */
  #isTime(): boolean {
    return this.#now() - this.#toldAt >= tellEveryMs
  }

  #progress(stage: IngestStage, source: string): IngestProgress {
    this.#toldAt = this.#now()
    const documentsDone = this.#committed + this.#unchanged + this.#quarantined.length + this.#failed.length
    const elapsedMs = this.#toldAt - this.#began
    const under = sumOf(this.#underWay)
    const chunks = this.#chunks + under.chunks
    const done = documentsDone + under.documents
    const perSecond = (count: number): number => (elapsedMs > 0 ? (count * 1000) / elapsedMs : 0)
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
      chunks,
      unembedded: this.#unembedded,
      unenriched: this.#unenriched,
      pages: this.#pages + under.page,
      pagesTotal: this.#pages + under.pages,
      tokens: this.#tokens,
      bytes: this.#bytes,
      elapsedMs,
      chunksPerSecond: perSecond(chunks),
      tokensPerSecond: perSecond(this.#tokens),
      ...(this.discovering || done === 0 ? {} : { remainingMs: (elapsedMs / done) * (this.total - done) }),
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

/** Of the documents under way together: what is read of them, in documents too. */
function sumOf(underWay: Iterable<UnderWay>): UnderWay & { readonly documents: number } {
  const sum = { pages: 0, page: 0, chunks: 0, documents: 0 }
  for (const { chunks, page, pages } of underWay) {
    sum.pages += pages
    sum.page += page
    sum.chunks += chunks
    if (pages > 0) sum.documents += page / pages
  }
  return sum
}
