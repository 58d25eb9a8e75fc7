import { stopWords } from './stop-words.js'

/** Scripts that are those of one language, or nearly so, in the order in which they are looked for: kana tells Japanese from Chinese. */
const scripts: readonly (readonly [language: string, letters: RegExp])[] = [
  ['japanese', /[\p{Script=Hiragana}\p{Script=Katakana}]/gu],
  ['chinese', /\p{Script=Han}/gu],
  ['korean', /\p{Script=Hangul}/gu],
  ['thai', /\p{Script=Thai}/gu],
  ['lao', /\p{Script=Lao}/gu],
  ['khmer', /\p{Script=Khmer}/gu],
  ['burmese', /\p{Script=Myanmar}/gu],
  ['greek', /\p{Script=Greek}/gu],
  ['hebrew', /\p{Script=Hebrew}/gu],
  ['armenian', /\p{Script=Armenian}/gu],
  ['tamil', /\p{Script=Tamil}/gu],
  ['hindi', /\p{Script=Devanagari}/gu],
  ['cyrillic', /\p{Script=Cyrillic}/gu],
  ['arabic script', /\p{Script=Arabic}/gu],
]

/** Letters that one language of a script has and the usual one has not. */
const tellingLetters: Readonly<Record<string, { readonly usual: string; readonly others: [string, RegExp][] }>> = {
  cyrillic: {
    usual: 'russian',
    others: [
      ['ukrainian', /[іїєґ]/i],
      ['belarusian', /ў/i],
      ['serbian', /[ђћџ]/i],
      ['macedonian', /[ѓќѕ]/i],
      ['kazakh', /[әғқңөұүһ]/i],
    ],
  },
  'arabic script': {
    usual: 'arabic',
    others: [
      ['urdu', /[ٹڈڑںےھ]/],
      ['persian', /[پچژگ]/],
    ],
  },
}

const list = (words: string): readonly string[] => words.split(' ')

/** Function words by language; of languages without a stop list of their own only the commonest, so that they are not taken for others. */
const functionWords: Readonly<Record<string, readonly string[]>> = {
  ...stopWords,
  swedish: list(
    'och att det som en ett är av för på med den till inte har de om vad hur när var vem vilken vilka man kan eller från',
  ),
  danish: list(
    'og at det som en et er af for på med den til ikke har de om hvad hvordan hvornår hvor hvem hvilken man kan eller fra',
  ),
  norwegian: list(
    'og å at det som en et er av for på med den til ikke har de om hva hvordan når hvor hvem hvilken man kan eller fra',
  ),
  finnish: list(
    'ja on ei se että mitä miten missä milloin kuka mikä miksi olla ovat oli tai kun jos niin kuin tämä minä voi',
  ),
  polish: list('i w na z do jest nie się co jak gdzie kiedy kto który która jaki jaka czy dla od po to są ile przez'),
  czech: list('a v na s do je ne se co jak kde kdy kdo který která jaký jaká zda pro od po to jsou kolik nebo'),
  turkish: list('ve bir bu ne nasıl nerede kim hangi için ile mi mı mu mü değil var kaç neden çok daha olan'),
  hungarian: list('a az és egy hogy nem mi hogyan hol mikor ki melyik miért van volt vagy ez azt mennyi'),
  romanian: list('și în de la cu pe este nu ce cum unde când cine care pentru din sau sunt un o mai'),
  catalan: list('el la els les i de a en que què com on quan qui quin quina per amb és són no del al una un'),
}

/** In how many languages a word is a function word: the more, the less it tells. */
const languagesOf = ((): ReadonlyMap<string, readonly string[]> => {
  const found = new Map<string, string[]>()
  for (const [language, words] of Object.entries(functionWords)) {
    for (const word of new Set(words)) found.set(word, [...(found.get(word) ?? []), language])
  }
  return found
})()

/** Characters that are looked at: the first ones tell. */
const maxCharacters = 2_000
/** A language is told from others by this much more of what speaks for it, and by two different words of its own, at least. */
const lead = 1.4
const leastWords = 2

/**
 * The language of a text as an English name, by its script and, in Latin letters, by its function words; `undefined` where they do not
 * tell: names, codes, a word or two. Linear in the text, of which the beginning is read.
 */
export function detectLanguage(text: string): string | undefined {
  const read = text.slice(0, maxCharacters)
  const letters = read.match(/\p{L}/gu)?.length ?? 0
  if (letters === 0) return undefined
  for (const [language, pattern] of scripts) {
    const own = read.match(pattern)?.length ?? 0
    // A few kana among Han characters are Japanese; of other scripts it takes most letters, as any text may quote a name.
    if (own > letters * (language === 'japanese' ? 0.1 : 0.5)) return ofScript(language, read)
  }
  return byFunctionWords(read)
}

function ofScript(script: string, text: string): string {
  const telling = tellingLetters[script]
  if (telling === undefined) return script
  return telling.others.find(([, letters]) => letters.test(text))?.[0] ?? telling.usual
}

const consonant = /^[b-df-hj-np-tv-z]$/

function byFunctionWords(text: string): string | undefined {
  const evidence = new Map<string, { sum: number; words: number }>()
  const words =
    text
      .toLowerCase()
      .normalize('NFC')
      .match(/[\p{L}\p{M}]+/gu) ?? []
  for (const word of new Set(words)) {
    // A letter is a function word in many a language, and a vitamin, a variable or a cell in every one.
    const languages = consonant.test(word) ? [] : (languagesOf.get(word) ?? [])
    for (const language of languages) {
      const known = evidence.get(language) ?? { sum: 0, words: 0 }
      evidence.set(language, { sum: known.sum + 1 / languages.length, words: known.words + 1 })
    }
  }
  const [best, second] = [...evidence].sort(([, a], [, b]) => b.sum - a.sum)
  if (best === undefined || best[1].words < leastWords) return undefined
  return second === undefined || best[1].sum >= lead * second[1].sum ? best[0] : undefined
}
