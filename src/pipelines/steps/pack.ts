import type { Source } from '../../core/answer.js'
import type { Hit } from '../../core/search.js'

/** Numbers the hits that fit into `maxContextChars`, best first; the best one always does. */
export function packSources(hits: readonly Hit[], maxContextChars: number): Source[] {
  const sources: Source[] = []
  let characters = 0
  for (const hit of hits) {
    characters += hit.chunk.text.length
    if (characters > maxContextChars && sources.length > 0) break
    sources.push({ ...hit, marker: sources.length + 1 })
  }
  return sources
}
