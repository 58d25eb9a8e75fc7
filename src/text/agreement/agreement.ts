import { maxCharacters, type QuestionFacts, readFacts } from './facts.js'
import { poles, prefixes, units } from './lexicon.js'

export { type QuestionFacts, readFacts }

/** What two questions do not agree on. */
export type Disagreement =
  | 'numbers'
  | 'dates'
  | 'units'
  | 'negation'
  | 'quotations'
  | 'comparatives'
  | 'names'
  | 'order'
  | 'words'

/**
 * Why two questions that look alike cannot have the same answer; `undefined` when nothing is known against it. Near texts have near
 * vectors whatever they say: no threshold of similarity replaces this. It errs towards disagreement, which costs time only. Words are
 * known in English (negation in six more languages); numbers, codes, quotations, names and dates in digits in any.
 */
export function findDisagreement(one: QuestionFacts, other: QuestionFacts): Disagreement | undefined {
  if (one.text === other.text) return undefined
  if (Math.max(one.text.length, other.text.length) > maxCharacters) return 'words'
  if (!areEqual(one.numbers, other.numbers)) return 'numbers'
  if (!areEqual(one.dates, other.dates)) return 'dates'
  if (!unitsAgree(one, other)) return 'units'
  if (one.isNegated !== other.isNegated || areOpposites(one.words, other.words)) return 'negation'
  if (!holdsQuotations(one, other) || !holdsQuotations(other, one)) return 'quotations'
  if (!polesAgree(one, other)) return 'comparatives'
  if (!holdsNames(one, other) || !holdsNames(other, one)) return 'names'
  if (!ordersAgree(one, other)) return 'order'
  if (isOneWordApart(one, other)) return 'words'
  return undefined
}

function areEqual(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((item, place) => item === other[place])
}

/** "In what year" asks for what "when" asks for: units without a number differ only from other such units. */
function unitsAgree(one: QuestionFacts, other: QuestionFacts): boolean {
  if (!areEqual(one.boundUnits, other.boundUnits)) return false
  const isSaid = one.freeUnits.length > 0 && other.freeUnits.length > 0
  return !isSaid || areEqual(one.freeUnits, other.freeUnits)
}

/** `legal` and `illegal`, `lock` and `unlock`. */
function areOpposites(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  const denied = (words: ReadonlySet<string>, others: ReadonlySet<string>) =>
    [...words].some(
      (word) => !others.has(word) && prefixes.some((prefix) => others.has(prefix + word) && !words.has(prefix + word)),
    )
  return denied(one, other) || denied(other, one)
}

/** What one quotes the other quotes, or says. */
function holdsQuotations(one: QuestionFacts, other: QuestionFacts): boolean {
  return one.quotations.every((text) =>
    other.quotations.length > 0 ? other.quotations.includes(text) : other.text.includes(text),
  )
}

/** On every axis the same direction, and the same number of reversals on the others: "cheaper" is "costs less". */
function polesAgree(one: QuestionFacts, other: QuestionFacts): boolean {
  for (const [axis, sign] of one.poles) {
    const opposite = other.poles.get(axis)
    if (opposite !== undefined && opposite !== sign) return false
  }
  return direction(one) === direction(other)
}

function direction({ poles }: QuestionFacts): number {
  let product = 1
  for (const sign of poles.values()) if (sign < 0) product = -product
  return product
}

function holdsNames(one: QuestionFacts, other: QuestionFacts): boolean {
  return one.names.every((name) => other.words.has(name))
}

/** The same words in another order are another question: who paid whom, from where to where, what is heavier than what. */
function ordersAgree(one: QuestionFacts, other: QuestionFacts): boolean {
  if (one.standard.length > 0 && other.standard.length > 0 && !areEqual(one.standard, other.standard)) return false
  if (one.origin !== undefined && other.origin !== undefined && one.origin !== other.origin) return false
  // "The tower's height" is "the height of the tower".
  if (one.hasPossessive !== other.hasPossessive) return true
  const isSameBag = areEqual([...one.content].sort(), [...other.content].sort())
  if (!isSameBag || areEqual(one.content, other.content)) return true
  // "Who discovered penicillin" is "by whom was penicillin discovered"; two names that change places have changed roles.
  return one.names.length < 2 && isRotated(one.content, other.content)
}

function isRotated(one: readonly string[], other: readonly string[]): boolean {
  return one.some((_, place) => areEqual([...one.slice(place), ...one.slice(0, place)], other))
}

/** Where nothing has capitals any word may be a name: one that stands in the place of another makes another question. */
function isOneWordApart(one: QuestionFacts, other: QuestionFacts): boolean {
  if (!one.isPlain || !other.isPlain || one.content.length !== other.content.length || one.content.length < 2)
    return false
  const own = [...one.words].filter((word) => !other.words.has(word))
  const others = [...other.words].filter((word) => !one.words.has(word))
  const [word, replaced] = [own[0], others[0]]
  if (own.length !== 1 || others.length !== 1 || word === undefined || replaced === undefined) return false
  return one.content.includes(word) && !isInflected(word, replaced) && !areSynonyms(word, replaced)
}

/** What numbers and units say was compared before; words that pull in the same direction mean the same. */
function areSynonyms(one: string, other: string): boolean {
  if (/\d/.test(one + other) || (units.has(one) && units.has(other))) return true
  const pulls = poles.get(other) ?? []
  return (poles.get(one) ?? []).some(({ axis, sign }) => pulls.some((pull) => pull.axis === axis && pull.sign === sign))
}

/** `desert` and `deserts`. */
function isInflected(one: string, other: string): boolean {
  const [short, long] = one.length < other.length ? [one, other] : [other, one]
  return long.startsWith(short.slice(0, Math.max(3, short.length - 1))) && long.length - short.length <= 3
}
