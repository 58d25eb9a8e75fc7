/** What one leg of the search found, best first. Numbers are chunk numbers; higher scores are better within the leg. */
export interface RankedList {
  readonly leg: 'lexical' | 'vector'
  readonly matches: readonly { readonly number: number; readonly score: number }[]
}

/** Joins the legs into one list, best first, ties by number. A leg that found nothing takes nothing away. */
export type Fuse = (lists: readonly RankedList[]) => { readonly number: number; readonly score: number }[]
