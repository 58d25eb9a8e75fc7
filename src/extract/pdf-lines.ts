/** A run of text on one line, without wide gaps in it. Units are points; the frame is turned so that the text stands upright. */
export interface Fragment {
  /** May hold U+FFFE where a word was broken by a hyphen, also as its last character. */
  readonly text: string
  readonly left: number
  readonly right: number
  /** Grows downwards. */
  readonly top: number
  readonly bottom: number
  /** Height of the font: ascent and descent. */
  readonly size: number
  readonly bold: boolean
  /** Quarter turns of the text, clockwise: 0 to 3; -1 when it stands at another angle. */
  readonly turn: number
  /** Number of PDFium's line; fragments of one were divided here. */
  readonly line: number
}

/** The box around fragments. Not `Math.min()` of them all: a page may have more than a call takes arguments. */
export function boundsOf(fragments: readonly Fragment[]) {
  let [left, right] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  let [top, bottom] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const fragment of fragments) {
    left = Math.min(left, fragment.left)
    right = Math.max(right, fragment.right)
    top = Math.min(top, fragment.top)
    bottom = Math.max(bottom, fragment.bottom)
  }
  return { left, right, top, bottom }
}

/** What is asked of PDFium about the characters of a page, by index into its text. */
export interface CharacterBoxes {
  /** Fills `box` with left, bottom, right and top (y grows upwards); false where there is none. */
  box(index: number): boolean
  readonly current: { left: number; bottom: number; right: number; top: number }
  /** Radians, clockwise. */
  angle(index: number): number
  isBold(index: number): boolean
}

/**
 * The lines of a page in PDFium's order, divided at gaps as wide as a column's or a table's. Only the first and the last character of
 * each word are asked for, since each question costs as much as reading ten characters.
 */
export function readFragments(text: string, boxes: CharacterBoxes): Fragment[] {
  const fragments: Fragment[] = []
  let line = 0
  for (let start = 0; start < text.length; ) {
    const end = endOfLine(text, start)
    if (end.stop > start) addLine({ text, start, end: end.stop, line: line++ }, boxes, fragments)
    start = end.next
  }
  return fragments
}

/** A line ends with CR LF, or with the mark of a broken word, which belongs to it. */
function endOfLine(text: string, start: number): { readonly stop: number; readonly next: number } {
  for (let place = start; place < text.length; place++) {
    const code = text.charCodeAt(place)
    if (code === 0x0a)
      return { stop: text.charCodeAt(place - 1) === 0x0d && place > start ? place - 1 : place, next: place + 1 }
    if (code !== brokenWord) continue
    let next = place + 1
    while (text.charCodeAt(next) === 0x0d || text.charCodeAt(next) === 0x0a) next++
    return { stop: place + 1, next }
  }
  return { stop: text.length, next: text.length }
}

export const brokenWord = 0xfffe

interface Line {
  readonly text: string
  readonly start: number
  readonly end: number
  readonly line: number
}

/** A gap between words wider than so many font heights divides a line. */
const widestGap = 1.1
/** Words of one line that stand higher or lower by more of a font height than this are of different fragments. */
const widestStep = 0.75

function addLine({ text, start, end, line }: Line, boxes: CharacterBoxes, fragments: Fragment[]): void {
  let open: OpenFragment | undefined
  let turn = 0
  const close = (): void => {
    if (open === undefined) return
    const { from, to, left, right, top, bottom, size, bold } = open
    fragments.push({ text: text.slice(from, to), left, right, top, bottom, size, bold, turn, line })
    open = undefined
  }
  for (let place = start; place < end; ) {
    while (place < end && isGap(text.charCodeAt(place))) place++
    if (place >= end) break
    const first = place
    while (place < end && !isGap(text.charCodeAt(place))) place++
    let last = place - 1
    if (text.charCodeAt(last) === brokenWord && last > first) last--
    if (open === undefined && fragments.at(-1)?.line !== line) turn = turnOf(boxes.angle(first))
    const word = boxOfWord(boxes, first, last, turn)
    if (word === undefined) {
      // Nothing is known of it: it goes with its neighbours.
      if (open !== undefined) open.to = place
      continue
    }
    const { left, right, top, bottom } = word
    const size = bottom - top
    if (open !== undefined) {
      const gap = Math.max(left - open.right, open.left - right)
      const step = Math.abs((top + bottom) / 2 - (open.top + open.bottom) / 2)
      const height = Math.max(size, open.size)
      if (gap > widestGap * height || step > widestStep * height) close()
    }
    if (open === undefined) {
      open = { from: first, to: place, left, right, top, bottom, size, bold: boxes.isBold(first) }
      continue
    }
    open.to = place
    open.left = Math.min(open.left, left)
    open.right = Math.max(open.right, right)
    if (size > open.size) {
      open.top = top
      open.bottom = bottom
      open.size = size
    }
  }
  close()
}

interface OpenFragment {
  readonly from: number
  to: number
  left: number
  right: number
  top: number
  bottom: number
  size: number
  readonly bold: boolean
}

function isGap(code: number): boolean {
  return code === 0x20 || code === 0xa0 || code === 0x09 || code === 0x0d
}

/** Quarter turns within a tenth of a turn, else -1. */
function turnOf(angle: number): number {
  const quarters = angle / (Math.PI / 2)
  const nearest = Math.round(quarters)
  return Math.abs(quarters - nearest) < 0.1 ? ((nearest % 4) + 4) % 4 : -1
}

function boxOfWord(boxes: CharacterBoxes, first: number, last: number, turn: number) {
  if (!boxes.box(first)) return undefined
  const from = turned(boxes.current, turn)
  if (last === first || !boxes.box(last)) return from
  const to = turned(boxes.current, turn)
  return {
    left: Math.min(from.left, to.left),
    right: Math.max(from.right, to.right),
    top: Math.min(from.top, to.top),
    bottom: Math.max(from.bottom, to.bottom),
  }
}

/** A box in the frame of text that is turned by so many quarters, with y growing downwards. */
function turned({ left, bottom, right, top }: CharacterBoxes['current'], turn: number) {
  if (turn === 3) return { left: bottom, right: top, top: left, bottom: right }
  if (turn === 2) return { left: -right, right: -left, top: bottom, bottom: top }
  if (turn === 1) return { left: -top, right: -bottom, top: -right, bottom: -left }
  return { left, right, top: -top, bottom: -bottom }
}
