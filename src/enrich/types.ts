import type { Closable } from '../core/lifecycle.js'

/**
 * Adds words to passages before they are embedded and indexed: what a passage is about, what it answers, where it stands. What is added
 * is found, and never shown: the passage's text stays as it is in the document.
 */
export interface Enricher extends Closable {
  /** Kind of enricher, for people. */
  readonly id: string
  /**
   * Changes whenever the same passages would get other lines: model, instructions, options. Documents are enriched anew when it
   * changes, and what was made is kept by it.
   */
  readonly fingerprint: string
  readonly capabilities: EnricherCapabilities
  /**
   * Lines for each passage, in their order, and why some have none. One that fails has no lines and is listed; the others of the call
   * are not lost with it. Rejects when all have failed for one reason, and with `signal.reason`.
   */
  enrich(passages: readonly EnrichPassage[], options: EnrichOptions): Promise<Enrichments>
}

/** What an enricher can do, and wants to know. */
export interface EnricherCapabilities {
  /** `'passage'`: lines for each passage. `'part'`: it is given parts of documents, some 32,000 characters long, and its lines are for all passages in them. */
  readonly scope: 'passage' | 'part'
  /** What it reads beside the text: the rest it is given empty. It is asked again about a passage only when any of it has changed. */
  readonly reads: readonly EnrichContext[]
  /** Passages per call at most, at least 1. */
  readonly batchSize: number
  /** Set where it computes by itself and asks nobody: then no limit of calls holds for it, and what it makes is not kept. */
  readonly local?: true
}

/** What may be known of a passage beside its text. */
export type EnrichContext = 'title' | 'headings' | 'language' | 'around' | 'beginning'

export interface EnrichOptions {
  readonly signal?: AbortSignal
}

/** A passage as enrichers see it. */
export interface EnrichPassage {
  /** Of the passage, or the part. Not empty. */
  readonly text: string
  /** Of the document, `''` for none. */
  readonly title: string
  /** Headings above the passage, outermost first. */
  readonly headings: readonly string[]
  /** BCP 47 or English name (`en`, `german`). */
  readonly language: string
  /** What stands before and behind it, up to 1,000 characters each, not beyond the part it lies in. */
  readonly before: string
  readonly after: string
  /** How the document begins, up to 1,500 characters. */
  readonly beginning: string
}

/** What an enricher has made, by place in the list of passages. */
export interface Enrichments {
  /** A list of lines for each passage; those of failed ones are empty. Empty lines are dropped, line ends become spaces. */
  readonly lines: readonly (readonly string[])[]
  readonly failed: readonly { readonly index: number; readonly error: unknown }[]
  /** Places of lines that are good for now and are not kept for later, such as those of a model that stood in for another one. Default: none. */
  readonly passing?: readonly number[]
}

/**
 * Enriches one passage: a line, several, or nothing. It should stop when `signal` fires. What it throws leaves the passage as it is, and
 * it is asked again at the next ingest of the document.
 */
export type EnrichFunction = (
  passage: EnrichPassage,
  options: { readonly signal: AbortSignal },
) => Promise<EnrichedLines> | EnrichedLines

/** What a function may say of a passage. */
export type EnrichedLines = string | readonly string[] | null | undefined
