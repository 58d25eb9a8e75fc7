/** Whether a UTF-16 code unit is white space to `String.prototype.trim()`. */
export function isWhiteSpace(code: number): boolean {
  if (code <= 0x20) return code === 0x20 || (code >= 0x09 && code <= 0x0d)
  return code >= 0xa0 && (code === 0xa0 || (code >= 0x1680 && isRareWhiteSpace(code)))
}

/** Whether a UTF-16 code unit ends a line. Of CR LF both do. */
export function isLineEnd(code: number): boolean {
  return (code >= 0x0a && code <= 0x0d) || code === 0x2028 || code === 0x2029
}

/** The first place from `from` on that holds no white space, or the length of the text. */
export function skipWhiteSpace(text: string, from: number): number {
  let place = from
  while (place < text.length && isWhiteSpace(text.charCodeAt(place))) place++
  return place
}

/** `end`, moved back over white space, but not beyond `start`. */
export function trimEnd(text: string, start: number, end: number): number {
  let place = end
  while (place > start && isWhiteSpace(text.charCodeAt(place - 1))) place--
  return place
}

/** Whether white space from `start` to `end` holds a blank line or a page break. */
export function isParagraphBreak(text: string, start: number, end: number): boolean {
  let lineEnds = 0
  for (let place = start; place < end; place++) {
    const character = text.charAt(place)
    if (character === '\f' || character === '\u2029') return true
    const isFirstOfPair = character === '\r' && text.charAt(place + 1) === '\n'
    if (isLineEnd(text.charCodeAt(place)) && !isFirstOfPair) lineEnds++
  }
  return lineEnds > 1
}

function isRareWhiteSpace(code: number): boolean {
  if (code >= 0x2000 && code <= 0x200a) return true
  return (
    code === 0x1680 ||
    code === 0x2028 ||
    code === 0x2029 ||
    code === 0x202f ||
    code === 0x205f ||
    code === 0x3000 ||
    code === 0xfeff
  )
}
