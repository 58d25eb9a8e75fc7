/** UTF-16 code units of a citation marker, brackets included, at most. Longer brackets are text. */
export const maxMarkerLength = 64

const marker = /^\[\s*\d{1,4}(?:\s*[,;\u2010-\u2015-]\s*\d{1,4})*\s*\]$/
const begun = /^\[[\d\s,;\u2010-\u2015-]*$/
const bracketed = /\[[\d\s,;\u2010-\u2015-]{1,62}\]/g

/** Whether a text in brackets cites sources: `[1]`, `[1, 2]`, `[1-3]`. */
export function isCitationMarker(text: string): boolean {
  return text.length <= maxMarkerLength && marker.test(text)
}

/** Whether a text that begins with a bracket may still become such a marker when more of it is known. */
export function beginsCitationMarker(text: string): boolean {
  return text.length < maxMarkerLength && begun.test(text)
}

/**
 * Puts a backslash before bracketed numbers that are no citations, so that the citation parser gives them back as they
 * were.
 */
export function escapeCitationMarkers(text: string): string {
  return text.replace(bracketed, (match) => (isCitationMarker(match) ? `\\${match}` : match))
}
