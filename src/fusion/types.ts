/** One way of searching, as fusion sees it. */
export interface FusionLeg {
  /** Best first. Of a number that comes twice, the first (better) place counts. */
  readonly matches: readonly { readonly number: number; readonly score: number }[]
  /** Finite, at least 0. A leg of weight 0 is ignored, its matches included. */
  readonly weight: number
}

/** A number and what fusion made of its places or scores. Higher is better, comparable within one result. */
export interface FusedMatch {
  readonly number: number
  readonly score: number
}
