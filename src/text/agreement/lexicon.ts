/** Words that decide whether two questions can have one answer. English, but for negation. */

const list = (words: string): readonly string[] => words.split(' ')

export const negators: ReadonlySet<string> = new Set([
  ...list('not no never without neither nor none nobody nothing nowhere cannot non except excluding lacking'),
  ...list('nicht kein keine keinen keinem keiner ohne nie niemals'),
  ...list(
    'pas sans jamais aucun aucune ni sin nunca ningún ninguna tampoco senza mai nessuno niet geen zonder não sem',
  ),
])

const numberWords = list(
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty',
)
const ordinalWords = list(
  'zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth',
)

/** Numbers as digits would say them. */
export const numbers: ReadonlyMap<string, string> = new Map([
  ...[numberWords, ordinalWords].flatMap((words) => words.map((word, value) => [word, String(value)] as const)),
  ...list('thirty forty fifty sixty seventy eighty ninety').map((word, i) => [word, String(30 + i * 10)] as const),
  ['dozen', '12'],
  ['hundred', '100'],
  ['thousand', '1000'],
  ['million', '1000000'],
  ['billion', '1000000000'],
  ['half', '0.5'],
  ['quarter', '0.25'],
  ['twice', '2'],
  ['double', '2'],
  ['triple', '3'],
])

const months = list('january february march april may june july august september october november december')

/** Months, by name and by three letters. */
export const monthNames: ReadonlyMap<string, number> = new Map(
  months.flatMap((name, i) => [[name, i + 1] as const, [name.slice(0, 3), i + 1] as const]),
)

/** Days and times that a question may be about. */
export const dateWords: ReadonlySet<string> = new Set([
  ...list('monday tuesday wednesday thursday friday saturday sunday weekday weekdays weekend weekends'),
  ...list('today yesterday tomorrow tonight now morning noon afternoon evening night midnight'),
  ...list('winter spring summer autumn christmas easter thanksgiving halloween ramadan passover'),
])

export const relativeTimes: ReadonlySet<string> = new Set(list('last next this previous past coming current'))
export const timeSpans: ReadonlySet<string> = new Set(
  list('year week month day quarter decade century weekend semester season'),
)

const unitNames: readonly string[] = [
  'metre meter metres meters m',
  'kilometre kilometer kilometres kilometers km',
  'centimetre centimeter centimetres centimeters cm',
  'millimetre millimeter millimetres millimeters mm',
  'mile miles mi',
  'foot feet ft',
  'inch inches',
  'yard yards',
  'gram grams gramme grammes g',
  'kilogram kilograms kilo kilos kg',
  'milligram milligrams mg',
  'microgram micrograms µg μg mcg',
  'tonne tonnes ton tons',
  'pound pounds lb lbs £ gbp',
  'ounce ounces oz',
  'litre liter litres liters l',
  'millilitre milliliter millilitres milliliters ml',
  'gallon gallons gal',
  'pint pints',
  'euro euros € eur',
  'dollar dollars $ usd',
  'cent cents',
  'yen ¥ jpy',
  'franc francs chf',
  'celsius °c ℃ c',
  'fahrenheit °f ℉ f',
  'kelvin',
  'second seconds sec secs s',
  'millisecond milliseconds ms',
  'minute minutes min mins',
  'hour hours hr hrs h',
  'day days',
  'week weeks',
  'month months monthly',
  'year years annually yearly',
  'bit bits',
  'byte bytes',
  'kilobyte kilobytes kb kib',
  'megabyte megabytes mb mib',
  'gigabyte gigabytes gb gib',
  'terabyte terabytes tb tib',
  'percent % per-cent',
  'mph',
  'km/h kmh kph',
  'watt watts w',
  'kilowatt kilowatts kw',
  'megawatt megawatts mw',
  'kwh',
  'mwh',
  'volt volts v',
  'ampere amperes amp amps',
  'ohm ohms ω',
  'kiloohm kiloohms',
  'hertz hz',
  'megahertz mhz',
  'gigahertz ghz',
  'calorie calories kcal',
  'joule joules',
]

/** Units by every name they have, with the first of them. */
export const units: ReadonlyMap<string, string> = new Map(
  unitNames.flatMap((names) => list(names).map((name) => [name, names.split(' ', 1)[0] as string] as const)),
)
/** These are units behind a number only. */
export const boundUnits: ReadonlySet<string> = new Set(list('m g l c f s h w v mi min ms second minute $ € £ ¥'))

