import type { Analyzer } from './analyzer.js'
import { sentenceSpans } from './sentences.js'
import { topicWords } from './stand-alone.js'

/** Parts of a question at most. */
const maxParts = 4
/** Characters that are read: nobody asks two things in two pages, and words that were never seen before take 13 µs each. */
const maxCharacters = 1_000
/** Words of a thing that is compared, at most. */
const maxCompared = 8

/** Where one question ends and the next begins, by language profile: a conjunction before a question word. */
const seams: Readonly<Record<string, RegExp>> = {
  english:
    /[,;]?\s+(?:and|or|but)\s+(?:also\s+|then\s+)?(?=(?:what|which|who|whom|whose|when|where|why|how)\b(?!\s+(?:is|are)\s+the\s+same))/giu,
  german:
    /[,;]?\s+(?:und|oder|aber)\s+(?=(?:was|welche[rsmn]?|wer|wen|wem|wessen|wann|wo|warum|weshalb|wie|wieso|wozu)\b)/giu,
  french: /[,;]?\s+(?:et|ou|mais)\s+(?=(?:que|quoi|quel(?:le)?s?|qui|quand|où|pourquoi|comment|combien)(?![\p{L}]))/giu,
  spanish:
    /[,;]?\s+(?:y|e|o|u|pero)\s+¿?(?=(?:qué|cuál(?:es)?|quién(?:es)?|cuándo|dónde|cómo|cuánt[oa]s?)(?![\p{L}]))/giu,
  italian: /[,;]?\s+(?:e|o|ma)\s+(?=(?:che|cosa|quale|quali|chi|quando|dove|perché|come|quant[oaie])(?![\p{L}]))/giu,
  portuguese: /[,;]?\s+(?:e|ou|mas)\s+(?=(?:que|qual|quais|quem|quando|onde|porque|como|quant[oa]s?)(?![\p{L}]))/giu,
  dutch: /[,;]?\s+(?:en|of|maar)\s+(?=(?:wat|welke?|wie|wanneer|waar|waarom|hoe|hoeveel)\b)/giu,
}

/** Two things that are compared, in English. Lengths are bounded, so that matching is linear. */
const comparisons: readonly RegExp[] = [
  /\bdifferences?\s+between\s+(.{1,200}?)\s+and\s+(.{1,200})$/iu,
  /\bcompare\s+(.{1,200}?)\s+(?:and|with|to)\s+(.{1,200})$/iu,
  /^(?:.{0,100}?\b(?:is|are|better|faster|between)\s+)?(.{1,100}?)\s+(?:versus|vs\.?)\s+(.{1,100})$/iu,
]

/**
 * The questions that a question is made of, in their order, cut where one ends and the next begins: at sentences, at conjunctions before a
 * question word, and, in English, between things that are compared. A part that points back ("… and who built it?") gets the words of the
 * one before. Empty for a question that asks one thing, as far as this can tell; four at most.
 */
export function subQuestions(question: string, analyzer: Analyzer): string[] {
  // Runs of blanks would be tried at every place by every pattern.
  const text = question.slice(0, maxCharacters).replace(/\s+/g, ' ')
  const parts: string[] = []
  for (const one of questionsIn(text)) {
    const compared = comparedIn(one, analyzer)
    if (compared !== undefined) parts.push(...compared)
    else for (const part of splitAtSeams(one, analyzer)) parts.push(completed(part, parts, analyzer))
  }
  const different = [...new Set(parts)]
  return different.length < 2 ? [] : different.slice(0, maxParts)
}

/** A part that points back, with the words of those before it. */
function completed(part: string, before: readonly string[], analyzer: Analyzer): string {
  const said = before.map((content) => ({ role: 'user' as const, content }))
  const words = topicWords(part, said, analyzer)
  return words.length === 0 ? part : `${part} (${words.join(' ')})`
}

/** Sentences that ask; all of the text where it is one. */
function questionsIn(text: string): string[] {
  const spans = sentenceSpans(text)
  const sentences = Array.from({ length: spans.length / 2 }, (_, i) => text.slice(spans[2 * i], spans[2 * i + 1]))
  const asking = sentences.filter((sentence) => /[?？؟]["'”’»)\]]*$/u.test(sentence))
  return asking.length > 0 ? asking : [text.trim()]
}

function splitAtSeams(question: string, analyzer: Analyzer): string[] {
  const seam = seams[analyzer.language]
  const parts = seam === undefined ? [question] : question.split(seam).map((part) => part.trim())
  if (parts.length < 2 || parts.some((part) => !saysSomething(part, analyzer))) return [question]
  return parts
}

function comparedIn(question: string, analyzer: Analyzer): string[] | undefined {
  if (analyzer.language !== 'english') return undefined
  const bare = question.replace(/[\s?.!]+$/u, '')
  for (const pattern of comparisons) {
    const things = pattern.exec(bare)?.slice(1)
    if (things === undefined) continue
    const isShort = things.every((thing) => thing.split(/\s+/).length <= maxCompared && saysSomething(thing, analyzer))
    if (isShort) return things
  }
  return undefined
}

function saysSomething(text: string, analyzer: Analyzer): boolean {
  return analyzer.terms(text).some((term) => !analyzer.isStopWord(term))
}
