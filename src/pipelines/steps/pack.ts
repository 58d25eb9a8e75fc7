import type { Source } from '../../core/answer.js'
import type { Hit, HitContext } from '../../core/search.js'

/** Numbers the hits that fit into `maxContextChars`, best first; the best one always does. Hits that share a context are one source. */
export function packSources(hits: readonly Hit[], maxContextChars: number): Source[] {
  const sources: Source[] = []
  const shown = new Set<HitContext>()
  let characters = 0
  for (const hit of hits) {
    if (hit.context !== undefined && shown.has(hit.context)) continue
    characters += shownText(hit).text.length
    if (characters > maxContextChars && sources.length > 0) break
    if (hit.context !== undefined) shown.add(hit.context)
    sources.push({ ...hit, marker: sources.length + 1 })
  }
  return sources
}

/** What a model is shown of a hit: the text around it where that was asked for, else the passage. */
export function shownText({ chunk, context }: Hit): HitContext {
  return context ?? { text: chunk.text, span: chunk.span }
}
