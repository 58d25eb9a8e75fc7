import { stopWords } from '../stop-words.js'
import {
  boundUnits,
  dateWords,
  monthNames,
  negators,
  numbers,
  openers,
  type Pole,
  poles,
  relativeTimes,
  timeSpans,
  units,
} from './lexicon.js'

/** What a question says that another one must say as well to have the same answer. Texts are sorted, so that equal facts are equal. */
export interface QuestionFacts {
  readonly numbers: readonly string[]
  readonly dates: readonly string[]
  /** Behind a number, and elsewhere. */
  readonly boundUnits: readonly string[]
  readonly freeUnits: readonly string[]
  readonly isNegated: boolean
  /** Signs by axis of `poles`; 0 for both. */
  readonly poles: ReadonlyMap<number, number>
  readonly quotations: readonly string[]
  /** Names, codes and whatever else is written with capitals, in lower case. */
  readonly names: readonly string[]
  /** All words in lower case, and those among them that are no function words, in their order. */
  readonly words: ReadonlySet<string>
  readonly content: readonly string[]
  readonly hasPossessive: boolean
  /** The word behind "from", and those behind "than". */
  readonly origin: string | undefined
  readonly standard: readonly string[]
  /** Nothing is written with capitals, so that names cannot be told from other words. */
  readonly isPlain: boolean
  readonly text: string
}

/** Of longer questions the rest is not read, in UTF-16 code units: reading stays below a millisecond. */
export const maxCharacters = 4_096

const quoted =
  /"([^"]+)"|“([^”]+)”|„([^“”]+)[“”]|«([^»]+)»|‹([^›]+)›|`([^`]+)`|(?<![\p{L}\p{N}])['‘]([^'‘’]+)['’](?![\p{L}\p{N}])/gu
