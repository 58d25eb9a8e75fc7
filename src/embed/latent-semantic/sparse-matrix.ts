/** A matrix of which only the values that are not zero are kept, row by row (compressed sparse rows). */
export interface SparseMatrix {
  readonly rows: number
  readonly columns: number
  /** Where each row begins in `places` and `values`, and their length. */
  readonly starts: Uint32Array
  /** Columns of the values, ascending within a row. */
  readonly places: Uint32Array
  readonly values: Float32Array
}

/** The same values column by column. */
export function transpose({ rows, columns, starts, places, values }: SparseMatrix): SparseMatrix {
  const turnedStarts = new Uint32Array(columns + 1)
  for (const column of places) turnedStarts[column + 1] = (turnedStarts[column + 1] as number) + 1
  for (let column = 0; column < columns; column++)
    turnedStarts[column + 1] = (turnedStarts[column + 1] as number) + (turnedStarts[column] as number)
  const next = turnedStarts.slice()
  const turnedPlaces = new Uint32Array(places.length)
  const turnedValues = new Float32Array(values.length)
  for (let row = 0; row < rows; row++) {
    for (let i = starts[row] as number; i < (starts[row + 1] as number); i++) {
      const column = places[i] as number
      const to = next[column] as number
      next[column] = to + 1
      turnedPlaces[to] = row
      turnedValues[to] = values[i] as number
    }
  }
  return { rows: columns, columns: rows, starts: turnedStarts, places: turnedPlaces, values: turnedValues }
}
