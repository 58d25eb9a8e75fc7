import { createRequire } from 'node:module'
import { CharacterKind, characterKind } from './characters.js'
import { type LanguageProfile, languageProfile, type StemmedScript } from './language.js'
import { stopWords } from './stop-words.js'
import { maxWordLength, WordMemo } from './word-memo.js'

const require = createRequire(import.meta.url)

/** Turns text into the terms it is indexed and searched by. */
export interface Analyzer {
  /** Id of the language profile: languages that are analysed alike share it. */
  readonly language: string
  /**
   * Terms in the order of the text, repeated as often as they occur. Linear in the length of the text. No term is empty or longer
   * than 64 UTF-16 code units, save where a stemmer lengthens it by a letter.
   */
  terms(text: string): string[]
  /**
   * Whether a term is a function word of the language. Such terms are indexed, but they neither count towards the length of a passage
   * nor are they searched for beside other words: measured, `what`, `does` and their like cost up to .08 nDCG@10.
   */
  isStopWord(term: string): boolean
}

/** Changes whenever the same text would yield other terms; the Unicode tables of the JavaScript engine have a part in it. */
export const analyzerFingerprint = `analyzer-1:unicode-${process.versions.unicode ?? '0'}`

/** Distinct words whose terms are remembered, per generation of two; a word is found far faster than it is stemmed (13 µs). */
const memoisedWords = 32_768

/**
 * Makes the analyzer of a language, given as BCP 47 tag or English name. Words (letters, marks, digits) are case-folded and reduced
 * to their Snowball stem; identifiers yield themselves and their parts (`parseHttpHeader` also `parse`, `http`, `header`); scripts
 * written without spaces yield bigrams. Words of another script are stemmed in that script's own language.
 */
export async function createAnalyzer(language: string): Promise<Analyzer> {
  const profile = languageProfile(language)
  const termsOfWord = createWordReducer(profile, await loadStemmers(profile))
  const words = new WordMemo(termsOfWord, memoisedWords)
  const stopTerms = new Set((stopWords[profile.id] ?? []).flatMap(termsOfWord))
  return {
    language: profile.id,
    terms: (text) => collectTerms(text, words, profile.splitsApostrophes),
    isStopWord: (term) => stopTerms.has(term),
  }
}

type Reduce = (word: string) => string

async function loadStemmers(profile: LanguageProfile): Promise<Partial<Record<StemmedScript, Reduce>>> {
  // 860 KB of JavaScript: only when the first text is analysed. `import()` would lex all of it twice to find its names (90 ms, not 20).
  const { newStemmer } = require('snowball-stemmers') as typeof import('snowball-stemmers')
  const stemmers: Partial<Record<StemmedScript, Reduce>> = {}
  for (const [script, algorithm] of Object.entries(profile.stemmers)) {
    const stemmer = newStemmer(algorithm)
    stemmers[script as StemmedScript] = (word) => stemmer.stem(word)
  }
  return stemmers
}

function collectTerms(text: string, words: WordMemo<readonly string[]>, splitsApostrophes: boolean): string[] {
  const terms: string[] = []
  const { length } = text
  const units = unitsOf(text)
  let position = 0
  while (position < length) {
    const kind = kindAt(units, position)
    if (kind === CharacterKind.word) {
      const end = wordEnd(units, position, splitsApostrophes)
      for (const term of words.get(units, position, Math.min(end, position + maxWordLength))) terms.push(term)
      position = end
    } else if (kind === CharacterKind.unspaced) {
      const end = unspacedEnd(units, position)
      pushBigrams(text.slice(position, end), terms)
      position = end
    } else position++
  }
  return terms
}

/** Code units of texts that are not longer than this are written over each other. */
const sharedUnits = 1 << 16
let shared: Buffer | undefined

/**
 * The code units of a text and two blanks, which end every word, until the next call: a typed array is read several times as fast as a string that is part
 * of another.
 */
function unitsOf(text: string): Uint16Array {
  const length = text.length + 2
  if (length <= sharedUnits) shared ??= Buffer.alloc(sharedUnits * 2)
  const buffer = length <= sharedUnits ? (shared as Buffer) : Buffer.alloc(length * 2)
  buffer.write(text, 'utf16le')
  const units = new Uint16Array(buffer.buffer, buffer.byteOffset, length)
  units.fill(0x20, text.length)
  return units
}