const isoDate = /\b(\d{4})-(\d{2})-(\d{2})\b/g
const token =
  /[$€£¥]|(?<=^|[\s(])[-−](?=\d)|\d+(?:[.,:]\d+)*(?:\s?(?:%|°\s?[cf]\b|[℃℉]))?|km\/h|[\p{L}\p{M}\p{N}]+(?:['’.&+/_-][\p{L}\p{M}\p{N}]+)*[+#]*/giu
const functionWords: ReadonlySet<string> = new Set(stopWords.english)
/** Several letters, so that neither `I` nor a section C is one. */
const roman = /^(?=[IVXLC]{2,}$)(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})$/

interface Word {
  readonly raw: string
  readonly lower: string
}

/** Reads a question. */
export function readFacts(question: string): QuestionFacts {
  const text = question.normalize('NFKC').replace(/\s+/g, ' ').trim()
  const quotations: string[] = []
  const plain = text
    .slice(0, maxCharacters)
    .replace(quoted, (match, ...groups: (string | undefined)[]) => {
      quotations.push((groups.slice(0, 7).find((group) => group !== undefined) ?? match).trim())
      return ' '
    })
    .replace(
      isoDate,
      (_match, year: string, month: string, day: string) => ` ${Number(day)} month-${Number(month)} ${year} `,
    )
    .replace(/[’]/g, "'")
  const hasPossessive = /\p{L}'s?\b|s'(?=\s|$)/iu.test(plain.replace(/n't\b/gi, ''))
  const words = splitWords(plain)
  return { ...collect(words), ...orderOf(words), quotations: quotations.sort(), hasPossessive, text }
}

/** Words without possessive endings; what is written together is taken apart: `10mg`, `can't`, `16th`. */
function splitWords(text: string): Word[] {
  const words: Word[] = []
  const push = (raw: string) => words.push({ raw, lower: raw.toLowerCase() })
  let sign = ''
  for (const [found] of text.matchAll(token)) {
    if (/^[-−]$/.test(found)) {
      sign = '-'
      continue
    }
    const raw = found.replace(/['’](?:s|S)$/, '')
    const lower = raw.toLowerCase()
    const contracted = /^(.+)n't$/.exec(lower)
    const measured = /^(\d+(?:[.,:]\d+)*)\s?(st|nd|rd|th|s|%|°\s?[cf]|[\p{L}µμ℃℉]+)$/u.exec(lower)
    if (contracted !== null) {
      push(lower === "can't" ? 'can' : (contracted[1] as string))
      push('not')
    } else if (lower === 'cannot') {
      push('can')
      push('not')
    } else if (measured !== null && isMeasure(measured[2] as string)) {
      push(`${sign}${measured[1]}`)
      if (!/^(?:st|nd|rd|th|s)$/.test(measured[2] as string)) push((measured[2] as string).replace(/\s/g, ''))
    } else push(`${sign}${raw}`)
    sign = ''
  }
  return words
}

function isMeasure(ending: string): boolean {
  return /^(?:st|nd|rd|th|s)$/.test(ending) || units.has(ending.replace(/\s/g, ''))
}

type Collected = Pick<
  QuestionFacts,
  'numbers' | 'dates' | 'boundUnits' | 'freeUnits' | 'isNegated' | 'poles' | 'names' | 'words' | 'content' | 'isPlain'
>

function collect(words: readonly Word[]): Collected {
  const found = { numbers: [] as string[], dates: [] as string[], bound: new Set<string>(), free: new Set<string>() }
  const names: string[] = []
  const content: string[] = []
  let negations = 0
  for (const [place, word] of words.entries()) {
    const { lower, raw } = word
    const before = words[place - 1]
    const number = numberOf(word, place, words)
    const unit = unitOf(word, place, words)
    const date = dateOf(word, place, words)
    if (number !== undefined) found.numbers.push(number)
    if (date !== undefined) found.dates.push(date)
    if (unit !== undefined && number === undefined)
      (isAmount(before, place - 1, words) || isPrice(word, words[place + 1]) ? found.bound : found.free).add(unit)
    if (negators.has(lower) || lower.startsWith('non-')) negations++
    if (number === undefined && date === undefined && unit === undefined && isName(raw, place)) names.push(lower)
    if (!functionWords.has(lower)) content.push(lower)
  }
  return {
    numbers: found.numbers.sort(),
    dates: found.dates.sort(),
    boundUnits: [...found.bound].sort(),
    freeUnits: [...found.free].sort(),
    isNegated: negations > 0,
    poles: polesOf(words),
    names,
    words: new Set(words.map(({ lower }) => lower)),
    content,
    isPlain: !words.some(({ raw }, place) => place > 0 && raw !== 'I' && /\p{Lu}/u.test(raw)),
  }
}

function numberOf({ lower, raw }: Word, place: number, words: readonly Word[]): string | undefined {
  if (/^-?\d/.test(lower)) return normalNumber(lower)
  if (/\d/.test(lower) && !lower.startsWith('month-')) return lower // A code: `E42`, `XR-200`, `Q3`.
  if (place > 0 && roman.test(raw)) return `roman ${lower}`
  // "Which one", "the old one": no number.
  if (lower === 'one') {
    const next = words[place + 1]?.lower
    const before = words[place - 1]?.lower
    return next === undefined || next === 'of' || before === 'which' || before === 'no' ? undefined : '1'
  }
  return numbers.get(lower)
}

/** `1,000` as `1000`; a comma that groups nothing is a decimal point. Zeros stay: version 2.4 is not version 2.40. */
function normalNumber(text: string): string {
  return /^-?\d{1,3}(?:,\d{3})+(?:\.\d+)?$/.test(text) ? text.replaceAll(',', '') : text.replace(',', '.')
}

function unitOf({ lower, raw }: Word, place: number, words: readonly Word[]): string | undefined {
  const unit = units.get(lower)
  if (unit === undefined) return undefined
  if ('$€£¥'.includes(lower)) return unit
  if (!boundUnits.has(lower)) return unit
  return isAmount(words[place - 1], place - 1, words) && !/^[A-Z]$/.test(raw) ? unit : undefined
}

/** Whether a unit that comes next belongs to a number. */
function isAmount(word: Word | undefined, place: number, words: readonly Word[]): boolean {
  if (word === undefined) return false
  if (word.lower === 'degrees' || word.lower === 'degree') return isAmount(words[place - 1], place - 1, words)
  return /^-?\d/.test(word.lower) || (numbers.has(word.lower) && numberOf(word, place, words) !== undefined)
}

/** `$5`. */
function isPrice({ lower }: Word, next: Word | undefined): boolean {
  return '$€£¥'.includes(lower) && next !== undefined && /^\d/.test(next.lower)
}

function dateOf({ lower, raw }: Word, place: number, words: readonly Word[]): string | undefined {
  const before = words[place - 1]?.lower ?? ''
  const after = words[place + 1]?.lower ?? ''
  if (lower.startsWith('month-')) return lower
  if (dateWords.has(lower)) return lower
  if (timeSpans.has(lower) && relativeTimes.has(before)) return `${before} ${lower}`
  const month = monthNames.get(lower)
  if (month === undefined) return undefined
  // "May I", "the march": a month stands beside a number, behind a preposition, or has a capital where nothing else would.
  const isPlaced = /^(?:in|of|for|since|until|by|during|last|next|this)$/.test(before) || /^\d/.test(before + after)
  return isPlaced || (place > 0 && /^\p{Lu}/u.test(raw)) ? `month-${month}` : undefined
}

/** A capital, or several within; the first word only where it is neither a function word nor a usual beginning. */
function isName(raw: string, place: number): boolean {
  if (raw === 'I' || !/\p{Lu}/u.test(raw)) return false
  if (place > 0) return true
  const lower = raw.toLowerCase()
  return !functionWords.has(lower) && !openers.has(lower)
}

function polesOf(words: readonly Word[]): Map<number, number> {
  const signs = new Map<number, number>()
  const add = ({ axis, sign }: Pole) => {
    const known = signs.get(axis)
    signs.set(axis, known === undefined || known === sign ? sign : 0)
  }
  for (const [place, { lower }] of words.entries()) {
    const before = words[place - 1]?.lower
    const after = words[place + 1]
    const own = poles.get(lower) ?? []
    const next = after === undefined ? [] : (poles.get(after.lower) ?? [])
    if (before === 'how') {
      // "How far", "how small" ask for a measure and pull nowhere.
    } else if (before === 'at' && (lower === 'most' || lower === 'least')) {
      for (const pole of poles.get(`at-${lower}`) ?? []) add(pole)
    } else if (isDegree(lower) && next.length > 0) {
      // "less heavy" is lighter; "more expensive" is expensive: said by the word that follows.
    } else if (isDegree(before) && own.length > 0) {
      const flip = before === 'less' || before === 'least' ? -1 : 1
      for (const { axis, sign } of own) add({ axis, sign: (sign * flip) as Pole['sign'] })
    } else if ((lower === 'over' || lower === 'under') && /^\d/.test(after?.lower ?? '')) {
      for (const pole of poles.get(`${lower}-number`) ?? []) add(pole)
    } else for (const pole of own) add(pole)
  }
  return signs
}

function isDegree(word: string | undefined): boolean {
  return word === 'more' || word === 'most' || word === 'less' || word === 'least'
}

function orderOf(words: readonly Word[]): Pick<QuestionFacts, 'origin' | 'standard'> {
  const from = words.findIndex(({ lower }) => lower === 'from')
  const than = words.findIndex(({ lower }) => lower === 'than')
  const contentAfter = (place: number) =>
    place < 0
      ? []
      : words
          .slice(place + 1)
          .filter(({ lower }) => !functionWords.has(lower))
          .map(({ lower }) => lower)
  return { origin: contentAfter(from)[0], standard: contentAfter(than).sort() }
}
