/**
 * Milliseconds that an HTTP answer asks to be left alone, from `retry-after-ms`, or `Retry-After` as seconds or as a date (RFC 9110,
 * 10.2.3); 0 when it does not say, when it cannot be understood, or when the date is over. `date` is now, in milliseconds since 1970.
 */
export function retryAfterMs(header: (name: string) => string | null | undefined, date: number): number {
  const milliseconds = amount(header('retry-after-ms'))
  if (milliseconds !== undefined) return milliseconds
  const text = header('retry-after')
  const seconds = amount(text)
  if (seconds !== undefined) return seconds * 1000
  const until = Date.parse(text ?? '')
  return Number.isNaN(until) ? 0 : Math.max(0, until - date)
}

/** A plain number that is not negative. `Date.parse` would take one for a year. */
function amount(text: string | null | undefined): number | undefined {
  return text !== null && text !== undefined && /^\s*\d+(?:\.\d+)?\s*$/.test(text) ? Number(text) : undefined
}
