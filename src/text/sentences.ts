import {
  type AbbreviationKind,
  abbreviations,
  capitalisedOnly,
  ordinalFollowers,
  ordinalLeaders,
  sentenceStarters,
} from './abbreviations.js'
import { isLineEnd, isWhiteSpace, skipWhiteSpace, trimEnd } from './white-space.js'

/**
 * Finds the sentences of a text in one pass: `[start, end, start, end, ...]` in UTF-16 code units, ascending and disjoint, without
 * white space at either end; between them there is nothing but white space, so they hold every other character exactly once.
 *
 * A stop (`. ! ? …`) ends a sentence, with the quotes and brackets that close behind it, when white space follows and it is no part
 * of an abbreviation, initial, number, ordinal or enumerator. Stops of scripts without spaces (`。` and its like) and dandas need
 * no space. A blank line always ends a sentence, a single line end only before a list item, heading or table row, after one of
 * those two, or after a line too long to have been wrapped by hand. Thai and Lao, which have no stops, are cut at spaces.
 *
 * Linear in the length of the text, whatever it holds: no regular expression runs over it, and every look back or ahead is
 * bounded or over characters that are looked over once.
 */
export function sentenceSpans(text: string): number[] {
  const spans: number[] = []
  const { length } = text
  let start = skipWhiteSpace(text, 0)
  let lineStart = start
  let place = start
  for (;;) {
    while (place < length && (kinds[text.charCodeAt(place)] as Kind) < firstLoud) place++
    if (place >= length) break
    let end: number
    if (kinds[text.charCodeAt(place)] === Kind.lineEnd) {
      end = place > start && lineEndsSentence(text, lineStart, place) ? place : none
      lineStart = place + 1
    } else {
      end = endOfSentence(text, start, place)
    }
    if (end === none) {
      place++
    } else {
      spans.push(start, trimEnd(text, start, end))
      start = skipWhiteSpace(text, end)
      place = end
    }
  }
  if (start < length) spans.push(start, trimEnd(text, start, length))
  return spans
}

/** What a UTF-16 code unit is to the splitter. From `dot` on they are loud: the main loop stops and looks. */
enum Kind {
  other,
  white,
  /** Quotes and brackets that open, close, or do either; Markdown's emphasis counts as a quote. */
  opener,
  closer,
  either,
  /** `,` `:` and what else cannot begin a sentence. */
  inner,
  dot,
  ellipsis,
  /** `!` `?` */
  mark,
  /** Stops that need no white space behind them. */
  fullStop,
  /** `．`: a stop in Chinese and Japanese, a decimal point between digits. */
  wideDot,
  /** `;` and its twin: the Greek question mark. */
  greekMark,
  /** Letters of scripts that have no stops. */
  spaced,
  lineEnd,
}
const firstLoud = Kind.dot
const none = -1
/** Lines longer than this were not wrapped by hand, so that their end is the end of a paragraph. */
const longestWrappedLine = 200
/** Characters a word, abbreviation or enumerator is looked at, so that every look back is bounded. */
const longestWord = 24

const kinds = createKinds()

function createKinds(): Uint8Array {
  const table = new Uint8Array(1 << 16)
  const set = (kind: Kind, characters: string): void => {
    for (let i = 0; i < characters.length; i++) table[characters.charCodeAt(i)] = kind
  }
  set(Kind.white, '\ufeff')
  for (let code = 0; code <= 0x3000; code++)
    if (isWhiteSpace(code)) table[code] = isLineEnd(code) ? Kind.lineEnd : Kind.white
  set(Kind.opener, '([{‘‚„¿¡（［｛〈《「『【〔〖〘〚｢')
  set(Kind.closer, ')]}’）］｝〉》」』】〕〗〙〛｣')
  set(Kind.either, '"\'“”«»‹›*_`＂＇')
  set(Kind.inner, ',:&،؛、，：；')
  set(Kind.dot, '.')
  set(Kind.ellipsis, '…')
  set(Kind.mark, '!?‼‽⁇⁈⁉')
  set(Kind.fullStop, '。｡！？؟۔।॥။።፧፨។៕᠃։꘎꘏')
  set(Kind.wideDot, '．')
  set(Kind.greekMark, ';\u037e')
  for (let code = 0x0e01; code <= 0x0edf; code++) table[code] = Kind.spaced
  return table
}

