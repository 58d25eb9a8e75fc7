import type { QueryOptions, Source } from '../../core/answer.js'
import type { NumberedHit } from '../retrieve.js'
import { type BudgetTools, measured } from './budget.js'
import { type ExpandTools, expandInTime } from './expand.js'
import { type PackOptions, type PackTools, packSources } from './pack.js'

/** How hits become what a model is shown. */
export type ShowOptions = PackOptions & Pick<QueryOptions, 'expand'>

export type ShowTools = ExpandTools & PackTools & BudgetTools

/** What a model is shown of a ranking. */
export async function showSources(
  ranked: readonly NumberedHit[],
  options: ShowOptions,
  tools: ShowTools,
): Promise<Source[]> {
  const hits = await expandInTime(ranked, options.expand, tools)
  return measured('pack', tools, () => packSources(hits, options, tools))
}

/** All that decides what is shown beside the ranking, as a key. */
export function contextScope({ expand, maxContextChars, maxContextTokens }: ShowOptions): string {
  return JSON.stringify([maxContextChars, maxContextTokens, expand])
}
