import { PieceCache } from './piece-cache.js'
import { hashSeed, hashUnit, TokenTable } from './token-table.js'

/** What a {@link Speller} spells words with. */
export interface SpellerOptions {
  /** Tokens, well-formed strings, and the id of each. */
  readonly vocabulary: { readonly tokens: readonly string[]; readonly ids: readonly number[] }
  /** The id of a word that the vocabulary cannot spell. */
  readonly unknownId: number
  /** Stands before tokens that continue a word: `'##'`. May be empty. */
  readonly continuingPrefix: string
  /** Words of more code points are unknown. */
  readonly maxWordLength: number
}

/** Spells words from left to right with the longest tokens of a vocabulary (WordPiece). */
export class Speller {
  /**
   * The word to spell, written by the caller. It has room for one unit more than any word that is not too long; what is written
   * behind that is dropped, as typed arrays do.
   */
  readonly word: Uint16Array
  /** The ids of the word that was spelt last. */
  readonly pieces: Int32Array
  /** Tokens as they are: words and their beginnings. */
  readonly #beginnings: TokenTable
  /** Tokens that continue a word, without their prefix. */
  readonly #continuations: TokenTable
  readonly #cache = new PieceCache()
  readonly #unknownId: number
  readonly #maxWordLength: number
  /** Scratch: the hashes of the beginnings of what is left of a word. */
  readonly #hashes: Int32Array

  constructor({ vocabulary, unknownId, continuingPrefix, maxWordLength }: SpellerOptions) {
    this.#beginnings = new TokenTable(vocabulary.tokens, vocabulary.ids)
    this.#continuations = continuationsOf(vocabulary, continuingPrefix)
    this.#unknownId = unknownId
    this.#maxWordLength = maxWordLength
    // A code point has two units at most.
    const capacity = maxWordLength * 2 + 1
    this.word = new Uint16Array(capacity)
    this.pieces = new Int32Array(capacity)
    this.#hashes = new Int32Array(capacity + 1)
  }

  /** Each token and its id. */
  entries(): Iterable<readonly [token: string, id: number]> {
    return this.#beginnings.entries()
  }

  /** Spells the first `length` units of `word`, whose hash is `hash`. Returns the number of `pieces`. */
  spell(length: number, hash: number): number {
    const isTooLong = length > this.#maxWordLength && this.#isTooLong(length)
    const id = isTooLong ? this.#unknownId : this.#beginnings.find(this.word, 0, length, hash)
    if (id >= 0) {
      this.pieces[0] = id
      return 1
    }
    const known = this.#cache.read(this.word, length, hash, this.pieces)
    if (known > 0) return known
    const count = this.#cut(length)
    this.#cache.write(this.word, length, hash, this.pieces, count)
    return count
  }

  #isTooLong(length: number): boolean {
    if (length >= this.word.length) return true
    return [...String.fromCharCode(...this.word.subarray(0, length))].length > this.#maxWordLength
  }

  #cut(length: number): number {
    const hashes = this.#hashes
    let count = 0
    for (let start = 0; start < length; ) {
      const table = start === 0 ? this.#beginnings : this.#continuations
      const reach = Math.min(length - start, table.longest)
      hashes[0] = hashSeed
      for (let i = 0; i < reach; i++) hashes[i + 1] = hashUnit(hashes[i] as number, this.word[start + i] as number)
      let size = reach
      let id = -1
      for (; size > 0; size--) {
        id = table.find(this.word, start, start + size, hashes[size] as number)
        if (id >= 0) break
      }
      if (id < 0) {
        this.pieces[0] = this.#unknownId
        return 1
      }
      this.pieces[count++] = id
      start += size
    }
    return count
  }
}

function continuationsOf({ tokens, ids }: SpellerOptions['vocabulary'], prefix: string): TokenTable {
  const continuations: string[] = []
  const theirIds: number[] = []
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i] as string
    if (!token.startsWith(prefix)) continue
    continuations.push(token.slice(prefix.length))
    theirIds.push(ids[i] as number)
  }
  return new TokenTable(continuations, theirIds)
}
