/** What a character does to the word it stands in. */
export enum CharacterKind {
  /** Not looked up yet. */
  unknown = 0,
  /** Ends a word. */
  separator = 1,
  /** Letter, mark or digit of a script with spaces, or an underscore. */
  word = 2,
  /** Character of a script written without spaces. */
  unspaced = 3,
  /** Belongs to a word only between two of its characters. */
  apostrophe = 4,
  /** Invisible: soft hyphen, zero-width joiners, variation selectors. */
  joiner = 5,
}

const unspaced =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Bopomofo}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\p{Script=Tibetan}\u3099\u309a\u30fc\uff70\uff9e\uff9f]/u
const word = /[\p{L}\p{M}\p{N}_]/u
const joiner = /[\u00ad\u2060\ufeff]|\u200c|\u200d|[\ufe00-\ufe0f]/

/** Kinds of the first plane, filled in as characters are met: 64 KiB against a regular expression per character. */
const kinds = new Uint8Array(0x10000)

/** The kind of a code point; the second half of a surrogate pair continues the first, `NaN` (beyond the end) separates. */
export function characterKind(codePoint: number): CharacterKind {
  if (codePoint > 0xffff) return classify(codePoint)
  const known = kinds[codePoint]
  if (known === undefined) return CharacterKind.separator
  if (known !== CharacterKind.unknown) return known
  const kind = classify(codePoint)
  kinds[codePoint] = kind
  return kind
}

function classify(codePoint: number): CharacterKind {
  if (codePoint === 0x27 || codePoint === 0x2019) return CharacterKind.apostrophe
  // The trailing half of a pair is visited on its own by scanners that step by code unit.
  if (codePoint >= 0xdc00 && codePoint < 0xe000) return CharacterKind.joiner
  const character = String.fromCodePoint(codePoint)
  if (joiner.test(character)) return CharacterKind.joiner
  if (unspaced.test(character) && word.test(character)) return CharacterKind.unspaced
  return word.test(character) ? CharacterKind.word : CharacterKind.separator
}
