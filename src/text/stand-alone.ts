import type { Analyzer } from './analyzer.js'
import { shortened } from './model-text.js'

/** What was said, oldest first. */
type Said = readonly { readonly role: 'user' | 'assistant'; readonly content: string }[]

const list = (words: string): ReadonlySet<string> => new Set(words.split(' '))

/**
 * Words that point back to what was said, by language profile; those that are articles or prepositions as well are left out, and English
 * `that`, which is more often a conjunction, is looked at where it stands.
 */
const pointing: Readonly<Record<string, ReadonlySet<string>>> = {
  english: list('it its they them their theirs he him his she her hers this these those ones former latter'),
  german: list(
    'er ihn ihm sie ihr ihre ihren ihrem es dieser diese dieses diesen diesem davon dafür damit dazu daran darin',
  ),
  french: list('il elle lui ils elles leur leurs eux celui celle ceux celles cela ça'),
  spanish: list('él ella ello ellos ellas su sus este esta esto estos estas ese esa eso'),
  italian: list('lui lei esso essa loro suo sua suoi sue questo questa questi queste quello quella'),
  portuguese: list('ele ela eles elas seu sua seus suas este esta isto esse essa isso'),
  dutch: list('hij hem zij haar hun hen dit deze ervan ervoor daarvan daarmee'),
}
const pointingThat =
  /\b(?:do|does|did|is|was|about|like|than|why)\s+that\b|\bthat\b(?=\W*$|\s+(?:is|was|does|did|would|could|can|has|had)\b)/i

/** How questions begin that go on with what was asked before. */
const goingOn: Readonly<Record<string, RegExp>> = {
  english: /^\s*(?:and|but|or|so|then|also|what about|how about|what else|who else|where else|why not)\s/i,
  german: /^\s*(?:und|aber|oder|auch|was ist mit|wie ist es mit|was noch)\s/i,
  french: /^\s*(?:et|ou|mais|alors)\s/i,
  spanish: /^\s*\u00bf?\s*(?:y|o|pero|entonces)\s/i,
  italian: /^\s*(?:e|o|ma|allora)\s/i,
  portuguese: /^\s*(?:e|ou|mas|ent\u00e3o)\s/i,
  dutch: /^\s*(?:en|of|maar|dan)\s/i,
}

/** Distinct terms below which a question says too little to stand alone ("Why?", "How tall?"). */
const leastTerms = 2

/** Whether a question can only be understood with what was said before it, as far as its words tell: they point back, go on, or are too few. */
export function pointsBack(question: string, analyzer: Analyzer): boolean {
  const { language } = analyzer
  if (goingOn[language]?.test(question) === true) return true
  const own = pointing[language]
  if (wordsOf(question).some((word) => own?.has(word.toLowerCase()) === true)) return true
  if (language === 'english' && pointingThat.test(question)) return true
  const terms = new Set(analyzer.terms(question).filter((term) => !analyzer.isStopWord(term)))
  return terms.size < leastTerms
}

/** Turns that are looked back at, and the characters of each. */
const maxTurns = 8
const maxCharacters = 4_000
/** Words that are taken of earlier questions, and names of the last answer. */
const maxWords = 6
const maxNames = 3

/**
 * What a question that points back is about: words of the questions before it, back to the last one that stands alone, and names of the
 * last answer, each once and none that the question has itself. Empty for a question that stands alone.
 */
export function topicWords(question: string, said: Said, analyzer: Analyzer): string[] {
  if (!pointsBack(question, analyzer)) return []
  const taken = new Set(wordsOf(question).flatMap((word) => analyzer.terms(word)))
  const take = (words: readonly string[], most: number): string[] => {
    const kept: string[] = []
    for (const word of words) {
      const terms = analyzer.terms(word)
      if (kept.length === most || terms.every((term) => taken.has(term))) continue
      for (const term of terms) taken.add(term)
      kept.push(word)
    }
    return kept
  }
  const recent = said.slice(-maxTurns)
  const topics: string[] = []
  for (const { content, role } of recent.toReversed()) {
    if (role !== 'user') continue
    const asked = shortened(content, maxCharacters)
    topics.push(...take(topicOf(asked, analyzer), maxWords - topics.length))
    if (topics.length === maxWords || !pointsBack(asked, analyzer)) break
  }
  const answer = recent.findLast(({ role }) => role === 'assistant')?.content ?? ''
  return [...topics, ...take(namesIn(shortened(answer, maxCharacters), analyzer), maxNames)]
}

/** What a question is about: its names and codes, else all words that are no function words. What it asks of them is of no concern to the next one. */
function topicOf(question: string, analyzer: Analyzer): string[] {
  const [first, ...rest] = wordsOf(question)
  const isCode = (word: string): boolean => /\d|\p{Lu}.*\p{Lu}/u.test(word)
  // The first word has its capital from the sentence.
  const names = [
    ...(first !== undefined && isCode(first) ? [first] : []),
    ...rest.filter((word) => /^\p{Lu}|\d/u.test(word)),
  ]
  const topic = names.filter((word) => isContent(word, analyzer))
  return topic.length > 0 ? topic : wordsOf(question).filter((word) => isContent(word, analyzer))
}

/** Words with a capital that do not begin a sentence, and codes: the most frequent first, then the first in the text. */
function namesIn(text: string, analyzer: Analyzer): string[] {
  const counts = new Map<string, number>()
  for (const { 0: word, index } of text.matchAll(wordPattern)) {
    const begins = /(?:^|[.!?:\n\u2022]["'\u201d)\]]*\s*(?:\[\d+\]\s*)*)$/u.test(
      text.slice(Math.max(0, index - 12), index),
    )
    const isCode = /\d/.test(word) && /\p{L}/u.test(word)
    if (!isCode && (begins || !/^\p{Lu}/u.test(word))) continue
    if (isContent(word, analyzer)) counts.set(word, (counts.get(word) ?? 0) + 1)
  }
  return [...counts].sort(([, a], [, b]) => b - a).map(([word]) => word)
}

/** Lengths are bounded, so that matching is linear. */
const wordPattern = /[\p{L}\p{N}][\p{L}\p{M}\p{N}'\u2019_-]{0,63}/gu

function wordsOf(text: string): string[] {
  return text.match(wordPattern) ?? []
}

function isContent(word: string, analyzer: Analyzer): boolean {
  const terms = analyzer.terms(word)
  return terms.length > 0 && !terms.every((term) => analyzer.isStopWord(term))
}
