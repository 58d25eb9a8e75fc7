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
/** Passages read between two turns of the event loop, where there is no thread of its own. */
const passagesPerTurn = 8

/**
 * Adds to each passage the keywords of the part of the document it is given with, as far as it does not have them itself: what the
 * others speak of again and again. It counts, without a model, in time linear in the text. Candidates are runs of words between stop words
 * and punctuation, as in RAKE (Rose et al. 2010); a word weighs as much as there are passages that have it (significance by frequency:
 * Luhn 1958), two at least, and a candidate the mean of its words. Throws `BAD_OPTION` for a number out of range.
 *
 * A passage's own keywords, in the same way, were measured and are worse than nothing: see docs/enrichment.md.
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
      for (const { language, text } of passages) {
        read.push(phrasesOf(text, await analyzerFor(language)))
        if (read.length % passagesPerTurn === 0) await new Promise(setImmediate)
        signal?.throwIfAborted()
      }
      const keywords = keywordsOf(read)
      return { lines: read.map((own) => missingLine(own, keywords, maxKeywords)), failed: [] }
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

/** Keywords that are looked at for a passage: it may have many of them itself. */
const mostKeywords = 100

/** The weightiest phrases, each with a word that none before it has; of equal ones the first in the text. */
function keywordsOf(passages: readonly (readonly Phrase[])[]): Phrase[] {
  const passagesWith = new Map<string, number>()
  for (const phrases of passages) {
    for (const stem of new Set(phrases.flatMap(({ stems }) => stems)))
      passagesWith.set(stem, (passagesWith.get(stem) ?? 0) + 1)
  }
  const weigh = ({ stems }: Phrase): number => {
    const counts = stems.map((stem) => passagesWith.get(stem) ?? 0)
    return counts.some((count) => count < 2) ? 0 : counts.reduce((sum, count) => sum + count, 0) / counts.length
  }
  const different = new Map<string, Phrase>()
  for (const phrase of passages.flat()) {
    const words = phrase.stems.join(' ')
    // The first of those with the same words stands for all.
    if (!different.has(words)) different.set(words, phrase)
  }
  const ranked = [...different.values()]
    .map((phrase) => ({ phrase, weight: weigh(phrase) }))
    .filter(({ weight }) => weight > 0)
    .sort((a, b) => b.weight - a.weight)
  const taken = new Set<string>()
  const keywords: Phrase[] = []
  for (const { phrase } of ranked) {
    if (keywords.length === mostKeywords) break
    if (phrase.stems.every((stem) => taken.has(stem))) continue
    for (const stem of phrase.stems) taken.add(stem)
    keywords.push(phrase)
  }
  return keywords
}

/** The first keywords that have no word in common with a passage, as a line of their own. */
function missingLine(own: readonly Phrase[], keywords: readonly Phrase[], most: number): string[] {
  const stems = new Set(own.flatMap((phrase) => phrase.stems))
  const missing = keywords.filter((keyword) => !keyword.stems.some((stem) => stems.has(stem))).slice(0, most)
  return missing.length === 0 ? [] : [missing.map(({ text }) => text).join(', ')]
}
