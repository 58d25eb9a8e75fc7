/** Scripts whose words are stemmed, each by the language of its own that is given here unless the document says otherwise. */
const scriptDefaults = {
  latin: 'english',
  cyrillic: 'russian',
  arabic: 'arabic',
  armenian: 'armenian',
  tamil: 'tamil',
} as const

/** A script whose words may be stemmed. */
export type StemmedScript = keyof typeof scriptDefaults

/** How words are reduced in documents of one language. */
export interface LanguageProfile {
  /** Languages with the same profile share it: `english` stands for all whose own script settles the stemmer. */
  readonly id: string
  /** Snowball algorithm by script; a script that is absent is not stemmed. */
  readonly stemmers: Readonly<Partial<Record<StemmedScript, string>>>
  /** Accents are dropped after stemming: they are often left out in typing and never tell two letters of the alphabet apart. */
  readonly foldsAccents: boolean
  /** An apostrophe ends a word (`l'avion`) instead of standing inside it (`don't`). */
  readonly splitsApostrophes: boolean
}

/** Language names by the primary subtag of BCP 47. A language that is not listed is `unstemmed`. */
const namesByCode: Readonly<Record<string, string>> = {
  ar: 'arabic',
  be: 'belarusian',
  bg: 'bulgarian',
  ca: 'catalan',
  cs: 'czech',
  da: 'danish',
  de: 'german',
  el: 'greek',
  en: 'english',
  es: 'spanish',
  eu: 'basque',
  fa: 'persian',
  fi: 'finnish',
  fr: 'french',
  ga: 'irish',
  he: 'hebrew',
  hi: 'hindi',
  hu: 'hungarian',
  hy: 'armenian',
  it: 'italian',
  ja: 'japanese',
  kk: 'kazakh',
  km: 'khmer',
  ko: 'korean',
  lo: 'lao',
  mk: 'macedonian',
  my: 'burmese',
  nb: 'norwegian',
  nl: 'dutch',
  nn: 'norwegian',
  no: 'norwegian',
  pt: 'portuguese',
  ro: 'romanian',
  ru: 'russian',
  sl: 'slovene',
  sr: 'serbian',
  sv: 'swedish',
  ta: 'tamil',
  th: 'thai',
  tr: 'turkish',
  uk: 'ukrainian',
  ur: 'urdu',
  zh: 'chinese',
}

/** Languages written in Latin letters that have a Snowball algorithm of their own. */
const latinLanguages = new Set([
  'basque',
  'catalan',
  'czech',
  'danish',
  'dutch',
  'english',
  'finnish',
  'french',
  'german',
  'hungarian',
  'irish',
  'italian',
  'norwegian',
  'portuguese',
  'romanian',
  'slovene',
  'spanish',
  'swedish',
  'turkish',
])

/** Languages that share a script with one of `scriptDefaults` but not its stemmer. */
const unstemmedScripts: Readonly<Record<string, StemmedScript>> = {
  belarusian: 'cyrillic',
  bulgarian: 'cyrillic',
  kazakh: 'cyrillic',
  macedonian: 'cyrillic',
  serbian: 'cyrillic',
  ukrainian: 'cyrillic',
  persian: 'arabic',
  urdu: 'arabic',
}

/** Languages in which a letter without its accent is another letter, not a careless spelling. */
const accentedAlphabets = new Set([
  'basque',
  'czech',
  'danish',
  'finnish',
  'hungarian',
  'norwegian',
  'slovene',
  'swedish',
  'turkish',
])

const elidingLanguages = new Set(['catalan', 'french', 'italian'])

/** The profile of a language given as BCP 47 tag (`en`, `pt-BR`) or English name (`german`). Unknown ones are not stemmed in Latin script. */
export function languageProfile(language: string): LanguageProfile {
  const lower = language.trim().toLowerCase()
  const name = namesByCode[lower.split(/[-_]/, 1)[0] ?? ''] ?? lower
  if (latinLanguages.has(name)) return profile(name, { ...scriptDefaults, latin: name })
  const unstemmed = unstemmedScripts[name]
  if (unstemmed !== undefined) {
    const { [unstemmed]: _, ...stemmers } = scriptDefaults
    return profile(name, stemmers)
  }
  // The language's own script settles everything; Latin words in such texts are mostly English.
  if (knownNames.has(name)) return profile('english', scriptDefaults)
  const { latin: _, ...stemmers } = scriptDefaults
  return profile('unstemmed', stemmers)
}

const knownNames = new Set(Object.values(namesByCode))

function profile(id: string, stemmers: LanguageProfile['stemmers']): LanguageProfile {
  return {
    id,
    stemmers,
    foldsAccents: !accentedAlphabets.has(id),
    splitsApostrophes: elidingLanguages.has(id),
  }
}