/** Where the sentence ends that the loud character at `place` may end, or `none`. */
function endOfSentence(text: string, start: number, place: number): number {
  switch (kindAt(text, place)) {
    case Kind.greekMark:
      return place > start && isGreek(text.charCodeAt(place - 1)) && isWhiteAt(text, place + 1) ? place + 1 : none
    case Kind.spaced:
      return isWhiteAt(text, place + 1) && kindAt(text, skipWhiteSpace(text, place + 1)) === Kind.spaced
        ? place + 1
        : none
    default:
      // The first stop of a run has spoken for all of it.
      return place > start && isStop(kindAt(text, place - 1)) ? none : endAtStops(text, start, place)
  }
}

/** Where the sentence ends whose stop, or run of stops, begins at `place`, or `none`. */
function endAtStops(text: string, start: number, place: number): number {
  const kind = kindAt(text, place)
  const runEnd = skipStops(text, place)
  const end = skipClosers(text, runEnd)
  if (end === text.length) return end
  if (kind === Kind.fullStop || (kind === Kind.wideDot && !isLatinOrDigit(text.charCodeAt(runEnd)))) {
    // In 「…。」と言った the sentence goes on behind the quote.
    return end > runEnd && isHiragana(text.charCodeAt(end)) ? none : end
  }
  if (!isWhiteAt(text, end)) {
    const mayEndWord = kind === Kind.mark || !isLatinOrDigit(text.charCodeAt(place - 1))
    return mayEndWord && isCjk(text.charCodeAt(end)) ? end : none
  }
  const next = lookAhead(text, skipWhiteSpace(text, end))
  if (next.kind === Next.nothing) return end
  if (next.kind === Next.inner) return none
  if (hasMark(text, place, runEnd)) {
    // "Really?" he asked.
    return next.kind === Next.lower && end > runEnd ? none : end
  }
  if (kind === Kind.ellipsis || runEnd > place + 2) {
    return next.kind === Next.upper || next.kind === Next.caseless ? end : none
  }
  // Two dots are a slip of the pen.
  return dotEndsSentence(text, start, place, next) ? end : none
}

/** Whether a single full stop ends the sentence, told from the word before it and from what comes after the white space. */
function dotEndsSentence(text: string, start: number, dot: number, next: LookAhead): boolean {
  // Tokenised text has a space before every stop, even in "U.S . WANTS".
  const isApart = dot - 1 > start && isWhiteAt(text, dot - 1)
  const wordEnd = isApart ? dot - 1 : dot
  const wordStart = startOfWord(text, start, wordEnd)
  const word = text.slice(wordStart, wordEnd)
  if (isEnumerator(text, start, wordStart, word)) return false
  if (isNumber(word)) return isApart || numberEndsSentence(text, start, wordStart, word, next)

  const mayBegin = next.kind !== Next.lower || isApart || beginsWithLowerCase(text, start)
  const kind = abbreviationKind(text, start, wordStart, word) ?? (isApart ? undefined : kindByForm(word))
  switch (kind) {
    case 'never':
      return false
    case 'number':
      return !isNumberOrCode(text, next) && mayBegin
    case 'maybe':
      return isSentenceStarter(text, next)
    case 'capital':
      return next.kind === Next.upper || next.kind === Next.caseless
    case undefined:
      return mayBegin
    default:
      return kind satisfies never
  }
}

/** `1.`, `1.2.`, `a.` and `iv.` at the beginning of a sentence number what follows. */
function isEnumerator(text: string, start: number, wordStart: number, word: string): boolean {
  if (wordStart - start > 4 || word === '') return false
  for (let i = start; i < wordStart; i++) if (isLetterOrDigit(text, i)) return false
  if (word.length === 1) return isLetterOrDigit(word, 0) && !isCjk(word.charCodeAt(0))
  if (isNumber(word)) return word.length <= 3 || word.includes('.')
  return word.length <= 4 && isMadeOf(word, 'ivxIVX')
}

