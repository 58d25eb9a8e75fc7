/** A line of text in an SVG picture; `more` are further attributes. */
export function svgText(
  content: string,
  { x, y, more = '' }: { readonly x: number; readonly y: number; readonly more?: string },
): string {
  return `<text x="${rounded(x)}" y="${rounded(y)}" ${more}>${escaped(content)}</text>`
}

/** To a tenth: nobody sees less of a pixel. */
export function rounded(value: number): number {
  return Math.round(value * 10) / 10
}

/** Control characters are no XML, even escaped. */
function escaped(content: string): string {
  const signs: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
  return content.replace(/[\x00-\x1f\ufffe\uffff]/g, ' ').replace(/[&<>"]/g, (sign) => signs[sign] as string)
}
