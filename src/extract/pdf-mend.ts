/** What PDFium leaves to be put right. Its line ends are CR LF; the cleaning leaves LF. */
export function mendPageText(raw: string): string {
  return raw.replace(brokenLigature, (code) => ligatures[code] ?? '').replace(hyphenAtLineEnd, joinHyphenated)
}

/**
 * Old TeX fonts without a Unicode table give their ligatures as control characters, at the places of TeX's OT1 encoding. Only inside
 * words: mathematical fonts have other signs there.
 */
const ligatures: Readonly<Record<string, string>> = { '\v': 'ff', '\f': 'fi', '\r': 'fl', '\x0e': 'ffi', '\x0f': 'ffl' }
const brokenLigature = /(?<=[a-z]{2})[\v\f\r\x0e\x0f](?!\n)|(?<![A-Z])[\v\f\r\x0e\x0f](?=[a-z]{2})/g

/** PDFium puts U+FFFE where a line ends within a hyphenated word, and no line end. */
const hyphenAtLineEnd = /(\S?)\ufffe(?:\r?\n)?(\S?)/g

/**
 * What stood on both sides of a hyphen at a line end, with or without it: it goes between two small letters ("compi-lation"), unless
 * the word had a hyphen before ("state-of-the-art").
 */
function joinHyphenated(_match: string, before: string, after: string, place: number, text: string): string {
  const compound = /-\p{L}*$/u.test(text.slice(Math.max(0, place - 24), place + before.length))
  const broken = /[\p{Ll}\p{Lo}\p{M}]/u.test(before) && /[\p{Ll}\p{Lo}\p{M}]/u.test(after)
  return `${before}${broken && !compound ? '' : '-'}${after}`
}
