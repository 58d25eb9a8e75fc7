import { RagError } from '../core/errors.js'
import { type Analyzer, createAnalyzer } from '../text/analyzer.js'
import { sentenceSpans } from '../text/sentences.js'
import { stopWords } from '../text/stop-words.js'
import { escapeCitationMarkers } from '../util/citation-marker.js'
import { memoizeAsync } from '../util/memoize-async.js'
import type { Llm, Prompt, PromptSource } from './types.js'

/** Options of {@link createExtractiveLlm}. */
export interface ExtractiveOptions {
  /** Sentences of an answer, at most: 1 to 20. Default 3. */
  readonly maxSentences?: number
}

/**
 * Answers without a model: quotes the sentences of the sources that say most about the question, word for word, each
 * followed by its ` [n]`. Streams nothing when too little of the question is found in them. Throws `BAD_OPTION` for
 * `maxSentences` out of range.
 */
export function createExtractiveLlm({ maxSentences = 3 }: ExtractiveOptions = {}): Llm {
  if (!Number.isInteger(maxSentences) || maxSentences < 1 || maxSentences > 20) {
    throw new RagError('BAD_OPTION', 'maxSentences is a whole number from 1 to 20.', { data: { maxSentences } })
  }
  const analyzers = new Map<string, () => Promise<Analyzer>>()
  const analyzerFor = (language: string): Promise<Analyzer> => {
    const make = analyzers.get(language) ?? memoizeAsync(() => createAnalyzer(language))
    analyzers.set(language, make)
    return make()
  }
  return {
    id: 'extractive',
    async *generate(prompt, { signal }) {
      signal?.throwIfAborted()
      const sources = await Promise.all(
        prompt.sources.map(async (source) => readSource(source, prompt, await analyzerFor(source.language))),
      )
      const question = weighQuestion(prompt, sources)
      const passages = sources.map((source, rank) => scorePassage(source, rank, question))
      if (!isAnswerable(evidenceOf(passages, question))) return
      const chosen = chooseSentences(passages, question, maxSentences)
      for (const [i, { text, marker }] of chosen.entries()) {
        signal?.throwIfAborted()
        yield `${i === 0 ? '' : ' '}${escapeCitationMarkers(text)} [${marker}]`
      }
    },
    async close() {},
  }
}

/** A source with the words of the question as its language reduces them. */
interface ReadSource {
  readonly marker: number
  /** Retrieval score over the best one's. */
  readonly closeness: number
  /** Stems of the question, in its order. */
  readonly asked: readonly string[]
  /** Stems of title and headings. */
  readonly heading: ReadonlySet<string>
  readonly sentences: readonly { readonly text: string; readonly stems: readonly string[] }[]
}

function readSource(source: PromptSource, { question, sources }: Prompt, analyzer: Analyzer): ReadSource {
  const functionWords = new Set(analyzer.terms((stopWords[analyzer.language] ?? []).join(' ')))
  // A question of function words alone ("To be or not to be?") is asked with them.
  const isTelling = analyzer.terms(question).some((stem) => !functionWords.has(stem))
  const telling = (text: string): string[] =>
    analyzer.terms(text).filter((stem) => !(isTelling && functionWords.has(stem)))
  const best = Math.max(...sources.map(({ score }) => score))
  const bounds = sentenceSpans(source.text)
  return {
    marker: source.marker,
    closeness: best > 0 ? Math.max(0, source.score / best) : 1,
    asked: telling(question),
    heading: new Set(telling([source.title, ...source.headings].join('\n'))),
    sentences: Array.from({ length: bounds.length / 2 }, (_, i) => {
      const text = source.text.slice(bounds[2 * i], bounds[2 * i + 1])
      return { text, stems: telling(text) }
    }),
  }
}

/** What is asked for. */
interface WeighedQuestion {
  /** Inverse document frequency by stem. */
  readonly weights: ReadonlyMap<string, number>
  readonly total: number
  /** Pairs of stems that follow each other in the question. */
  readonly pairs: ReadonlySet<string>
  /** What a sentence looks like that gives the kind of thing that is asked for. */
  readonly hints: readonly RegExp[]
}

function weighQuestion({ question, terms }: Prompt, sources: readonly ReadSource[]): WeighedQuestion {
  const known = new Map(terms.map(({ term, idf }) => [term, idf]))
  const asked = new Set(sources.flatMap((source) => source.asked))
  const weights = new Map([...asked].map((stem) => [stem, known.get(stem) ?? localIdf(stem, sources)]))
  return {
    weights,
    total: [...weights.values()].reduce((sum, weight) => sum + weight, 0),
    pairs: new Set(sources.flatMap((source) => pairsOf(source.asked))),
    hints: answerHints.filter(({ question: kind }) => kind.test(question)).map(({ sentence }) => sentence),
  }
}

/** Rarity among the sentences at hand, for questions that no lexical index has seen. */
function localIdf(stem: string, sources: readonly ReadSource[]): number {
  const sentences = sources.flatMap((source) => source.sentences)
  const holders = sentences.filter(({ stems }) => stems.includes(stem)).length
  return Math.log(1 + (sentences.length - holders + 0.5) / (holders + 0.5))
}

