import {
  type BertCharacters,
  type BertNormalization,
  beginsNormalized,
  beginsRaw,
  Kind,
  kindBits,
  unitOf,
  widthOf,
} from './bert-characters.js'
import { hashSeed, hashUnit, TokenTable } from './token-table.js'
import { skipWhiteSpace } from './white-space.js'

/** A token that is found wherever its characters stand; of several that begin at one place the longest. */
export interface AddedToken {
  /** Printable ASCII, not empty, without spaces. */
  readonly content: string
  readonly id: number
  /** Absent: it is looked for in the text as it is. Otherwise in the normalized text, as this, which is the content normalized. */
  readonly normalized?: string
  /** White space before, or behind, is part of the token. Not for normalized ones. */
  readonly takesSpaceBefore?: boolean
  readonly takesSpaceAfter?: boolean
}

/** An added token in a text: its id, and the place after it. */
export interface FoundToken {
  readonly id: number
  readonly end: number
}

/** The code units that added tokens begin with, in the text as it is and in the normalized text. */
export function beginningsOf(
  tokens: readonly AddedToken[],
  normalization: BertNormalization,
): { readonly raw: ReadonlySet<number>; readonly normalized: ReadonlySet<number> } {
  const beginnings = (contents: readonly string[]) => new Set(contents.map((content) => content.charCodeAt(0)))
  return {
    raw: beginnings(tokens.filter(isRaw).map(({ content }) => content)),
    normalized: beginnings(
      tokens.flatMap((token) => token.normalized ?? (mayBeWhole(token, normalization) ? token.content : [])),
    ),
  }
}

/** Finds added tokens in a text, at places where {@link BertCharacters} says that one may begin. */
export class AddedTokens {
  readonly #characters: BertCharacters
  readonly #raw: TokenTable
  readonly #normalized: TokenTable
  readonly #whole: TokenTable
  /** Scratch, one for each search, as one looks where another is: the stretch of text that may be a token. */
  readonly #rawUnits: Uint16Array
  readonly #normalizedUnits: Uint16Array
  readonly #wholeUnits: Uint16Array
  /** Ids of tokens that take the white space on one side. */
  readonly #spaceBefore: ReadonlySet<number>
  readonly #spaceAfter: ReadonlySet<number>

  constructor(tokens: readonly AddedToken[], normalization: BertNormalization, characters: BertCharacters) {
    this.#characters = characters
    const raw = tokens.filter(isRaw)
    const normalized = tokens.filter((token) => !isRaw(token))
    this.#raw = tableOf(raw)
    this.#normalized = tableOf(normalized)
    this.#whole = tableOf(raw.filter((token) => mayBeWhole(token, normalization)))
    this.#rawUnits = new Uint16Array(this.#raw.longest)
    this.#normalizedUnits = new Uint16Array(this.#normalized.longest)
    this.#spaceBefore = new Set(tokens.filter(({ takesSpaceBefore }) => takesSpaceBefore).map(({ id }) => id))
    this.#spaceAfter = new Set(tokens.filter(({ takesSpaceAfter }) => takesSpaceAfter).map(({ id }) => id))
    this.#wholeUnits = new Uint16Array(this.#whole.longest)
  }

  /** The longest token that stands in the text as it is at `place`. */
  findRaw(text: string, place: number): FoundToken | undefined {
    if (place >= text.length) return undefined
    const unit = text.charCodeAt(place)
    const entry = (this.#characters.entries[unit] as number) || this.#characters.describe(unit)
    if ((entry & beginsRaw) === 0) return undefined
    let found: FoundToken | undefined
    let hash = hashSeed
    const reach = Math.min(this.#raw.longest, text.length - place)
    for (let i = 0; i < reach; i++) {
      this.#rawUnits[i] = text.charCodeAt(place + i)
      hash = hashUnit(hash, text.charCodeAt(place + i))
      const id = this.#raw.find(this.#rawUnits, 0, i + 1, hash)
      if (id >= 0) found = { id, end: place + i + 1 }
    }
    return found
  }

  /** The longest token that stands at `place` after normalization. It does not reach into one that stands in the text as it is. */
  findNormalized(text: string, place: number): FoundToken | undefined {
    let found: FoundToken | undefined
    let hash = hashSeed
    let length = 0
    for (let at = place; at < text.length && length < this.#normalized.longest; ) {
      if (at > place && this.findRaw(text, at) !== undefined) break
      const codePoint = text.codePointAt(at) as number
      const entry = this.#characters.entry(codePoint)
      at += widthOf(codePoint)
      if ((entry & kindBits) === Kind.nothing) continue
      if (!isOneUnit(entry)) break
      this.#normalizedUnits[length++] = unitOf(entry)
      hash = hashUnit(hash, unitOf(entry))
      const id = this.#normalized.find(this.#normalizedUnits, 0, length, hash)
      if (id >= 0) found = { id, end: at }
    }
    return found
  }

  /**
   * The token that all of the text from `place` to the next token or to the end becomes by normalization; `before` is the token that
   * ends at `place`. Such a stretch is the token although that is looked for in the text as it is: where `<mask>` is a token, so is
   * `<MASK>`, but only alone.
   */
  findWhole(text: string, place: number, before?: FoundToken): FoundToken | undefined {
    if (this.#whole.longest === 0) return undefined
    let hash = hashSeed
    let length = 0
    let at = before !== undefined && this.#spaceAfter.has(before.id) ? skipWhiteSpace(text, place) : place
    while (at < text.length) {
      const codePoint = text.codePointAt(at) as number
      const entry = this.#characters.entry(codePoint)
      const kind: Kind = entry & kindBits
      if (length === 0 && isOneUnit(entry) && (entry & beginsNormalized) === 0) return undefined
      if (this.findRaw(text, at) !== undefined || this.findNormalized(text, at) !== undefined) break
      if (kind === Kind.space && this.#isTaken(text, at)) break
      at += widthOf(codePoint)
      if (kind === Kind.nothing) continue
      if (!isOneUnit(entry) || length === this.#whole.longest) return undefined
      this.#wholeUnits[length++] = unitOf(entry)
      hash = hashUnit(hash, unitOf(entry))
    }
    const id = this.#whole.find(this.#wholeUnits, 0, length, hash)
    return id < 0 ? undefined : { id, end: at }
  }

  /** Whether the white space at `place` belongs to a token behind it. */
  #isTaken(text: string, place: number): boolean {
    const next = this.findRaw(text, skipWhiteSpace(text, place))
    return next !== undefined && this.#spaceBefore.has(next.id)
  }
}

function tableOf(tokens: readonly AddedToken[]): TokenTable {
  return new TokenTable(
    tokens.map(({ content, normalized = content }) => normalized),
    tokens.map(({ id }) => id),
  )
}

function isRaw({ normalized }: AddedToken): boolean {
  return normalized === undefined
}

/** Whether normalization can make the content of a token that is looked for in the text as it is. */
function mayBeWhole(token: AddedToken, { lowercase }: BertNormalization): boolean {
  return isRaw(token) && !(lowercase && /[A-Z]/.test(token.content))
}

/** Whether normalization makes the character one unit of a word. */
function isOneUnit(entry: number): boolean {
  const kind: Kind = entry & kindBits
  return kind === Kind.word || kind === Kind.alone
}