/** Whether the full stop after a number ends a sentence (`in 1984. The`) or makes an ordinal of it (`am 3. Oktober`). */
function numberEndsSentence(text: string, start: number, wordStart: number, word: string, next: LookAhead): boolean {
  const isLong = word.length > 2
  if (next.kind === Next.digit) return isLong
  if (next.kind === Next.lower) return isLong && beginsWithLowerCase(text, start)
  if (next.kind !== Next.upper || isLong) return true
  if (ordinalFollowers.has(wordAt(text, next.place))) return false
  return !ordinalLeaders.has(wordBefore(text, start, wordStart)) || isSentenceStarter(text, next)
}

/** The kind of abbreviation the word before a full stop is. Initials and `U.S` are told by their form, the letter `I` by the word before it. */
function abbreviationKind(text: string, start: number, wordStart: number, word: string): AbbreviationKind | undefined {
  const { length } = word
  if (length === 0 || length >= longestWord) return undefined
  if (word === 'I') return isUpperCase(text, startOfWord(text, start, wordStart - 1)) ? 'maybe' : undefined
  if (length === 1 && isUpperCase(word, 0)) return 'maybe'
  const lower = word.toLowerCase()
  const known = abbreviations.get(lower)
  if (known !== undefined && !(word === lower && capitalisedOnly.has(lower))) return known
  return word.charCodeAt(length - 2) === dotCode && isLetterOrDigit(word, length - 1) ? 'maybe' : undefined
}

/** A letter (but no Chinese one), or a short word without vowels (`Mgr`), may be an abbreviation that is in no list. */
function kindByForm(word: string): AbbreviationKind | undefined {
  const { length } = word
  if (length === 1) return isCjk(word.charCodeAt(0)) || !isLetterOrDigit(word, 0) ? undefined : 'maybe'
  return length <= 4 && word !== word.toUpperCase() && isMadeOf(word.toLowerCase(), consonants) ? 'maybe' : undefined
}

/** What follows a stop and white space, looked at through opening quotes and brackets. */
interface LookAhead {
  readonly kind: Next
  /** Of the character that decided. */
  readonly place: number
}

enum Next {
  nothing,
  /** A character that begins no sentence: `,`, a closing bracket, another stop. */
  inner,
  lower,
  upper,
  digit,
  /** A letter without case, or a symbol. */
  caseless,
}

function lookAhead(text: string, from: number): LookAhead {
  if (from >= text.length) return { kind: Next.nothing, place: from }
  // (i) and (b) number what follows; the letter says nothing of its case.
  if (text.charCodeAt(from) === openBracketCode && isNumbering(text, from)) return { kind: Next.caseless, place: from }
  const place = skipOpeners(text, from)
  const kind = kindAt(text, place)
  if (
    place >= text.length ||
    kind === Kind.inner ||
    kind === Kind.closer ||
    (kind >= firstLoud && kind !== Kind.spaced)
  ) {
    return { kind: Next.inner, place }
  }
  if (isDigit(text.charCodeAt(place))) return { kind: Next.digit, place }
  if (isUpperCase(text, place)) return { kind: Next.upper, place }
  return { kind: isLowerCase(text, place) ? Next.lower : Next.caseless, place }
}

/** At most three opening quotes or brackets, which tokenised text sets apart by a space. */
function skipOpeners(text: string, from: number): number {
  let place = from
  for (let count = 0; count < 3; count++) {
    const kind = kindAt(text, place)
    if (kind !== Kind.opener && kind !== Kind.either) break
    place++
    if (kindAt(text, place) === Kind.white) place++
  }
  return place
}

/** Whether the line end at `place` ends a sentence. `lineStart` is where its line begins. */
function lineEndsSentence(text: string, lineStart: number, place: number): boolean {
  const code = text.charCodeAt(place)
  if (code === formFeedCode || code === paragraphSeparatorCode) return true
  const nextLine = code === returnCode && text.charCodeAt(place + 1) === newlineCode ? place + 2 : place + 1
  const next = skipBlanks(text, nextLine)
  if (kindAt(text, next) === Kind.lineEnd) return true
  if (endsAtLineEnd(text, lineStart) || beginsBlock(text, next)) return true
  return place - lineStart > longestWrappedLine && !isLowerCase(text, next)
}

