import fc from 'fast-check'

/** Pieces of writing in many scripts, with all the trouble they can make where text is cut. */
const fragments = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(' ', ' ', ' ', '\n', '\n\n', '\r\n', '\t', '\u00a0', '\u3000', '  ', '\f') },
  {
    weight: 6,
    arbitrary: fc.constantFrom('the', 'Word', 'a', 'naïve', 'U.S.', 'Dr.', '3.14', '1.', 'e.g.', 'x@y.org'),
  },
  {
    weight: 4,
    arbitrary: fc.constantFrom('.', '. ', '! ', '? ', '...', '… ', ', ', '; ', '—', '." ', '(', ')', '"', '*'),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom('今天', '天气很好', '。', '，', '「', '」', '日本語です', '한국어', 'カタカナ', '｡'),
  },
  { weight: 2, arbitrary: fc.constantFrom('สวัสดีครับ', 'ผม', 'यह है', 'क्षि', '।', 'مرحبا', '؟', 'שלום', 'ມື້ນີ້') },
  {
    weight: 2,
    arbitrary: fc.constantFrom('👩‍👩‍👧‍👦', '👍🏽', '🇩🇪', '🇫🇷', '❤️', '1️⃣', 'é', 'ö̲', '\u0301', '\u200d', '𠮷', '각', 'ำ'),
  },
  { weight: 1, arbitrary: fc.constantFrom('- ', '1) ', '# ', '| a | b |\n', '```\n', '> ') },
  { weight: 1, arbitrary: fc.nat(90).map((length) => 'x'.repeat(length)) },
  { weight: 1, arbitrary: fc.nat(30).map((length) => '漢'.repeat(length)) },
)

/** Well-formed text of any kind: prose of many scripts, single characters, all of Unicode. */
export const anyText: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: fc.array(fragments, { maxLength: 120 }).map((parts) => parts.join('')) },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', maxLength: 200 }) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 200 }) },
)

/** Texts that make careless code slow: a name, and the text of about so many code units. */
export const hostileTexts: [name: string, repeat: (length: number) => string][] = [
  'a',
  'a ',
  'a. ',
  'A. ',
  'a.',
  '.',
  '. ',
  '.)',
  ')',
  '."',
  '. "a',
  '("',
  '!',
  '! a ',
  '… ',
  '1. ',
  "a'",
  ' ',
  '\n',
  '\n a',
  '\r\n',
  'a\n',
  '#\n',
  '# \n',
  '|\n',
  '- \n',
  '(1) \n',
  '。',
  '。「',
  '漢',
  '，漢',
  '，\u0301',
  'a. \u0301',
  'a \u0301',
  'ก',
  'ก ',
  '\u0301',
  ' \u0301',
  '\n\u0301',
  'é',
  '😀',
  '👩‍',
  '🇩🇪',
  '\u200d',
  'क्',
  'ᄀ',
].map((unit) => [JSON.stringify(unit), (length) => unit.repeat(Math.ceil(length / unit.length))])
hostileTexts.push(['stops before a letter', (length) => `a${'.'.repeat(length)}b`])
hostileTexts.push(['line ends before a mark', (length) => `a${'\n'.repeat(999)}\u0301`.repeat(length / 1000)])
hostileTexts.push(['white space before a mark', (length) => `a${' '.repeat(999)}\u0301`.repeat(length / 1000)])
hostileTexts.push(['one stop and white space', (length) => `a.${' '.repeat(length)}b`])
hostileTexts.push([
  'a stop before and after white space',
  (length) => `a.${' '.repeat(length / 2)}.${'\n'.repeat(length / 2)}b`,
])
