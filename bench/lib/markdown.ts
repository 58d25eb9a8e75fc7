/** Rows as a Markdown table; the first is the heading. */
export function markdownTable(rows: readonly (readonly (string | number)[])[]): string {
  const [heading = [], ...rest] = rows.map(
    (row) => `| ${row.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`,
  )
  const rule = `|${(rows[0] ?? []).map(() => '---').join('|')}|`
  return `${[heading, rule, ...rest].join('\n')}\n`
}