/** Headings and table rows of Markdown are one line. */
function endsAtLineEnd(text: string, lineStart: number): boolean {
  const place = skipBlanks(text, lineStart)
  return text.charCodeAt(place) === pipeCode || isHeading(text, place)
}

/** A list item, heading, table row or code fence. */
function beginsBlock(text: string, place: number): boolean {
  const character = text.charAt(place)
  if (character === '|' || isHeading(text, place)) return true
  if (character === '`' || character === '~') return text.startsWith(character.repeat(3), place)
  if (bullets.has(character)) return isWhiteAt(text, place + 1)
  // A dash may also go on with a wrapped sentence.
  if (character === '–' || character === '—') {
    return isWhiteAt(text, place + 1) && !isLowerCase(text, skipWhiteSpace(text, place + 1))
  }
  return isNumbering(text, place)
}

function isHeading(text: string, place: number): boolean {
  let end = place
  while (end < place + 6 && text.charCodeAt(end) === hashCode) end++
  return end > place && isWhiteAt(text, end)
}

/** `1.` `12)` `(3)` `a)` `(iv)`, but not `A.`, which may be the initial of a wrapped name. */
function isNumbering(text: string, from: number): boolean {
  const isOpened = text.charCodeAt(from) === openBracketCode
  const place = isOpened ? from + 1 : from
  let end = place
  while (end < place + 4 && isLatinOrDigit(text.charCodeAt(end))) end++
  const label = text.slice(place, end)
  if (label === '' || !isWhiteAt(text, end + 1)) return false
  const closes = text.charCodeAt(end) === closeBracketCode
  if (isNumber(label)) return label.length <= 3 && (closes || (!isOpened && text.charCodeAt(end) === dotCode))
  return closes && (label.length === 1 || isMadeOf(label, 'ivx'))
}

const newlineCode = 0x0a
const formFeedCode = 0x0c
const returnCode = 0x0d
const paragraphSeparatorCode = 0x2029
const dotCode = 0x2e
const hashCode = 0x23
const pipeCode = 0x7c
const openBracketCode = 0x28
const closeBracketCode = 0x29
const bullets: ReadonlySet<string> = new Set('-*+•◦▪▫‣⁃∙·●○■□◆◇►▶➢➤✓✔✗☐☑☒')
const consonants = 'bcdfghjklmnpqrstvwxz'

/** `Kind.other` beyond the end. */
function kindAt(text: string, place: number): Kind {
  return place < text.length ? (kinds[text.charCodeAt(place)] as Kind) : Kind.other
}

function isStop(kind: Kind): boolean {
  return kind >= Kind.dot && kind <= Kind.wideDot
}

function hasMark(text: string, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    const kind = kindAt(text, i)
    if (kind === Kind.mark || kind === Kind.fullStop) return true
  }
  return false
}

function skipStops(text: string, from: number): number {
  let place = from
  while (isStop(kindAt(text, place))) place++
  return place
}

/** Quotes and brackets that close behind a stop. In `？“好的` the quote opens: a letter follows it. */
function skipClosers(text: string, from: number): number {
  let place = from
  for (;;) {
    const kind = kindAt(text, place)
    const closes = kind === Kind.closer || (kind === Kind.either && !opensQuote(text, place))
    if (!closes) return place
    place++
  }
}

function opensQuote(text: string, place: number): boolean {
  return text.charAt(place) !== '”' && isLetterOrDigit(text, place + 1)
}

function isWhiteAt(text: string, place: number): boolean {
  const kind = kindAt(text, place)
  return kind === Kind.white || kind === Kind.lineEnd
}

/** White space within the line. */
function skipBlanks(text: string, from: number): number {
  let place = from
  while (kindAt(text, place) === Kind.white) place++
  return place
}

