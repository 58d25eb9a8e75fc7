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
  english: /^\s*(?:and|but|or|so|then|also|what about|how about)\s/i,
  german: /^\s*(?:und|aber|oder|auch|was ist mit|wie ist es mit)\s/i,
  french: /^\s*(?:et|ou|mais|alors)\s/i,
  spanish: /^\s*\u00bf?\s*(?:y|o|pero|entonces)\s/i,
  italian: /^\s*(?:e|o|ma|allora)\s/i,
  portuguese: /^\s*(?:e|ou|mas|ent\u00e3o)\s/i,
  dutch: /^\s*(?:en|of|maar|dan)\s/i,
}

/** Words that ask: a question that goes on and has one of them says itself what it asks. */
const asking: Readonly<Record<string, RegExp>> = {
  english: /\b(?:what|which|who|whom|whose|when|where|why|how)\b(?!\s+about\b)/i,
  german:
    /\b(?:was|welche[rsmn]?|wer|wen|wem|wessen|wann|wo|warum|weshalb|wie|wieso|wozu)\b(?!\s+ist(?:\s+es)?\s+mit\b)/i,
  french: /(?<!\p{L})(?:quoi|quel(?:le)?s?|qui|quand|o\u00f9|pourquoi|comment|combien)(?!\p{L})/iu,
  spanish:
    /(?<!\p{L})(?:qu\u00e9|cu\u00e1l(?:es)?|qui\u00e9n(?:es)?|cu\u00e1ndo|d\u00f3nde|c\u00f3mo|cu\u00e1nt[oa]s?)(?!\p{L})/iu,
  italian: /(?<!\p{L})(?:cosa|quale|quali|chi|quando|dove|perch\u00e9|come|quant[oaie])(?!\p{L})/iu,
  portuguese: /(?<!\p{L})(?:qual|quais|quem|quando|onde|porque|quant[oa]s?)(?!\p{L})/iu,
  dutch: /\b(?:wat|welke?|wie|wanneer|waar|waarom|hoe|hoeveel)\b/i,
}

/** Pronouns of persons: they may mean somebody whom the answer named. */
const personal = list(
  'he him his she her hers they them their er ihn ihm sie ihr il elle lui ils elles él ella ellos ellas lei loro ele ela eles elas hij hem haar hun',
)

/** Distinct terms below which a question says too little to stand alone ("Why?", "How tall?"). */
const leastTerms = 2
/** Characters of a question, and of an answer, that are read: words that were never seen before take 13 µs each. */
const maxCharacters = 400
const maxAnswerCharacters = 800

/** How a question depends on what was said: `topic`: it does not say of what; `asked`: it does not say what; absent: it stands alone. */
type Dependence = 'topic' | 'asked' | undefined

/** Whether a question can only be understood with what was said before it, as far as its words tell: they point back, go on, or are too few. */
export function pointsBack(question: string, analyzer: Analyzer): boolean {
  return dependenceOf(question, analyzer) !== undefined
}

function dependenceOf(text: string, analyzer: Analyzer): Dependence {
  const question = shortened(text, maxCharacters)
  const { language } = analyzer
  const own = pointing[language]
  if (wordsOf(question).some((word) => own?.has(word.toLowerCase()) === true)) return 'topic'
  if (language === 'english' && pointingThat.test(question)) return 'topic'
  const terms = new Set(analyzer.terms(question).filter((term) => !analyzer.isStopWord(term)))
  if (goingOn[language]?.test(question) === true && terms.size > 0 && asking[language]?.test(question) !== true) {
    return 'asked'
  }
  return terms.size < leastTerms ? 'topic' : undefined
}

/** Turns that are looked back at. */
const maxTurns = 8
/** Words that are taken of earlier questions, and names of the last answer. */
const maxWords = 6
const maxNames = 3

/**
 * What is missing in a question that points back, each word once and none that it has itself: what earlier questions were about, back to the
 * last one that stands alone; names of the last answer, where somebody or nothing else is meant; what the last question asked, where this one
 * only names another thing ("And Big Ben?"). Empty for a question that stands alone.
 */
export function topicWords(question: string, said: Said, analyzer: Analyzer): string[] {
  const dependence = dependenceOf(question, analyzer)
  if (dependence === undefined) return []
  const words = wordsOf(shortened(question, maxCharacters))
  const taken = new Set(words.flatMap((word) => analyzer.terms(word)))
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
    const { names, others } = partsOf(asked, analyzer)
    const wanted = dependence === 'asked' ? others : names.length > 0 ? names : others
    topics.push(...take(wanted, maxWords - topics.length))
    if (topics.length === maxWords || !pointsBack(asked, analyzer)) break
  }
  const meansSomebody = words.some((word) => personal.has(word.toLowerCase()))
  if (dependence === 'asked' || (topics.length > 0 && !meansSomebody)) return topics
  const answer = recent.findLast(({ role }) => role === 'assistant')?.content ?? ''
  return [...topics, ...take(namesIn(shortened(answer, maxAnswerCharacters), analyzer), maxNames)]
}

/** The names and codes of a question, and its other words that are no function words. */
function partsOf(question: string, analyzer: Analyzer): { readonly names: string[]; readonly others: string[] } {
  const names: string[] = []
  const others: string[] = []
  for (const [place, word] of wordsOf(question).entries()) {
    if (!isContent(word, analyzer)) continue
    // The first word has its capital from the sentence.
    const isName = /\d|\p{Lu}.*\p{Lu}/u.test(word) || (place > 0 && /^\p{Lu}/u.test(word))
    if (isName) names.push(word)
    else others.push(word)
  }
  return { names, others }
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