function pairsOf(stems: readonly string[]): string[] {
  return stems.slice(1).map((stem, i) => `${stems[i]} ${stem}`)
}

/** English questions and what their answers tend to contain. Other languages do without. */
const answerHints: readonly { readonly question: RegExp; readonly sentence: RegExp }[] = [
  {
    question: /\bhow (?:many|much|often|large|big|high|far|old)\b|\b(?:number|percentage|proportion|amount) of\b/i,
    sentence: /\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|dozen|hundred|thousand|million|half|twice)\b/i,
  },
  {
    question: /\bhow long\b/i,
    sentence: /\b(?:\d+|one|two|three|several)[\s-]+(?:seconds?|minutes?|hours?|days?|weeks?|months?|years?)\b/i,
  },
  {
    question: /\bwhen\b|\b(?:what|which) (?:year|date|day|month)\b/i,
    sentence:
      /\b1\d{3}\b|\b20\d{2}\b|\b(?:january|february|march|april|may|june|july|august|september|october|november|december)\b/i,
  },
  { question: /\bwho\b|\bwhose\b/i, sentence: /\p{Lu}\p{Ll}+ \p{Lu}\p{Ll}+/u },
  { question: /\bwhere\b/i, sentence: /\b(?:in|at|from|near|on) (?:the )?\p{Lu}/u },
  {
    question: /\bwhy\b|\breasons?\b/i,
    sentence: /\b(?:because|due to|since|therefore|in order to|as a result|so that|reasons?|caused?)\b/i,
  },
  {
    question: /^\s*(?:what|who) (?:is|are|was|were)\b|\bdefin|\bmean(?:s|ing)?\b|\bpurpose of\b/i,
    sentence:
      /\b(?:is|are|was|were) (?:an?|the|one|used|defined|called|designed)\b|\brefers? to\b|\bmeans\b|\bdefined as\b|\bknown as\b/i,
  },
]

/** A source whose sentences were scored. */
interface ScoredPassage {
  /** Pairs of the question that stand in its sentences. */
  readonly pairs: readonly string[]
  readonly sentences: readonly ScoredSentence[]
  /** Stems of the question anywhere in it, title and headings included. */
  readonly found: ReadonlySet<string>
}

interface ScoredSentence {
  readonly marker: number
  /** Place of the source, and of the sentence within it. */
  readonly rank: number
  readonly ordinal: number
  readonly text: string
  /** All of its stems. */
  readonly stems: ReadonlySet<string>
  /** Stems of the question that it holds. */
  readonly found: ReadonlySet<string>
  readonly score: number
}

/**
 * These weights were chosen by how often a quoted sentence holds the answer, on sets that mark it (`bench/answer.ts`).
 */
const headingWeight = 0.2
const pairWeight = 0.3
const hintBonus = 0.1
const closenessWeight = 0.6
/**
 * Stems of a sentence of usual length; longer ones pay for what they say beside the point. More than a little does
 * harm: .28 against .33.
 */
const usualLength = 12
const lengthWeight = 0.1

function scorePassage(source: ReadSource, rank: number, question: WeighedQuestion): ScoredPassage {
  const asked = (stems: Iterable<string>): Set<string> =>
    new Set([...stems].filter((stem) => question.weights.has(stem)))
  const heading = asked(source.heading)
  const pairs = source.sentences.map(({ stems }) => pairsOf(stems).filter((pair) => question.pairs.has(pair)))
  const found = source.sentences.map(({ stems }) => asked(stems))
  const own = source.sentences.map((sentence, i) =>
    scoreSentence(sentence, { found: found[i] ?? new Set(), pairs: pairs[i]?.length ?? 0, heading }, question),
  )
  return {
    pairs: pairs.flat(),
    found: new Set([heading, ...found].flatMap((stems) => [...stems])),
    sentences: source.sentences.map(({ text, stems }, i) => {
      const score = (own[i] ?? 0) * (1 - closenessWeight + closenessWeight * source.closeness)
      const { marker } = source
      return { marker, rank, ordinal: i, text, stems: new Set(stems), found: found[i] ?? new Set(), score }
    }),
  }
}

interface Findings {
  readonly found: ReadonlySet<string>
  readonly pairs: number
  readonly heading: ReadonlySet<string>
}

/** The weight of what it holds, as in BM25 damped by its length, raised or lowered by its form. */
function scoreSentence(
  { text, stems }: ReadSource['sentences'][number],
  { found, pairs, heading }: Findings,
  question: WeighedQuestion,
): number {
  if (found.size === 0) return 0
  const above = [...heading].filter((stem) => !found.has(stem))
  const meanWeight = question.total / question.weights.size
  const words = weightOf(found, question) + headingWeight * weightOf(above, question) + pairWeight * pairs * meanWeight
  const length = 1 - lengthWeight + (lengthWeight * Math.max(stems.length, usualLength / 2)) / usualLength
  const hinted = question.hints.some((hint) => hint.test(text)) ? 1 + hintBonus : 1
  return (words / length) * hinted * wholeness(text)
}

