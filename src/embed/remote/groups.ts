import { estimateTokens } from '../../util/estimate-tokens.js'

/** What one call may hold. A text that is larger than a call goes alone. */
export interface GroupLimits {
  readonly items: number
  /** Estimated. */
  readonly tokens: number
  /** UTF-8. */
  readonly bytes: number
}

/** Neighbours that share a call: texts `start` to `end` (exclusive), and what they are estimated to weigh. */
export interface TextGroup {
  readonly start: number
  readonly end: number
  readonly tokens: number
}

/** Cuts texts into as few runs of neighbours as the limits allow. */
export function groupTexts(texts: readonly string[], limits: GroupLimits): TextGroup[] {
  const groups: TextGroup[] = []
  let start = 0
  let bytes = 0
  let tokens = 0
  for (const [index, text] of texts.entries()) {
    const size = Buffer.byteLength(text)
    const weight = estimateTokens(size)
    const isFull = index - start >= limits.items || bytes + size > limits.bytes || tokens + weight > limits.tokens
    if (index > start && isFull) {
      groups.push({ start, end: index, tokens })
      start = index
      bytes = 0
      tokens = 0
    }
    bytes += size
    tokens += weight
  }
  if (texts.length > start) groups.push({ start, end: texts.length, tokens })
  return groups
}
