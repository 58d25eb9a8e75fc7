/**
 * A text in which no special token of a model stands: a document that holds `<|im_end|>` would otherwise end the message it is quoted in.
 * A blank within each breaks it.
 */
export function withoutSpecialTokens(text: string, special: readonly string[]): string {
  let safe = text
  for (let found = true; found; ) {
    found = false
    for (const token of special) {
      // Single characters, and runs of blanks, are nothing that a text could forge.
      if (token.length < 2 || /^\s/.test(token) || !safe.includes(token)) continue
      safe = safe.replaceAll(token, `${token[0]} ${token.slice(1)}`)
      // What is left of one may be another.
      found = true
    }
  }
  return safe
}
