import { randomNumbers } from '../../src/testing/support.js'
import { commonWords } from '../fixtures/models/words.js'

/** Kinds of text that tokenizers get wrong, each as a list to draw from. Only here, so that the vocabulary below can spell them. */
const fragments: Readonly<Record<string, readonly string[]>> = {
  prose: [
    'The',
    'quick',
    'brown-fox',
    "don't",
    'U.S.A.',
    '3.14159',
    'e-mail@example.org',
    '$5,000',
    'C++',
    'unaffable',
    'x_y',
  ],
  latin: [
    'naïve',
    'ÉCOLE',
    'Ångström',
    'Straße',
    'STRAẞE',
    'İstanbul',
    'ıI',
    'ﬁne',
    'ǅ',
    'ŉ',
    'ǰ',
    'cœur',
    'Þórr',
    'K',
    'Å',
  ],
  decomposed: [
    'e\u0301',
    'A\u030a',
    'n\u0303',
    'o\u0308\u0304',
    'q\u0323\u0307',
    '\u0301',
    'x\u0345',
    'i\u0307',
    '\u0344',
    'a\u0334\u0301',
  ],
  greek: [
    'ΟΔΟΣ',
    'ΣΟΦΟΣ',
    'Σ',
    'ΑΣ.',
    'ΑΣ.Β',
    "Σ'Α",
    'ΑΣ\u0301',
    'ΑΣ\u00adΒ',
    'Α.Σ',
    'ΐ',
    'ᾳ',
    '\u0387',
    '\u037e',
    'ʰΣ',
    'σς',
    '\u{10400}Σ\u{10400}',
  ],
  cyrillic: ['Привет', 'ЙОД', 'ёлка', 'Ї', 'и\u0306'],
  indic: ['क्षि', 'हिन्दी', 'கொ', 'ৌ', '\u0f73', 'ശ്രീ', 'ළ්‍ර'],
  semitic: ['שָׁלוֹם', 'مَرْحَبًا', 'ﷺ', 'لا', '؟'],
  unspaced: [
    '漢字',
    '今天天气',
    'カタカナ',
    'ひらがなが',
    'が',
    'สวัสดี',
    'ำ',
    '한국어',
    '각',
    '\uac00',
    '\u1100\u1161\u11a8',
    '\uf900',
    '\ufa6c',
    '豈',
    '\u{20000}',
    '\u{2f800}',
    '々',
    '。',
    '「」',
  ],
  emoji: ['😀', '👩‍👩‍👧‍👦', '👍🏽', '🇩🇪', '❤️', '1️⃣', '\u{1f3f4}\u{e0067}\u{e007f}'],
  astral: ['\u{1d400}', '\u{10400}', '\u{10428}', '\u{1e900}', '\u{10100}', '\u{1f800}', '\u{110bd}'],
  marks: [
    '\u302e',
    '\ua9c0',
    '\u1b44',
    '\u{1d15e}',
    '\u{1d165}',
    '\u{1d16e}',
    '\ua9c0\u302e',
    '\u302e\ua9c0',
    '\u302e\u0301\ua9c0',
    '\u{1d15e}\ua9c0',
    '\u0903\u302e\ua9c0',
  ],
  controls: [
    '\0',
    '\x01',
    '\x07',
    '\x1b',
    '\x7f',
    '\x85',
    '\v',
    '\f',
    '\t',
    '\r\n',
    '\n',
    '\u00ad',
    '\u200b',
    '\u200c',
    '\u200d',
    '\u200e',
    '\u2060',
    '\ufeff',
    '\ufffd',
    '\ufffe',
    '\ufff9',
    '\ue000',
    '\u{f0000}',
    '\u{e0001}',
  ],
  spaces: [' ', '  ', '\u00a0', '\u1680', '\u2003', '\u2028', '\u2029', '\u202f', '\u205f', '\u3000', '\u180e'],
  punctuation: [
    '.',
    '—',
    '…',
    '«»',
    '¿',
    '`',
    '^',
    '|',
    '~',
    '§',
    '€',
    '≠',
    '≮',
    '\u1fef',
    '×',
    '´',
    '‿',
    '\u2e3a',
    '#',
    '##',
    '##s',
  ],
  surrogates: [
    '\ud800',
    '\udc00',
    '\ud83d',
    '\ude00',
    '\ude00\ud83d',
    '\ud83d\u0301\ude00',
    '\ud800\u0301\udd00',
    '\ud83d\u00ad\ude00',
    `${'a'.repeat(200)}\ud800\u0301\udd00`,
    `${'a'.repeat(201)}\ud800\u0301\udd00b`,
    `${'\u{1d400}'.repeat(100)}\ud800\u0301\udd00`,
  ],
  tokens: [
    '[SEP]',
    '[CLS]',
    '[MASK]',
    '[PAD]',
    '[UNK]',
    '[sep]',
    '[SEP',
    'SEP]',
    '[[SEP]]',
    '[SEP][SEP]',
    '[SE\u00adP]',
    '[MASK].',
    'Σ[SEP]',
    '[SEP]Σ',
    '[unused1]',
    '[CLS',
  ],
  added: [
    '<unk>',
    '<UNK>',
    '<u\u0301nk>',
    '<un\u00adk>',
    '<mask>',
    '<MASK>',
    '<M\u00adASK>',
    ' <mask>',
    '<extra> ',
    'foo',
    'FOOBAR',
    'foobar',
    'xab',
    'ab',
    'abab',
    'The',
    '<[SEP]unk>',
    '<',
    'K<unk>',
    'TheΣ',
    'ΑΣThe',
    'xThey',
    'XTHEY',
    'SUN',
    'sunab',
    'SUNab',
  ],
  long: [
    'a'.repeat(99),
    'a'.repeat(100),
    'a'.repeat(101),
    '\u{1d400}'.repeat(100),
    '\u{1d400}'.repeat(101),
    `${'\u{1d400}'.repeat(99)}a`,
    'é'.repeat(101),
    '한'.repeat(34),
    'b\u0301'.repeat(101),
    '\u302e'.repeat(120),
  ],
}

