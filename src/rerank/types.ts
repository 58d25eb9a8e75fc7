import type { Closable } from '../core/lifecycle.js'

/** Puts the best candidates of a search into a better order. */
export interface Reranker extends Closable {
  /** Short name, for messages and statistics. */
  readonly id: string
  readonly capabilities: RerankerCapabilities
  /** Model and options: whatever changes the order changes this. Absent: what it ordered is found again in this process only. */
  readonly fingerprint?: string
  /**
   * Scores candidates. Resolves with a subset of them, each once, best first, at least `min(topK, candidates)` unless nothing can be said
   * of some: those that are left out keep their order behind the others. Equal scores keep the order of the candidates. The same
   * request gives the same order. Leaves its arguments alone. Rejects with `signal.reason` soon after `signal` fires; what it rejects
   * with otherwise leaves the order as it was, or fails the search: see `pipelines/steps/rerank.ts`.
   */
  rerank(request: RerankRequest, options: { readonly signal?: AbortSignal }): Promise<readonly RerankedMatch[]>
  /** Loads what the first call would. Concurrent ones share the work; a failure is forgotten. */
  warmUp?(options?: { readonly signal?: AbortSignal }): Promise<void>
}

/** What a reranker can use; the pipeline plans around it. */
export interface RerankerCapabilities {
  /** It compares the candidates' vectors where there are any; they are read for no other. */
  readonly vectors: boolean
}

/** A question and what was found for it. */
export interface RerankRequest {
  /** `''` when only a vector was asked for. */
  readonly question: string
  /** Best first. Numbers are distinct. May be empty. */
  readonly candidates: readonly RerankCandidate[]
  /** Hits that are wanted, at least 1: what comes after so many of the result may never be looked at. */
  readonly topK: number
}

/** A passage that was found. */
export interface RerankCandidate {
  /** The chunk's number. */
  readonly number: number
  /** Title, heading path and passage, as they are indexed and embedded (`indexedText`). */
  readonly text: string
  /** BCP 47 or English name (`en`, `german`). */
  readonly language: string
  /** What the search gave it: higher is better, comparable within one request. */
  readonly score: number
  /** Of unit length. Given only to those that ask for it, and only where there is one. */
  readonly vector?: Float32Array
}

/** A candidate and its new score: higher is better, comparable within one result. */
export interface RerankedMatch {
  readonly number: number
  readonly score: number
}
