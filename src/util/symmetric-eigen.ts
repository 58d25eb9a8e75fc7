import { RagError } from '../core/errors.js'

/** Eigenvalues of a symmetric matrix, largest first, with as many eigenvectors as were asked for. */
export interface SymmetricEigen {
  readonly values: Float64Array
  /** Row by row, each of length 1; orthogonal to each other. The largest value of each is positive. */
  readonly vectors: Float64Array
}

/** Steps until one eigenvalue is found; two are usual. */
const maxSteps = 60

/**
 * Eigenvalues, and the eigenvectors of the `count` largest, of a real symmetric matrix of `size` rows: Householder's reduction to
 * three diagonals, then the QL algorithm with implicit shifts (Wilkinson and Reinsch 1971; EISPACK tred2 and imtql2; Golub and Van
 * Loan, Matrix Computations, 8.3). The same matrix gives the same bits. Overwrites `matrix`. Takes some 5 x size^3 additions and
 * multiplications (some seconds for 1,024), and memory for another matrix. Throws `BAD_INPUT` for values that are not finite.
 */
export function symmetricEigen(
  matrix: Float64Array,
  { size, count }: { readonly size: number; readonly count: number },
): SymmetricEigen {
  if (!matrix.every(Number.isFinite)) throw new RagError('BAD_INPUT', 'The matrix has values that are not finite.')
  const tridiagonal = tridiagonalise(matrix, size)
  const rotations = identity(size)
  diagonalise(tridiagonal, rotations, size)
  const { diagonal } = tridiagonal
  const order = [...diagonal.keys()].sort((a, b) => (diagonal[b] as number) - (diagonal[a] as number) || a - b)
  const vectors = new Float64Array(count * size)
  for (let place = 0; place < count; place++) {
    const from = order[place] as number
    const vector = vectors.subarray(place * size, (place + 1) * size)
    vector.set(rotations.subarray(from * size, (from + 1) * size))
    reflectBack(vector, matrix, size)
    makeLargestPositive(vector)
  }
  return { values: Float64Array.from(order, (place) => diagonal[place] as number), vectors }
}

interface Tridiagonal {
  readonly diagonal: Float64Array
  /** Values beside the diagonal; the last is 0. */
  readonly beside: Float64Array
}

/**
 * Reflects rows and columns so that only three diagonals are left. The unit vector of reflection `k` stays in row `k`, from column
 * `k + 1` on; it is zero when nothing had to be reflected.
 */
function tridiagonalise(matrix: Float64Array, size: number): Tridiagonal {
  const diagonal = new Float64Array(size)
  const beside = new Float64Array(size)
  const change = new Float64Array(size)
  for (let k = 0; k < size; k++) {
    const row = k * size
    diagonal[k] = matrix[row + k] as number
    if (k + 1 === size) break
    beside[k] = takeReflection(matrix, row + k + 1, row + size)
    if (k + 2 < size) reflect(matrix, { size, k, change })
  }
  return { diagonal, beside }
}

/**
 * Turns the vector at `start` to `end` into the unit vector of the reflection that leaves its first value only, and returns that
 * value. Scaled before it is squared, so that nothing overflows or vanishes.
 */
function takeReflection(matrix: Float64Array, start: number, end: number): number {
  let largest = 0
  for (let i = start + 1; i < end; i++) largest = Math.max(largest, Math.abs(matrix[i] as number))
  const first = matrix[start] as number
  if (largest === 0) {
    matrix.fill(0, start, end)
    return first
  }
  largest = Math.max(largest, Math.abs(first))
  let squares = 0
  for (let i = start; i < end; i++) squares += ((matrix[i] as number) / largest) ** 2
  // The sign that adds up loses no digits.
  const target = first > 0 ? -Math.sqrt(squares) : Math.sqrt(squares)
  const scaledFirst = first / largest - target
  const length = Math.sqrt(squares - (first / largest) ** 2 + scaledFirst ** 2)
  for (let i = start; i < end; i++) matrix[i] = (matrix[i] as number) / largest / length
  matrix[start] = scaledFirst / length
  return target * largest
}

/** Applies the reflection in row `k` to the part of the matrix below and right of it, from both sides: A - v w' - w v'. */
function reflect(
  matrix: Float64Array,
  { size, k, change }: { readonly size: number; readonly k: number; readonly change: Float64Array },
): void {
  const v = k * size
  let overlap = 0
  for (let i = k + 1; i < size; i++) {
    const row = i * size
    let sum = 0
    for (let j = k + 1; j < size; j++) sum += (matrix[row + j] as number) * (matrix[v + j] as number)
    change[i] = 2 * sum
    overlap += 2 * sum * (matrix[v + i] as number)
  }
  for (let i = k + 1; i < size; i++) change[i] = (change[i] as number) - overlap * (matrix[v + i] as number)
  for (let i = k + 1; i < size; i++) {
    const row = i * size
    const a = matrix[v + i] as number
    const b = change[i] as number
    for (let j = k + 1; j < size; j++) {
      matrix[row + j] = (matrix[row + j] as number) - (a * (change[j] as number) + b * (matrix[v + j] as number))
    }
  }
}

