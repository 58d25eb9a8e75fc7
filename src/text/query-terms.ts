import type { Turns } from '../util/yield.js'
import type { Analyzer } from './analyzer.js'

/** Characters of a question that are read, in UTF-16 code units: about twelve pages. */
const maxCharacters = 32_768
/** Distinct terms that are searched for: the first ones. */
const maxTerms = 1_024
/** Characters analysed between two turns of the event loop: words seen for the first time take 13 µs each. */
const sliceCharacters = 1_024

/**
 * The distinct terms of a question, each with how often it occurs. It is analysed in every language of the index. Stop words of any of them
 * are left out unless nothing else was asked for.
 */
export async function queryTerms(
  text: string,
  analyzers: readonly Analyzer[],
  turns: Turns,
): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>()
  for (const analyzer of analyzers) {
    const own = new Map<string, number>()
    for (const slice of slices(text.slice(0, maxCharacters))) {
      for (const term of analyzer.terms(slice)) own.set(term, (own.get(term) ?? 0) + 1)
      if (text.length > sliceCharacters) await turns.next()
    }
    // Two languages that agree on a stem mean the same word, not two.
    for (const [term, count] of own) counts.set(term, Math.max(count, counts.get(term) ?? 0))
  }
  const content = [...counts].filter(([term]) => !analyzers.some((analyzer) => analyzer.isStopWord(term)))
  return new Map((content.length > 0 ? content : [...counts]).slice(0, maxTerms))
}

/** Cuts at white space where there is any. */
function* slices(text: string): Generator<string> {
  for (let start = 0; start < text.length; ) {
    let end = Math.min(text.length, start + sliceCharacters)
    if (end < text.length) {
      const space = text.lastIndexOf(' ', end)
      if (space > start) end = space
    }
    yield text.slice(start, end)
    start = end
  }
}
