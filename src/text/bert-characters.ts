/** What BERT's normalizer does to a text: the options of `BertNormalizer` in `tokenizer.json`. */
export interface BertNormalization {
  /** Drop control characters and what is no character, make every white space a space. */
  readonly cleanText: boolean
  /** Make every ideograph of the first plane a word of its own. */
  readonly splitIdeographs: boolean
  /** Decompose (NFD) and drop the marks that take no room (`Mn`). */
  readonly stripAccents: boolean
  readonly lowercase: boolean
}

/** What a character does to the word it stands in, after normalization. */
export enum Kind {
  /** Not looked up yet. */
  unknown = 0,
  /** Adds one unit to the word. */
  word = 1,
  /** Ends the word. */
  space = 2,
  /** Ends the word and is one by itself, of one unit: punctuation, ideographs. */
  alone = 3,
  /** Is dropped: what stands on both sides is one word. */
  nothing = 4,
  /** Becomes several units: {@link BertCharacters.spelling}. */
  spelt = 5,
  /** Capital sigma, whose small form depends on what stands around it: {@link BertCharacters.smallSigma}. */
  sigma = 6,
  /** Holds a mark that stays and that canonical ordering may move: {@link BertCharacters.orderedMarks}. */
  ordered = 7,
  /** Half of a surrogate pair: ask for the entry of the code point. */
  surrogate = 8,
}

/** An entry holds the kind in its low four bits, then flags, from bit 8 on the unit that the character becomes, then more flags. */
export const kindBits = 0xf
/** An added token may begin here: one that is looked for in the text as it is, or as it looks after normalization. */
export const beginsRaw = 0x10
export const beginsNormalized = 0x20
/** All that tells a plain letter, which adds a unit and nothing else, from other characters. */
export const plainBits = 0xff
const unitShift = 8
const isCased = 1 << 24
const isCaseIgnorable = 1 << 25
/** The character does not end a row of combining marks. */
const continuesMarks = 1 << 26

/** The unit that a character of kind `word` or `alone` becomes. */
export function unitOf(entry: number): number {
  return (entry >>> unitShift) & 0xffff
}

const removed = /^[\0\ufffd\p{Cc}\p{Cf}\p{Co}\p{Cs}]$/u
const keptControls = new Set(['\t', '\n', '\r'])
const white = /^\s$/u
/** BERT counts all ASCII symbols as punctuation. */
const punctuation = /^[\p{P}\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e]$/u
const weightlessMarks = /\p{Mn}/gu
const cased = /^\p{Cased}$/u
const caseIgnorable = /^\p{Case_Ignorable}$/u
const capitalSigma = 0x3a3

/** Characters beyond the first plane whose entries are kept at once; and characters, more than there are Hangul syllables. */
const rememberedAstral = 8192
const rememberedSpellings = 16_384

/** What a character of several units becomes: the units, and {@link wordEnd}. */
export type Spelling = readonly number[]
export const wordEnd = -1

/** Whether another section of the text begins at this place. */
type EndsSection = (place: number) => boolean

/**
 * BERT's normalization and its cut into words, character by character. All its steps treat one character at a time, save for two:
 * the small form of a capital sigma, and the canonical order of combining marks. So a table says what becomes of a character. Its
 * entries are made when a character is first met, by the Unicode tables of the JavaScript engine.
 */
export class BertCharacters {
  /** The entry of each code unit, or 0 where {@link describe} was not asked yet. */
  readonly entries = new Int32Array(0x10000)
  readonly #astral = new Map<number, number>()
  readonly #spellings = new Map<number, Spelling>()
  readonly #normalization: BertNormalization
  readonly #rawBeginnings: ReadonlySet<number>
  readonly #normalizedBeginnings: ReadonlySet<number>

