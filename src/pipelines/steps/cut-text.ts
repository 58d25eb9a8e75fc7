import { sentenceSpans } from '../../text/sentences.js'

/** What a cut is made by. */
export interface CutOptions {
  /** Whether so much text fits; of two stretches that begin or end alike, the shorter one always fits where the longer one does. */
  readonly fits: (text: string) => boolean
  /** Characters beyond which nothing fits, so that no more is looked at. */
  readonly most: number
}

/** Characters behind those that may fit which the splitter sees, so that it does not take the edge for the end of a sentence. */
const lookAround = 500

/** The end of the last whole sentence up to which a text fits, looked for behind `least`; `least` when there is none. */
export function endOfFitting(text: string, least: number, { fits, most }: CutOptions): number {
  const seen = text.slice(0, Math.min(text.length, most + lookAround))
  const bounds = sentenceSpans(seen)
  const ends: number[] = []
  for (let i = 1; i < bounds.length; i += 2) {
    const end = bounds[i] as number
    // What ends where the view ends may go on behind it.
    if (end > least && end <= most && (end < seen.length || seen.length === text.length)) ends.push(end)
  }
  return ends[lastThat(ends.length, (place) => fits(text.slice(0, ends[place])))] ?? least
}

/** The beginning of the first whole sentence from which on a text fits, looked for before `most`; `most` when there is none. */
export function startOfFitting(text: string, most: number, { fits, most: length }: CutOptions): number {
  const offset = Math.max(0, text.length - Math.min(text.length, length + lookAround))
  const bounds = sentenceSpans(text.slice(offset))
  const starts: number[] = []
  for (let i = 0; i < bounds.length; i += 2) {
    const start = offset + (bounds[i] as number)
    // What begins where the view begins may have begun before it.
    if (start < most && (start > offset || offset === 0)) starts.push(start)
  }
  starts.reverse()
  return starts[lastThat(starts.length, (place) => fits(text.slice(starts[place])))] ?? most
}

/** The end of the last whole word up to which a text fits; inside the word where even the first one does not. */
export function endOfFittingWords(text: string, { fits, most }: CutOptions): number {
  const seen = text.slice(0, most)
  const end = 1 + lastThat(seen.length, (place) => fits(seen.slice(0, place + 1)))
  if (end === text.length) return end
  const blank = text.slice(0, end + 1).search(/\s\S*$/u)
  return withoutHalfPair(text, blank > 0 ? blank : end)
}

function withoutHalfPair(text: string, end: number): number {
  const unit = text.charCodeAt(end - 1)
  return unit >= 0xd800 && unit < 0xdc00 ? end - 1 : end
}

/** The last of so many places that holds, where all before one that holds do, too; -1 when none does. By bisection. */
function lastThat(count: number, holds: (place: number) => boolean): number {
  let low = -1
  let high = count
  while (high - low > 1) {
    const middle = (low + high) >>> 1
    if (holds(middle)) low = middle
    else high = middle
  }
  return low
}