/** Opposites: what stands left raises an axis, what stands right lowers it. */
const opposites: readonly (readonly [more: string, less: string])[] = [
  ['more most greater', 'less fewer fewest least'],
  ['expensive dear costlier pricier', 'cheap cheaper cheapest inexpensive'],
  ['large larger largest big bigger biggest huge', 'small smaller smallest little tiny'],
  ['fast faster fastest quick quicker quickest rapid', 'slow slower slowest'],
  ['old older oldest elder eldest', 'young younger youngest new newer newest'],
  ['high higher highest tall taller tallest', 'low lower lowest'],
  ['upper', 'lower'],
  ['long longer longest', 'short shorter shortest'],
  ['heavy heavier heaviest', 'light lighter lightest'],
  ['hot hotter hottest warm warmer warmest', 'cold colder coldest cool cooler coolest'],
  ['strong stronger strongest', 'weak weaker weakest'],
  ['hard harder hardest difficult', 'easy easier easiest'],
  ['wide wider widest', 'narrow narrower narrowest'],
  ['deep deeper deepest', 'shallow shallower shallowest'],
  ['rich richer richest', 'poor poorer poorest'],
  ['near nearer nearest close closer closest', 'far farther farthest further furthest'],
  ['good better best', 'bad worse worst'],
  ['late later latest', 'early earlier earliest'],
  ['after', 'before'],
  ['above', 'below beneath'],
  ['maximum maximal max at-most', 'minimum minimal min at-least'],
  ['over-number exceeding', 'under-number'],
  ['increase increases increased increasing raise', 'decrease decreases decreased decreasing reduce reduces reduced'],
  ['rise rises rose rising', 'fall falls fell falling drop dropped'],
  ['gain gains gained gaining', 'lose loses lost losing'],
  ['enable enables enabled enabling', 'disable disables disabled disabling'],
  [
    'allow allows allowed permit permits permitted',
    'prohibit prohibited prohibits forbid forbidden forbids ban banned',
  ],
  ['include includes included including', 'exclude excludes excluded excluding'],
  ['pass passes passed passing succeed succeeded', 'fail fails failed failing'],
  ['accept accepts accepted', 'reject rejects rejected refuse refused decline declined'],
  ['approve approves approved', 'deny denies denied'],
  ['buy buys bought buying', 'sell sells sold selling'],
  ['add adds added adding', 'remove removes removed removing'],
  ['import imports imported importing', 'export exports exported exporting'],
  ['upload uploads uploaded uploading', 'download downloads downloaded downloading'],
  ['send sends sent sending', 'receive receives received receiving'],
  ['open opens opened', 'close closes closed'],
  ['start starts started begin begins began', 'stop stops stopped end ends ended finish finished'],
  ['win wins won winner', 'loser losers defeat defeated'],
  ['pro pros benefit benefits', 'con cons drawback drawbacks'],
  ['north northern', 'south southern'],
  ['east eastern', 'west western'],
  ['true', 'false'],
  ['male man men', 'female woman women'],
  ['arrive arrives arrival', 'depart departs departure leave leaves'],
  ['login log-in', 'logout log-out'],
  ['incoming inbound', 'outgoing outbound'],
  ['input', 'output'],
  ['read reads reading', 'write writes writing'],
  ['encrypt encrypts', 'decrypt decrypts'],
  ['public', 'private'],
]

/** Where a word pulls: an axis, and in which direction. */
export interface Pole {
  readonly axis: number
  readonly sign: 1 | -1
}

export const poles: ReadonlyMap<string, readonly Pole[]> = makePoles()

function makePoles(): Map<string, Pole[]> {
  const made = new Map<string, Pole[]>()
  for (const [axis, [more, less]] of opposites.entries()) {
    for (const [words, sign] of [[more, 1] as const, [less, -1] as const]) {
      for (const word of list(words)) made.set(word, [...(made.get(word) ?? []), { axis, sign }])
    }
  }
  return made
}

/** Turn a word into its opposite. */
export const prefixes = list('un in im il ir dis non non- de mis anti anti-')

/** First words of questions, which are capitalised whatever they are; function words are known from elsewhere. */
export const openers: ReadonlySet<string> = new Set(
  list(
    'explain tell describe please list give show name compare define find say state summarise summarize help let could may shall might must got get make want need i',
  ),
)