function weightOf(stems: Iterable<string>, { weights }: WeighedQuestion): number {
  let sum = 0
  for (const stem of stems) sum += weights.get(stem) ?? 0
  return sum
}

/** Headings, fragments and questions seldom answer. */
function wholeness(text: string): number {
  if (/[?\uff1f]["'\u201d\u2019)]*$/.test(text)) return 0.4
  if (text.length < 20) return 0.3
  return /[.!\u2026\u3002\uff01\u0964:;]["'\u201d\u2019)\]]*$/.test(text) ? 1 : 0.7
}

/** What speaks for an answer. Shares are of the question's weight, 0 to 1. */
interface Evidence {
  /** Distinct stems of the question. */
  readonly asked: number
  /** Share that the best source holds. */
  readonly bestShare: number
  /** Share that a source holds on average: on a topic that the corpus covers, all of them speak of it. */
  readonly meanShare: number
  /** Stems of the question in the source that holds most of them. */
  readonly found: number
  /** Pairs of neighbours in the question that are neighbours in some sentence too. */
  readonly pairs: number
}

function evidenceOf(passages: readonly ScoredPassage[], question: WeighedQuestion): Evidence {
  const shares = passages.map(({ found }) => (question.total === 0 ? 0 : weightOf(found, question) / question.total))
  return {
    asked: question.weights.size,
    bestShare: Math.max(0, ...shares),
    meanShare: shares.reduce((sum, share) => sum + share, 0) / Math.max(1, shares.length),
    found: Math.max(0, ...passages.map(({ found }) => found.size)),
    pairs: new Set(passages.flatMap(({ pairs }) => pairs)).size,
  }
}

/**
 * A logistic regression, fitted to questions of six sets (med, cranfield, covidqa, scifact, adi, contextual-code) asked
 * of their own corpus and of each other's; the bound refuses one answerable question in twenty of them.
 * `bench/answer.ts` measures it on pairs it has not seen. Words found count beside shares, because half of two words is
 * found by chance and half of ten is not.
 */
function isAnswerable({ asked, bestShare, meanShare, found, pairs }: Evidence): boolean {
  if (found === 0) return false
  const words = -1.25 * Math.log(asked) + 3.55 * Math.log(1 + found) + 2.05 * Math.log(1 + pairs)
  return 2.9 * bestShare + 1.7 * meanShare + words > 4
}

/** A further sentence is taken while it is at least this good, compared with the best and less what is already said. */
const furtherShare = 0.45
/** How much of what a sentence shares with those already taken counts against it. */
const repetitionWeight = 0.5

function chooseSentences(
  passages: readonly ScoredPassage[],
  question: WeighedQuestion,
  count: number,
): ScoredSentence[] {
  const rest = passages
    .flatMap(({ sentences }) => sentences)
    .filter(({ found, text }) => found.size > 0 && !isQuestion.test(text))
  const chosen: ScoredSentence[] = []
  const said = new Set<string>()
  let best = 0
  while (chosen.length < count) {
    let next: ScoredSentence | undefined
    let nextScore = 0
    for (const sentence of rest) {
      if (chosen.some((other) => saysTheSame(other, sentence))) continue
      const score = sentence.score * (1 - repetitionWeight * repeatedShare(sentence, said, question))
      if (score > nextScore) {
        next = sentence
        nextScore = score
      }
    }
    if (next === undefined || nextScore < furtherShare * best) break
    if (chosen.length === 0) best = nextScore
    chosen.push(next)
    for (const stem of next.found) said.add(stem)
  }
  return inReadingOrder(chosen)
}

/** A question answers none, however much it resembles it. */
const isQuestion = /[?？؟]["'”’»)\]]*$/

/** Share of the stems of the shorter of two sentences that the other has too, from which on quoting both would say one thing twice. */
const sameShare = 0.8

/** The same text, or the same words in another dress: a document and its PDF, a quotation. */
function saysTheSame(a: ScoredSentence, b: ScoredSentence): boolean {
  if (a.text === b.text) return true
  const [shorter, longer] = a.stems.size < b.stems.size ? [a.stems, b.stems] : [b.stems, a.stems]
  const common = [...shorter].filter((stem) => longer.has(stem)).length
  return shorter.size > 0 && common >= sameShare * shorter.size
}

/** How much of what a sentence says about the question was said before, 0 to 1. */
function repeatedShare({ found }: ScoredSentence, said: ReadonlySet<string>, question: WeighedQuestion): number {
  const all = weightOf(found, question)
  const repeated = [...found].filter((stem) => said.has(stem))
  return all === 0 ? 0 : weightOf(repeated, question) / all
}

/** The source of the best sentence first; sentences of one source as they stand there. */
function inReadingOrder(chosen: readonly ScoredSentence[]): ScoredSentence[] {
  const order = [...new Set(chosen.map(({ rank }) => rank))]
  return [...chosen].sort((a, b) => order.indexOf(a.rank) - order.indexOf(b.rank) || a.ordinal - b.ordinal)
}
