/** Rows as aligned lines, the first row ruled off as the heading; numbers and figures with units stand right. */
export function formatTable(rows: readonly (readonly (string | number)[])[]): string[] {
  const cells = rows.map((row) => row.map(String))
  const columns = Math.max(0, ...cells.map((row) => row.length))
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...cells.map((row) => row[column]?.length ?? 0)),
  )
  const lines = cells.map((row) =>
    widths
      .map((width, column) => {
        const cell = row[column] ?? ''
        return column > 0 && /^[-\d.]/.test(cells.at(-1)?.[column] ?? '') ? cell.padStart(width) : cell.padEnd(width)
      })
      .join('  ')
      .trimEnd(),
  )
  if (lines.length > 1) lines.splice(1, 0, widths.map((width) => '-'.repeat(width)).join('  '))
  return lines
}
