import { CharacterKind, characterKind } from '../text/characters.js'

/** Units before and behind a border that are compared. */
const windowUnits = 3

/**
 * For each unit but the first how much the words of the units before it have in common with its own and those behind it, 0 (nothing)
 * to 1: the cosine of their counts, where a word counts the less the more units hold it, so that no list of stop words is needed.
 * Linear in the length of the text.
 */
export function neighbourSimilarities(text: string, units: readonly number[]): Float64Array {
  const { words, offsets, weights } = countWords(text, units)
  const count = units.length / 2
  const left = new Float64Array(weights.length)
  const right = new Float64Array(weights.length)
  const similarities = new Float64Array(count)
  const add = (counts: Float64Array, first: number, last: number, sign: number): void => {
    for (let i = offsets[first] as number; i < (offsets[last] as number); i++) {
      counts[words[i] as number] = (counts[words[i] as number] as number) + sign
    }
  }
  for (let border = 1; border < count; border++) {
    const first = Math.max(0, border - windowUnits)
    const last = Math.min(count, border + windowUnits)
    add(left, first, border, 1)
    add(right, border, last, 1)
    let product = 0
    let leftSquares = 0
    let rightSquares = 0
    for (let i = offsets[first] as number; i < (offsets[last] as number); i++) {
      const word = words[i] as number
      const before = left[word] as number
      const behind = right[word] as number
      if (before === 0 && behind === 0) continue
      const square = (weights[word] as number) ** 2
      product += before * behind * square
      leftSquares += before * before * square
      rightSquares += behind * behind * square
      left[word] = 0
      right[word] = 0
    }
    similarities[border] = product === 0 ? 0 : product / Math.sqrt(leftSquares * rightSquares)
  }
  return similarities
}

/** The words of all units, one after the other: those of unit `i` from `offsets[i]` to `offsets[i + 1]`. */
function countWords(text: string, units: readonly number[]) {
  const numbers = new Map<string, number>()
  const holders: number[] = []
  const lastHolder: number[] = []
  const words: number[] = []
  const count = units.length / 2
  const offsets = new Int32Array(count + 1)
  for (let unit = 0; unit < count; unit++) {
    const visit = (word: string): void => {
      let number = numbers.get(word)
      if (number === undefined) {
        number = numbers.size
        numbers.set(word, number)
        holders.push(0)
        lastHolder.push(-1)
      }
      if (lastHolder[number] !== unit) {
        lastHolder[number] = unit
        holders[number] = (holders[number] as number) + 1
      }
      words.push(number)
    }
    eachWord(text, units[2 * unit] as number, units[2 * unit + 1] as number, visit)
    offsets[unit + 1] = words.length
  }
  // A word of every unit weighs next to nothing, as an inverse document frequency says.
  const weights = Float64Array.from(holders, (holding) => Math.log((count + 1) / holding))
  return { words, offsets, weights }
}

/** Letters of a word that count: cutting all others off is a stemmer for most languages (McNamee and Mayfield, 2004). */
const wordLetters = 6

function eachWord(text: string, start: number, end: number, visit: (word: string) => void): void {
  for (let place = start; place < end; ) {
    const kind = characterKind(text.charCodeAt(place))
    if (kind === CharacterKind.unspaced) {
      const isPair = place + 1 < end && characterKind(text.charCodeAt(place + 1)) === CharacterKind.unspaced
      visit(text.slice(place, place + (isPair ? 2 : 1)))
      place++
    } else if (kind === CharacterKind.word) {
      const first = place
      while (place < end && isInWord(characterKind(text.charCodeAt(place)))) place++
      visit(text.slice(first, Math.min(place, first + wordLetters)).toLowerCase())
    } else place++
  }
}

function isInWord(kind: CharacterKind): boolean {
  return kind === CharacterKind.word || kind === CharacterKind.joiner
}
