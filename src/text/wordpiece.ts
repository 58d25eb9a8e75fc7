import { type AddedToken, AddedTokens, beginningsOf, type FoundToken } from './added-tokens.js'
import {
  BertCharacters,
  type BertNormalization,
  beginsNormalized,
  Kind,
  kindBits,
  plainBits,
  type Spelling,
  unitOf,
  widthOf,
  wordEnd,
} from './bert-characters.js'
import { Speller, type SpellerOptions } from './speller.js'
import type { TokenBuffer } from './token-buffer.js'
import { hashSeed, hashUnit } from './token-table.js'

/** What makes one WordPiece tokenizer. */
export interface WordPieceOptions extends SpellerOptions {
  readonly normalization: BertNormalization
  readonly addedTokens: readonly AddedToken[]
}

/**
 * BERT's tokenizer: normalization, cut into words at white space and punctuation, and each word spelt from left to right with the
 * longest tokens of the vocabulary (WordPiece). The ids are those of Hugging Face's tokenizers for JavaScript, whatever the text. It
 * takes time linear in what it reads, and reads no further than the ids it is asked for.
 */
export class WordPiece {
  readonly #characters: BertCharacters
  readonly #added: AddedTokens
  readonly #speller: Speller
  /** The word being read: so many units of the speller's buffer, or more than fit into it. */
  #length = 0
  #hash = hashSeed
  /** Half of a surrogate pair that the word holds, and the length of the word with it. */
  #firstHalf = noHalf
  #output!: TokenBuffer
  /** Length of the output at which the text is done. */
  #fullLength = 0
  /** Where the text after the last added token begins. */
  #sectionStart = 0

  constructor(options: WordPieceOptions) {
    const { normalization, addedTokens } = options
    this.#characters = new BertCharacters(normalization, beginningsOf(addedTokens, normalization))
    this.#added = new AddedTokens(addedTokens, normalization, this.#characters)
    this.#speller = new Speller({ ...options, vocabulary: withAddedTokens(options.vocabulary, addedTokens) })
  }

  /** Each token of the vocabulary and its id, the added tokens included. */
  entries(): Iterable<readonly [token: string, id: number]> {
    return this.#speller.entries()
  }

  /** Appends the ids of the text to `output`, the first `limit` of them. */
  append(text: string, output: TokenBuffer, limit: number): void {
    this.#output = output
    this.#fullLength = output.length + limit
    this.#sectionStart = 0
    const { entries } = this.#characters
    const { word } = this.#speller
    let length = 0
    let hash = hashSeed
    let place = this.#skipWhole(text, 0)
    while (place < text.length && output.length < this.#fullLength) {
      let entry = entries[text.charCodeAt(place)] as number
      // Letters are what most texts are made of: a loop of their own makes all a tenth faster.
      while ((entry & plainBits) === Kind.word) {
        const unit = unitOf(entry)
        word[length++] = unit
        hash = hashUnit(hash, unit)
        if (++place === text.length) break
        entry = entries[text.charCodeAt(place)] as number
      }
      if (place === text.length) break
      const kind = entry & plainBits
      if (kind === Kind.space || kind === Kind.alone) {
        if (length > 0) this.#emitWord(length, hash)
        if (kind === Kind.alone) {
          word[0] = unitOf(entry)
          this.#emitWord(1, hashUnit(hashSeed, unitOf(entry)))
        }
        length = 0
        hash = hashSeed
        place++
      } else if (kind === Kind.nothing) {
        place++
      } else {
        this.#length = length
        this.#hash = hash
        place = this.#readCharacter(text, place)
        length = this.#length
        hash = this.#hash
      }
    }
    if (length > 0) this.#emitWord(length, hash)
    this.#length = 0
    this.#hash = hashSeed
  }