  /** `beginnings` are the units that added tokens begin with: in the text as it is, and in the normalized text. */
  constructor(
    normalization: BertNormalization,
    beginnings: { readonly raw: ReadonlySet<number>; readonly normalized: ReadonlySet<number> },
  ) {
    this.#normalization = normalization
    this.#rawBeginnings = beginnings.raw
    this.#normalizedBeginnings = beginnings.normalized
  }

  /** Makes and keeps the entry of a code unit. */
  describe(unit: number): number {
    const entry = unit >= 0xd800 && unit < 0xe000 ? Kind.surrogate : this.#entryOf(unit)
    const flags = this.#rawBeginnings.has(unit) ? beginsRaw : 0
    this.entries[unit] = entry | flags
    return entry | flags
  }

  /** The entry of a code point; half a surrogate pair has one, too. Never of kind `unknown` or `surrogate`. */
  entry(codePoint: number): number {
    if (codePoint < 0xd800 || (codePoint > 0xdfff && codePoint < 0x10000)) {
      return (this.entries[codePoint] as number) || this.describe(codePoint)
    }
    const known = this.#astral.get(codePoint)
    if (known !== undefined) return known
    if (this.#astral.size >= rememberedAstral) this.#astral.clear()
    const entry = this.#entryOf(codePoint)
    this.#astral.set(codePoint, entry)
    return entry
  }

  /** The units that a character of kind `spelt` becomes; {@link wordEnd} where a word ends. */
  spelling(codePoint: number): Spelling {
    const known = this.#spellings.get(codePoint)
    if (known !== undefined) return known
    if (this.#spellings.size >= rememberedSpellings) this.#spellings.clear()
    const units = spellingOf(this.#normalize(String.fromCodePoint(codePoint)))
    const spelling =
      this.#normalization.splitIdeographs && isIdeograph(codePoint) ? [wordEnd, ...units, wordEnd] : units
    this.#spellings.set(codePoint, spelling)
    return spelling
  }

  /** Whether a character, as it looks after normalization, is a word by itself. */
  standsAlone(codePoint: number): boolean {
    return punctuation.test(String.fromCodePoint(codePoint))
  }

  /**
   * The small form of the capital sigma at `place`: final where a cased letter stands before it and none after it (`Final_Sigma` of
   * Unicode's SpecialCasing). Looks through what Unicode ignores for this (marks, apostrophes, full stops) and what is dropped.
   */
  smallSigma(text: string, place: number, start: number, ends: EndsSection): number {
    const finalForm = 0x3c2
    const otherForm = 0x3c3
    let before = place - 1
    while (before >= start && this.#isPassedOver(codePointEndingAt(text, before, start))) {
      before -= widthOf(codePointEndingAt(text, before, start))
    }
    if (before < start || !this.#hasCase(codePointEndingAt(text, before, start))) return otherForm
    let after = place + 1
    while (after < text.length && !ends(after) && this.#isPassedOver(text.codePointAt(after) as number)) {
      after += widthOf(text.codePointAt(after) as number)
    }
    const isFollowed = after < text.length && !ends(after) && this.#hasCase(text.codePointAt(after) as number)
    return isFollowed ? otherForm : finalForm
  }

  /**
   * The character of kind `ordered` at `place` and the marks behind it, normalized, and the place after them. Only marks that stay
   * are ordered, and at most `limit` of them: a native normalization takes the square of their number.
   */
  orderedMarks(
    text: string,
    place: number,
    { limit, ends }: { readonly limit: number; readonly ends: EndsSection },
  ): { readonly spelling: Spelling; readonly end: number } {
    let end = place
    let marks = ''
    for (let count = 0; end < text.length && (end === place || !ends(end)); ) {
      const codePoint = text.codePointAt(end) as number
      const entry = this.entry(codePoint)
      if (end > place && (entry & continuesMarks) === 0) break
      if ((entry & kindBits) === Kind.ordered && count++ < limit) marks += String.fromCodePoint(codePoint)
      end += widthOf(codePoint)
    }
    return { spelling: spellingOf(this.#normalize(marks)), end }
  }

  #entryOf(codePoint: number): number {
    const character = String.fromCodePoint(codePoint)
    const { cleanText, splitIdeographs, stripAccents, lowercase } = this.#normalization
    const isRemoved = this.#isRemoved(character)
    const flags =
      (cased.test(character) ? isCased : 0) |
      (caseIgnorable.test(character) ? isCaseIgnorable : 0) |
      (isRemoved || beginsWithMark(character) ? continuesMarks : 0)
    if (isRemoved) return Kind.nothing | flags
    if (cleanText && white.test(character)) return Kind.space | flags
    if (lowercase && codePoint === capitalSigma) return Kind.sigma | flags
    if (stripAccents && hasMovingMark(character)) return Kind.ordered | flags
    const normalized = this.#normalize(character)
    if (normalized === '') return Kind.nothing | flags
    if (normalized.length > 1) return Kind.spelt | flags
    if (white.test(normalized)) return Kind.space | flags
    const unit = normalized.charCodeAt(0)
    const isAlone = punctuation.test(normalized) || (splitIdeographs && isIdeograph(codePoint))
    const begins = this.#normalizedBeginnings.has(unit) ? beginsNormalized : 0
    return (isAlone ? Kind.alone : Kind.word) | begins | (unit << unitShift) | flags
  }

  #normalize(text: string): string {
    const { lowercase, stripAccents } = this.#normalization
    const inCase = lowercase ? text.toLowerCase() : text
    return stripAccents ? inCase.normalize('NFD').replace(weightlessMarks, '') : inCase
  }

  #isRemoved(character: string): boolean {
    return this.#normalization.cleanText && removed.test(character) && !keptControls.has(character)
  }

  #isPassedOver(codePoint: number): boolean {
    const entry = this.entry(codePoint)
    return (entry & kindBits) === Kind.nothing || (entry & isCaseIgnorable) !== 0
  }

  #hasCase(codePoint: number): boolean {
    return (this.entry(codePoint) & isCased) !== 0
  }
}

function spellingOf(normalized: string): Spelling {
  return [...normalized].flatMap((character) => {
    if (white.test(character)) return [wordEnd]
    const units = Array.from({ length: character.length }, (_, i) => character.charCodeAt(i))
    return punctuation.test(character) ? [wordEnd, ...units, wordEnd] : units
  })
}

/** How many code units a code point takes. */
export function widthOf(codePoint: number): number {
  return codePoint > 0xffff ? 2 : 1
}

function codePointEndingAt(text: string, place: number, start: number): number {
  const unit = text.charCodeAt(place)
  if (place === start || unit < 0xdc00 || unit > 0xdfff) return unit
  const pair = text.codePointAt(place - 1) as number
  return pair > 0xffff ? pair : unit
}

/** The blocks that `BertNormalizer` of the JavaScript tokenizers calls Chinese; it looks at code units, so the first plane only. */
function isIdeograph(codePoint: number): boolean {
  return (
    (codePoint >= 0x4e00 && codePoint <= 0x9fff) ||
    (codePoint >= 0x3400 && codePoint <= 0x4dbf) ||
    (codePoint >= 0xf900 && codePoint <= 0xfaff)
  )
}

/** Whether canonical ordering may move a mark of the character that is not dropped. */
function hasMovingMark(character: string): boolean {
  return [...character.normalize('NFD')].some((part) => !/\p{Mn}/u.test(part) && isMovable(part))
}

function beginsWithMark(character: string): boolean {
  return isMovable(String.fromCodePoint(character.normalize('NFD').codePointAt(0) as number))
}

/** Whether the combining class is not 0, told by what trades places with it: a mark of class 1 behind it, one of class 240 before. */
function isMovable(character: string): boolean {
  const lowest = '\u0334'
  const highest = '\u0345'
  return (
    (character + lowest).normalize('NFD') !== character + lowest ||
    (highest + character).normalize('NFD') !== highest + character
  )
}