/** Rotates the three diagonals into one; the rows of `rotations` become the eigenvectors of what the diagonals were. */
function diagonalise({ diagonal, beside }: Tridiagonal, rotations: Float64Array, size: number): void {
  const largest = diagonal.reduce(
    (most, value, i) => Math.max(most, Math.abs(value) + Math.abs(beside[i] as number)),
    0,
  )
  const negligible = largest * Number.EPSILON
  for (let first = 0; first < size; first++) {
    for (let step = 0; ; step++) {
      const last = endOfBlock(beside, first, negligible)
      if (last === first) break
      if (step === maxSteps) throw new RagError('BAD_INPUT', 'The eigenvalues of the matrix do not converge.')
      rotateBlock({ diagonal, beside, rotations, size, first, last })
    }
  }
}

/** The last row that is still tied to `first`. What lies beside the diagonal is nothing when it is less than rounding has cost already. */
function endOfBlock(beside: Float64Array, first: number, negligible: number): number {
  let last = first
  while (last + 1 < beside.length && Math.abs(beside[last] as number) > negligible) last++
  return last
}

/** One implicit QL step over rows `first` to `last`, from the bottom up. */
function rotateBlock(options: {
  readonly diagonal: Float64Array
  readonly beside: Float64Array
  readonly rotations: Float64Array
  readonly size: number
  readonly first: number
  readonly last: number
}): void {
  const { diagonal, beside, rotations, size, first, last } = options
  // Wilkinson's shift: the eigenvalue of the uppermost two rows that is nearer to the first.
  const half = ((diagonal[first + 1] as number) - (diagonal[first] as number)) / (2 * (beside[first] as number))
  const root = Math.hypot(half, 1)
  const shift = (beside[first] as number) / (half + (half < 0 ? -root : root))
  let g = (diagonal[last] as number) - (diagonal[first] as number) + shift
  let sine = 1
  let cosine = 1
  let p = 0
  for (let i = last - 1; i >= first; i--) {
    const f = sine * (beside[i] as number)
    const b = cosine * (beside[i] as number)
    const r = Math.hypot(f, g)
    beside[i + 1] = r
    if (r === 0) {
      // The block has come apart; the rest is another block.
      diagonal[i + 1] = (diagonal[i + 1] as number) - p
      beside[last] = 0
      return
    }
    sine = f / r
    cosine = g / r
    g = (diagonal[i + 1] as number) - p
    const t = ((diagonal[i] as number) - g) * sine + 2 * cosine * b
    p = sine * t
    diagonal[i + 1] = g + p
    g = cosine * t - b
    rotateRows(rotations, { upper: i * size, lower: (i + 1) * size, size, sine, cosine })
  }
  diagonal[first] = (diagonal[first] as number) - p
  beside[first] = g
  beside[last] = 0
}

function rotateRows(
  matrix: Float64Array,
  rotation: {
    readonly upper: number
    readonly lower: number
    readonly size: number
    readonly sine: number
    readonly cosine: number
  },
): void {
  const { upper, lower, size, sine, cosine } = rotation
  for (let k = 0; k < size; k++) {
    const below = matrix[lower + k] as number
    const above = matrix[upper + k] as number
    matrix[lower + k] = sine * above + cosine * below
    matrix[upper + k] = cosine * above - sine * below
  }
}

/** From the coordinates of the three diagonals to those of the matrix: the reflections in reverse order. */
function reflectBack(vector: Float64Array, matrix: Float64Array, size: number): void {
  for (let k = size - 2; k >= 0; k--) {
    const row = k * size
    let sum = 0
    for (let i = k + 1; i < size; i++) sum += (matrix[row + i] as number) * (vector[i] as number)
    for (let i = k + 1; i < size; i++) vector[i] = (vector[i] as number) - 2 * sum * (matrix[row + i] as number)
  }
}

/** An eigenvector and its negative are equally good: one of them has to be chosen. */
function makeLargestPositive(vector: Float64Array): void {
  let largest = 0
  for (const value of vector) if (Math.abs(value) > Math.abs(largest)) largest = value
  if (largest < 0) for (let i = 0; i < vector.length; i++) vector[i] = -(vector[i] as number)
}

function identity(size: number): Float64Array {
  const matrix = new Float64Array(size * size)
  for (let i = 0; i < size; i++) matrix[i * size + i] = 1
  return matrix
}
