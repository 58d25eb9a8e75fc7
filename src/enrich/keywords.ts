import { RagError } from '../core/errors.js'
import { type Analyzer, analyzerFingerprint } from '../text/analyzer.js'
import { createAnalyzers } from '../text/analyzers.js'
import type { Enricher } from './types.js'

/** Options of {@link createKeywordEnricher}. */
export interface KeywordOptions {
  /** Keywords of a passage at most, 1 to 20. Default 5. */
  readonly maxKeywords?: number
}

const usualKeywords = 5
/** Words of a keyword at most. */
const phraseWords = 3
/** Passages looked at together: those of one part of a document are fewer. */
const batchSize = 4_096

/**
 * Finds the keywords of each passage by counting: no model, a few microseconds a word. Candidates are runs of words between stop words
 * and punctuation, as in RAKE (Rose et al. 2010); a word weighs its frequency in the passage times its inverse document frequency among
 * the passages it is given with (Spärck Jones 1972), a candidate the sum of its words. What is best is taken first, and what says nothing
 * beyond those taken already is left out. Throws `BAD_OPTION` for a number out of range.
 */
export function createKeywordEnricher({ maxKeywords = usualKeywords }: KeywordOptions = {}): Enricher {
  if (!Number.isInteger(maxKeywords) || maxKeywords < 1 || maxKeywords > 20) {
    throw new RagError('BAD_OPTION', 'maxKeywords is a whole number from 1 to 20.', { data: { maxKeywords } })
  }
  const analyzerFor = createAnalyzers()
  return {
    id: 'keywords',
    fingerprint: `keywords/1/${analyzerFingerprint}/${maxKeywords}`,
    capabilities: { scope: 'passage', reads: ['language'], batchSize, local: true },
    async enrich(passages, { signal }) {
      signal?.throwIfAborted()
      const read: (readonly Phrase[])[] = []
      for (const { language, text } of passages) read.push(phrasesOf(text, await analyzerFor(language)))
      const rarity = rarityAmong(read)
      const lines = read.map((phrases) => {
        const keywords = bestOf(phrases, rarity, maxKeywords)
        return keywords.length === 0 ? [] : [keywords.join(', ')]
      })
      return { lines, failed: [] }
    },
    async close() {},
  }
}

/** A candidate: its words as they stand, and their stems. */
interface Phrase {
  readonly text: string
  readonly stems: readonly string[]
}

/** A word, with marks and what joins its parts. Its length is bounded, so that matching is linear. */
const word = /[\p{L}\p{N}][\p{L}\p{M}\p{N}'\u2019_-]{0,63}/gu
/** Between the words of one phrase there is a space, or a line end within a paragraph. */
const innerGap = /^(?:[ \t\u00a0]+|[ \t]*\r?\n[ \t]*)$/
/** Scripts without spaces: their phrases are the analyzer's pairs of characters. */
const unspaced =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u
const onlyDigits = /^[\p{N}_'\u2019-]+$/u

function phrasesOf(text: string, analyzer: Analyzer): Phrase[] {
  const phrases: Phrase[] = []
  let words: string[] = []
  let stems: string[] = []
  let end = 0
  const close = (): void => {
    if (words.length > 0 && !words.every((one) => onlyDigits.test(one))) phrases.push({ text: words.join(' '), stems })
    words = []
    stems = []
  }
  for (const { 0: found, index } of text.matchAll(word)) {
    if (words.length === phraseWords || !innerGap.test(text.slice(end, index))) close()
    end = index + found.length
    const terms = analyzer.terms(found)
    if (unspaced.test(found)) {
      close()
      for (const term of terms) if (!analyzer.isStopWord(term)) phrases.push({ text: term, stems: [term] })
      continue
    }
    const [stem] = terms
    // A single letter is a list's mark or a variable; neither is what a passage is about.
    if (stem === undefined || found.length < 2 || analyzer.isStopWord(stem)) {
      close()
      continue
    }
    words.push(found)
    stems.push(stem)
  }
  close()
  return phrases
}

/** Inverse document frequency of a stem, ln(1 + (N - n + 0.5) / (n + 0.5)). */
function rarityAmong(passages: readonly (readonly Phrase[])[]): (stem: string) => number {
  const counts = new Map<string, number>()
  for (const phrases of passages) {
    for (const stem of new Set(phrases.flatMap(({ stems }) => stems))) counts.set(stem, (counts.get(stem) ?? 0) + 1)
  }
  return (stem) => {
    const count = counts.get(stem) ?? 0
    return Math.log(1 + (passages.length - count + 0.5) / (count + 0.5))
  }
}

/** The weightiest phrases, each with a word that none before it has; of equal ones the first in the text. */
function bestOf(phrases: readonly Phrase[], rarity: (stem: string) => number, most: number): string[] {
  const frequency = new Map<string, number>()
  for (const { stems } of phrases) for (const stem of stems) frequency.set(stem, (frequency.get(stem) ?? 0) + 1)
  const weigh = ({ stems }: Phrase): number =>
    [...new Set(stems)].reduce((sum, stem) => sum + (frequency.get(stem) ?? 0) * rarity(stem), 0)
  const ranked = phrases
    .map((phrase, place) => ({ phrase, place, weight: weigh(phrase) }))
    .sort((a, b) => b.weight - a.weight || a.place - b.place)
  const taken = new Set<string>()
  const best: string[] = []
  for (const { phrase } of ranked) {
    if (best.length === most) break
    if (phrase.stems.every((stem) => taken.has(stem))) continue
    for (const stem of phrase.stems) taken.add(stem)
    best.push(phrase.text)
  }
  return best
}
