import type { Prompt } from './types.js'

/** Says of a question which of two models is to answer it. Pure and fast: it is asked before every answer. */
export type RouteRule = (prompt: Prompt) => 'simple' | 'strong'

/** Words, and sentences, of a question that asks for one thing. */
const longestSimple = { words: 25, sentences: 2, characters: 1_000 }

/**
 * Words by which somebody asks to have things compared, explained, judged or summed up, rather than looked up. English, German, French,
 * Spanish and Italian, as stems at the beginning of words.
 */
const demanding = new RegExp(
  `(?<![\\p{L}\\p{N}])(?:${[
    'why|how come|compar|contrast|differ(?:s|ence|ent)|versus|vs|pros|cons|trade-?offs?|advantages?|disadvantages?|better|best|worse|worst|analy[sz]|evaluat|assess|explain|justif|prove|deriv|summar|outline|implication|consequence|relationship|step by step|recommend|should (?:i|we)|what (?:if|happens)|reason(?:s|ing)?(?![a-z])',
    'warum|weshalb|wieso|vergleich|untersch|erkl[äa]r|erläuter|analysier|bewert|zusammenfass|vorteil|nachteil|begründ|empfehl|empfiehl|sollte[n]? (?:ich|wir)',
    'pourquoi|compare[rz]?|différence|expliqu|analys|évalu|résum|avantage|inconvénient|recommand|justifi',
    'por qué|compar|diferencia|expli[cq]|analiz|eval[uú]|resum|ventaja|desventaja|recomiend|justific',
    'perché|confront|differenz|spieg|analizz|valut|riassum|vantagg|svantagg|consigli|giustific',
  ].join('|')})`,
  'iu',
)

/** Two questions in one: `What is X and how does it work?` */
const joined =
  /[^\s\p{P}][\s\p{P}]{1,3}(?:and|or|und|oder|et|ou|y|o|e)\s+(?:how|what|when|where|which|who|whose|wie|was|wann|wo|welche[rsmn]?|wer|comment|quand|où|quel(?:le)?s?|qui|cómo|qué|cuándo|dónde|cuál|quién|come|cosa|quando|dove|quale|chi)(?!\p{L})/iu

/**
 * The rule of a route that has none of its own. A question is `'simple'` when it looks like one thing that can be looked up: at most 25 words in at
 * most two sentences, one question mark at most, no line breaks, no word that asks to compare, explain, judge or sum up, and no second
 * question behind an "and". It is `'strong'` otherwise, and so is every prompt of a conversation with answers in it, whose last words
 * say little by themselves. It looks at the question alone: sources are as long for the one as for the other.
 */
export function simpleOrStrong({
  messages = [],
  question,
}: Pick<Prompt, 'messages' | 'question'>): 'simple' | 'strong' {
  const text = question.trim()
  if (text.length > longestSimple.characters) return 'strong'
  if (messages.some(({ role }) => role === 'assistant')) return 'strong'
  const words = text.match(/[\p{L}\p{N}]+/gu)?.length ?? 0
  const sentences = text.split(/[.!?。！？؟](?:\s|$)/u).filter((part) => /[\p{L}\p{N}]/u.test(part)).length
  const asked = text.match(/[?？؟]/gu)?.length ?? 0
  if (words > longestSimple.words || sentences > longestSimple.sentences || asked > 1) return 'strong'
  return /[\r\n]/.test(text) || demanding.test(text) || joined.test(text) ? 'strong' : 'simple'
}