function kindAt(units: Uint16Array, position: number): CharacterKind {
  const unit = units[position] as number
  if (unit < 0xd800 || unit >= 0xdc00) return characterKind(unit)
  const next = units[position + 1] as number
  return characterKind(next >= 0xdc00 && next < 0xe000 ? ((unit - 0xd800) << 10) + (next - 0xdc00) + 0x10000 : unit)
}

function wordEnd(units: Uint16Array, start: number, splitsApostrophes: boolean): number {
  let end = start + 1
  for (;;) {
    const kind = kindAt(units, end)
    if (kind === CharacterKind.word || kind === CharacterKind.joiner) end++
    else if (kind === CharacterKind.apostrophe && !splitsApostrophes && kindAt(units, end + 1) === CharacterKind.word)
      end += 2
    else return end
  }
}

function unspacedEnd(units: Uint16Array, start: number): number {
  let end = start + 1
  for (;;) {
    const kind = kindAt(units, end)
    if (kind !== CharacterKind.unspaced && kind !== CharacterKind.joiner) return end
    end++
  }
}

function pushBigrams(run: string, terms: string[]): void {
  const characters = [...run.normalize('NFKC').replace(joiners, '')]
  if (characters.length === 1) terms.push(characters[0] as string)
  for (let i = 1; i < characters.length; i++) terms.push(`${characters[i - 1]}${characters[i]}`)
}

/** Invisible characters, and halves of surrogate pairs that lost the other half. */
const joiners = /[\u00ad\u2060\ufeff]|\u200c|\u200d|[\ufe00-\ufe0f]|\p{Surrogate}/gu
const ascii = /^[\x00-\x7f]*$/

/** Reduces one raw word to its terms: one, or an identifier and its parts. */
function createWordReducer(
  profile: LanguageProfile,
  stemmers: Partial<Record<StemmedScript, Reduce>>,
): (word: string) => readonly string[] {
  return (raw) => {
    const clean = ascii.test(raw) ? raw : raw.normalize('NFKC').replace(joiners, '').replaceAll('\u2019', "'")
    const parts = identifierParts(clean)
    const words = parts.length > 1 ? [clean.replace(outerUnderscores, ''), ...parts] : parts
    return words.map(reduce).filter((term) => term !== '')
  }

  function reduce(word: string): string {
    const lower = word.toLowerCase()
    if (ascii.test(lower)) return stemmers.latin?.(lower) ?? lower
    const script = scriptOf(lower)
    const stemmed = script === undefined ? lower : (stemmers[script]?.(lower) ?? lower)
    return fold(stemmed, profile.foldsAccents)
  }
}

const outerUnderscores = /^_+|_+$/g
/** Underscores, lower case before upper case, and the last capital of an acronym before a word (`HTTPServer`). */
const identifierSeams = /_+|(?<=\p{Ll})(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll}{2})/u

function identifierParts(word: string): string[] {
  return word.split(identifierSeams).filter((part) => part !== '')
}

const scripts: readonly (readonly [StemmedScript, RegExp])[] = [
  ['latin', /\p{Script=Latin}/u],
  ['cyrillic', /\p{Script=Cyrillic}/u],
  ['arabic', /\p{Script=Arabic}/u],
  ['armenian', /\p{Script=Armenian}/u],
  ['tamil', /\p{Script=Tamil}/u],
]

function scriptOf(word: string): StemmedScript | undefined {
  return scripts.find(([, pattern]) => pattern.test(word))?.[0]
}

/** Accents of Latin and Greek letters, points of Hebrew, vowel signs of Arabic. Marks of Indic scripts are vowels and stay; so does the breve of й. */
const accents = /(?<=[\p{Script=Latin}\p{Script=Greek}])[\u0300-\u036f]+/gu
const points = /[\u0591-\u05c7\u064b-\u0652\u0670\u0640]/g

function fold(word: string, foldsAccents: boolean): string {
  const pointless = word.replace(points, '').replaceAll('ё', 'е')
  return foldsAccents ? pointless.normalize('NFD').replace(accents, '').normalize('NFC') : pointless
}