/** Lines that are an added token by normalization only, or nearly, between others that are one as they are. */
const companies: readonly (readonly string[])[] = [
  ['', '[SEP]', '<mask>', '<unk>', '<extra>', 'foo', ' '],
  ['', '', ' ', '\v'],
  ['<MASK>', '<M\u00adASK>', '\u00ad<MASK>\u00ad', '<EXTRA>', '[SE\u00adP]', '[SE\u0301P]', '<MASK>.', '\u00ad'],
  ['', '', ' ', '\v', ' \v', '\ufeff'],
  ['', '[SEP]', '<mask>', '<unk>', '<extra>', 'foo', '\u0301'],
]

/** What stands between two fragments. */
const joints = ['', '', ' ', ' ', ' ', '\n', '.', '\u00ad', '\u0301']

/**
 * Lines that a seed repeats: fragments of one kind or of several, words, their parts and capitals, any code point at all,
 * with and without white space between them, and the added tokens alone in odd company.
 */
export function* tokenizerLines(seed: number, lines: number): Generator<string> {
  const random = randomNumbers(seed)
  const upTo = (count: number) => Math.floor(random() * count)
  const pick = <Item>(items: readonly Item[]): Item => items[upTo(items.length)] as Item
  const kinds = Object.values(fragments)
  const codePoint = () => String.fromCodePoint(upTo(pick([0x80, 0x600, 0x3100, 0x10000, 0x20000, 0x110000])))
  const word = () => {
    const text = pick(commonWords) + (random() < 0.3 ? pick(commonWords).slice(0, 1 + upTo(4)) : '')
    return random() < 0.3 ? text.toUpperCase() : text
  }
  for (let made = 0; made < lines; made++) {
    if (random() < 0.1) {
      yield companies.map(pick).join('')
      continue
    }
    const kind = pick(kinds)
    const sources = [() => pick(kind), () => pick(pick(kinds)), word, codePoint].slice(0, 1 + upTo(4))
    const count = random() < 0.1 ? 1 : 1 + upTo(24)
    const glue = random() < 0.3 ? [pick(joints)] : joints
    let line = ''
    for (let i = 0; i < count; i++) line += pick(sources)() + (i + 1 < count ? pick(glue) : '')
    yield line
  }
}

/** Lines that hold every code point from `first` to before `end`, each within a word, beside marks and alone. */
export function* codePointLines(first: number, end: number): Generator<string> {
  const perLine = 32
  for (let start = first; start < end; start += perLine) {
    const count = Math.min(perLine, end - start)
    const characters = Array.from({ length: count }, (_, i) => String.fromCodePoint(start + i))
    yield characters.map((character) => `a${character}b Σ${character}Α ${character} ${character}\u0301\u302e`).join(' ')
  }
}

/**
 * A vocabulary that tells right from wrong: nearly every character that the fragments can become is a token, at the beginning of a
 * word and in it, so that few words are unknown and none for a wrong reason.
 */
export function revealingVocabulary(): string[] {
  const text = Object.values(fragments).flat().join('')
  const forms = [text, text.toLowerCase(), text.normalize('NFD'), text.toLowerCase().normalize('NFD')]
  const characters = forms.flatMap((form) => [...form]).filter((character) => character.isWellFormed())
  const ranges = [
    [0x21, 0x52f],
    [0x5d0, 0x5ea],
    [0x620, 0x64a],
    [0x900, 0x97f],
    [0x1100, 0x11ff],
    [0x3040, 0x30ff],
    [0x1f600, 0x1f64f],
  ].flatMap(([from = 0, to = 0]) => Array.from({ length: to - from + 1 }, (_, i) => String.fromCodePoint(from + i)))
  const single = [...characters, ...ranges]
  const pieces = [
    'ing',
    'able',
    'aff',
    'er',
    'ab',
    'σς',
    'foo',
    'foobar',
    'unk',
    'mask',
    '<unk>',
    '\u302e\ua9c0',
    'aa',
    'aaaa',
  ]
  const whole = [...single, ...pieces, ...commonWords.filter((_, i) => i % 3 > 0)]
  return [...new Set([...whole, ...whole.map((token) => `##${token}`)])]
}