  /** Reads one character of any kind, or an added token. Returns the place after it. */
  #readCharacter(text: string, place: number): number {
    const raw = this.#added.findRaw(text, place)
    if (raw !== undefined) {
      this.#sectionStart = raw.end
      return this.#emitAdded(text, raw)
    }
    const codePoint = text.codePointAt(place) as number
    const entry = this.#characters.entry(codePoint)
    if ((entry & beginsNormalized) !== 0) {
      const found = this.#added.findNormalized(text, place)
      if (found !== undefined) return this.#emitAdded(text, found)
    }
    const end = place + widthOf(codePoint)
    const kind: Kind = entry & kindBits
    switch (kind) {
      case Kind.word:
        this.#addUnit(unitOf(entry))
        if (unitOf(entry) >= 0xd800 && unitOf(entry) <= 0xdfff) this.#joinHalves(unitOf(entry))
        return end
      case Kind.alone:
        this.#addSpelling([wordEnd, unitOf(entry), wordEnd])
        return end
      case Kind.space:
        this.#endWord()
        return end
      case Kind.nothing:
        return end
      case Kind.spelt:
        this.#addSpelling(this.#characters.spelling(codePoint))
        return end
      case Kind.sigma:
        this.#addUnit(this.#characters.smallSigma(text, place, this.#sectionStart, (at) => this.#endsSection(text, at)))
        return end
      case Kind.ordered:
        return this.#addMarks(text, place)
      case Kind.unknown:
      case Kind.surrogate:
        throw new Error('Every code point has an entry.')
      default:
        return kind satisfies never
    }
  }

  #addMarks(text: string, place: number): number {
    const { spelling, end } = this.#characters.orderedMarks(text, place, {
      // More do not fit into a word, which is unknown then.
      limit: this.#speller.word.length,
      ends: (at) => this.#endsSection(text, at),
    })
    this.#addSpelling(spelling)
    return end
  }

  #endsSection(text: string, place: number): boolean {
    return this.#added.findRaw(text, place) !== undefined
  }

  #addSpelling(spelling: Spelling): void {
    for (const unit of spelling) {
      if (unit === wordEnd) this.#endWord()
      else this.#addUnit(unit)
    }
  }

  /**
   * Halves of surrogate pairs that stood alone, of which `unit` is the last, are one character when the marks between them are
   * dropped. That may be a punctuation mark, which is taken out of the word again.
   */
  #joinHalves(unit: number): void {
    const { end, unit: first } = this.#firstHalf
    this.#firstHalf = { end: this.#length, unit }
    const joined = String.fromCharCode(first, unit).codePointAt(0) as number
    if (end !== this.#length - 1 || widthOf(joined) !== 2 || !this.#characters.standsAlone(joined)) return
    const rest = this.#speller.word.slice(0, end - 1)
    if (end > 1) this.#emitWord(end - 1, rest.reduce(hashUnit, hashSeed))
    this.#length = 0
    this.#hash = hashSeed
    this.#addSpelling([first, unit, wordEnd])
  }

  #addUnit(unit: number): void {
    this.#speller.word[this.#length++] = unit
    this.#hash = hashUnit(this.#hash, unit)
  }

  #endWord(): void {
    if (this.#length > 0) this.#emitWord(this.#length, this.#hash)
    this.#length = 0
    this.#hash = hashSeed
  }

  #emitAdded(text: string, token: FoundToken): number {
    this.#endWord()
    this.#emit(token.id)
    return this.#skipWhole(text, token.end, token)
  }

  /** Emits an added token that all the text up to the next one is. Returns the place to go on from. */
  #skipWhole(text: string, place: number, before?: FoundToken): number {
    const whole = this.#added.findWhole(text, place, before)
    if (whole === undefined) return place
    this.#emit(whole.id)
    return whole.end
  }

  /** Emits the ids of the first `length` units of the word buffer. */
  #emitWord(length: number, hash: number): void {
    this.#firstHalf = noHalf
    const count = this.#speller.spell(length, hash)
    const { pieces } = this.#speller
    for (let i = 0; i < count; i++) this.#emit(pieces[i] as number)
  }

  #emit(id: number): void {
    if (this.#output.length < this.#fullLength) this.#output.push(id)
  }
}

const noHalf = { end: -1, unit: 0 }

type Vocabulary = WordPieceOptions['vocabulary']

/** An added token that stands only in the normalized text is found as a word like others, or as the beginning of one. */
function withAddedTokens({ tokens, ids }: Vocabulary, added: readonly AddedToken[]): Vocabulary {
  return { tokens: tokens.concat(added.map(({ content }) => content)), ids: ids.concat(added.map(({ id }) => id)) }
}