/** Where the word begins that ends at `end`, at most `longestWord` back and not before `start`. Dots and apostrophes are part of it. */
function startOfWord(text: string, start: number, end: number): number {
  const earliest = Math.max(start, end - longestWord)
  let place = end
  while (place > earliest && (isInWord(kindAt(text, place - 1)) || isApostrophe(text, place - 1))) place--
  return place
}

function isInWord(kind: Kind): boolean {
  return kind === Kind.other || kind === Kind.dot || kind === Kind.spaced
}

function isApostrophe(text: string, place: number): boolean {
  const character = text.charAt(place)
  return (
    (character === "'" || character === '’') && isLetterOrDigit(text, place - 1) && isLetterOrDigit(text, place + 1)
  )
}

/** The word that begins at `from`, in lower case. */
function wordAt(text: string, from: number): string {
  let end = from
  while (end < from + longestWord && isLetterOrDigit(text, end)) end++
  return text.slice(from, end).toLowerCase()
}

/** The word before the one at `place`, in lower case. */
function wordBefore(text: string, start: number, place: number): string {
  const end = trimEnd(text, Math.max(start, place - 2), place)
  return text.slice(startOfWord(text, start, end), end).toLowerCase()
}

/** A word with a capital that often begins sentences. In text that is all capitals nothing can be told from them. */
function isSentenceStarter(text: string, next: LookAhead): boolean {
  if (next.kind !== Next.upper || isUpperCase(text, next.place + 1)) return false
  return sentenceStarters.has(wordAt(text, next.place))
}

/** `5` or `KF906251`, as behind `No.` */
function isNumberOrCode(text: string, next: LookAhead): boolean {
  return next.kind === Next.digit || /\d/.test(wordAt(text, next.place))
}

/** A sentence whose first letter is a small one tells that the next may begin so, too. */
function beginsWithLowerCase(text: string, start: number): boolean {
  let place = start
  while (place < start + longestWord && !isLetter(text, place)) place++
  return isLowerCase(text, place)
}

/** `12`, `1.2.3`, `10:30`, `3/4` */
function isNumber(word: string): boolean {
  return isDigit(word.charCodeAt(0)) && isMadeOf(word, '0123456789.,:/-')
}

function isMadeOf(word: string, characters: string): boolean {
  for (let i = 0; i < word.length; i++) if (!characters.includes(word.charAt(i))) return false
  return true
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}

function isLatinOrDigit(code: number): boolean {
  const lower = code | 0x20
  return isDigit(code) || (lower >= 0x61 && lower <= 0x7a) || isFullWidthLatinOrDigit(code)
}

function isFullWidthLatinOrDigit(code: number): boolean {
  return (code >= 0xff10 && code <= 0xff19) || (code >= 0xff21 && code <= 0xff3a) || (code >= 0xff41 && code <= 0xff5a)
}

function isLetterOrDigit(text: string, place: number): boolean {
  const code = text.charCodeAt(place)
  return isLatinOrDigit(code) || (code >= 0xaa && isInWord(kindAt(text, place)))
}

function isLetter(text: string, place: number): boolean {
  return isLetterOrDigit(text, place) && !isDigit(text.charCodeAt(place))
}

function isUpperCase(text: string, place: number): boolean {
  const code = text.charCodeAt(place)
  if (code < 0x80) return code >= 0x41 && code <= 0x5a
  const character = text.charAt(place)
  return character !== character.toLowerCase()
}

function isLowerCase(text: string, place: number): boolean {
  const code = text.charCodeAt(place)
  if (code < 0x80) return code >= 0x61 && code <= 0x7a
  const character = text.charAt(place)
  return character !== character.toUpperCase()
}

function isGreek(code: number): boolean {
  return (code >= 0x0370 && code <= 0x03ff) || (code >= 0x1f00 && code <= 0x1fff)
}

function isHiragana(code: number): boolean {
  return code >= 0x3041 && code <= 0x3096
}

/** Chinese, Japanese and Korean letters. */
function isCjk(code: number): boolean {
  return (code >= 0x3041 && code <= 0x30ff) || (code >= 0x3400 && code <= 0x9fff) || (code >= 0xac00 && code <= 0xd7a3)
}
