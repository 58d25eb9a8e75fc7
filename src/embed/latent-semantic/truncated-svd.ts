import { symmetricEigen } from '../../util/symmetric-eigen.js'
import { bytesOf, columnStep, type Placed, RowArena, type RowMatrix } from './row-arena.js'
import { type SparseMatrix, transpose } from './sparse-matrix.js'

/** The directions of a matrix's columns that hold most of it. */
export interface TruncatedSvd {
  /** `columns x rank`, row by row: right singular vectors side by side, that of the largest singular value first. */
  readonly basis: Float32Array
  /** Largest first; 0 where the matrix has no further direction, and its vector is zero. */
  readonly singularValues: Float64Array
}

export interface TruncatedSvdOptions {
  /** Singular vectors wanted. */
  readonly rank: number
  /** Directions beyond `rank` that are followed and dropped in the end. Default 16. */
  readonly oversampling?: number
  /** Times the matrix is applied in both directions to sharpen the first guess. Default 3. */
  readonly iterations?: number
  /** Awaited between stretches of work. Default: not at all. */
  readonly pause?: () => Promise<void>
  /** `false` computes in plain JavaScript. Default `true`. */
  readonly kernel?: boolean
}

/** Rows added up in single precision before the sum is added to one in double. */
const rowsPerSum = 512
/** A direction whose part of the whole is below this is rounding: single precision has seven digits. */
const negligible = 1e-9

/**
 * Truncated singular value decomposition by randomized subspace iteration (Halko, Martinsson, Tropp 2011, algorithm 4.4 and 5.1). Between
 * the iterations the block is made orthonormal by the eigenvectors of its Gram matrix (Stathopoulos and Wu 2002, "SVQB"), which
 * unlike Cholesky's needs no full rank, and only on the side of the rows; the vectors come from the Gram matrix of the last block of the columns. The
 * first guess is random signs from a fixed seed: the same matrix gives the same bits. Exact, up to rounding, when the matrix has no more
 * than `rank + oversampling` directions.
 */
export async function truncatedSvd(matrix: SparseMatrix, options: TruncatedSvdOptions): Promise<TruncatedSvd> {
  const { rank, oversampling = 16, iterations = 3, pause = async () => {}, kernel } = options
  const width =
    Math.ceil(Math.max(1, Math.min(rank + oversampling, matrix.rows, matrix.columns)) / columnStep) * columnStep
  const block = new Block(matrix, width, kernel === undefined ? {} : { kernel })
  block.guess()
  for (let iteration = 0; iteration <= iterations; iteration++) {
    await pause()
    block.applyToColumns()
    await pause()
    block.makeOrthonormal()
    await pause()
    block.applyToRows()
  }
  await pause()
  return block.rightSingularVectors(rank)
}

interface Side {
  readonly starts: Uint32Array
  readonly places: Placed<Uint32Array>
  readonly values: Placed<Float32Array>
}

/** The sparse matrix, and a block of vectors on either side of it: `byRow` has a row for each of its rows, `byColumn` for each column. */
class Block {
  readonly #arena: RowArena
  readonly #width: number
  readonly #rows: Side
  readonly #columns: Side
  readonly #byRow: RowMatrix
  readonly #byColumn: RowMatrix
  /** `width x width`. */
  readonly #square: RowMatrix
  readonly #sum: Placed<Float32Array>
  /** 0, 1, 2, … */
  readonly #everyPlace: Placed<Uint32Array>
  /** A column after the other of some rows. */
  readonly #turned: Placed<Float32Array>

  constructor(matrix: SparseMatrix, width: number, options: { readonly kernel?: boolean }) {
    const { rows, columns, values } = matrix
    const everyPlace = Uint32Array.from({ length: Math.max(width, rowsPerSum) }, (_, i) => i)
    const bytes =
      4 * bytesOf(values.length) +
      bytesOf(rows * width) +
      bytesOf(columns * width) +
      bytesOf(width * width) +
      bytesOf(width) +
      bytesOf(everyPlace.length) +
      bytesOf(rowsPerSum * width)
    this.#arena = new RowArena(bytes, options)
    this.#width = width
    this.#rows = this.#side(matrix)
    this.#columns = this.#side(transpose(matrix))
    this.#byRow = this.#arena.matrix(rows, width)
    this.#byColumn = this.#arena.matrix(columns, width)
    this.#square = this.#arena.matrix(width, width)
    this.#sum = this.#arena.floats(width)
    this.#everyPlace = this.#arena.integers(everyPlace)
    this.#turned = this.#arena.floats(rowsPerSum * width)
  }

  /** Random signs for every column of the matrix. */
  guess(): void {
    const { values } = this.#byColumn
    let state = 0x9e3779b9
    for (let i = 0; i < values.length; i++) {
      // Xorshift (Marsaglia 2003), one sign from each number.
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      values[i] = state < 0 ? -1 : 1
    }
  }

  applyToColumns(): void {
    this.#apply(this.#rows, this.#byColumn, this.#byRow)
  }

  applyToRows(): void {
    this.#apply(this.#columns, this.#byRow, this.#byColumn)
  }

  makeOrthonormal(): void {
    const { values, vectors } = this.#eigenOfGram(this.#byRow)
    this.#rotate(this.#byRow, { vectors, values, count: this.#width })
  }

  rightSingularVectors(rank: number): TruncatedSvd {
    const { values, vectors } = this.#eigenOfGram(this.#byColumn)
    const count = Math.min(rank, this.#width)
    this.#rotate(this.#byColumn, { vectors, values, count })
    const { rows, values: rotated } = this.#byColumn
    const basis = new Float32Array(rows * rank)
    for (let row = 0; row < rows; row++)
      basis.set(rotated.subarray(row * this.#width, row * this.#width + count), row * rank)
    const limit = (values[0] as number) * negligible
    const singularValues = new Float64Array(rank)
    for (let i = 0; i < count; i++)
      if ((values[i] as number) > limit) singularValues[i] = Math.sqrt(values[i] as number)
    return { basis, singularValues }
  }

  #side({ starts, places, values }: SparseMatrix): Side {
    return { starts, places: this.#arena.integers(places), values: this.#arena.floats(values) }
  }

  #apply({ starts, places, values }: Side, from: RowMatrix, to: RowMatrix): void {
    for (let row = 0; row < to.rows; row++) {
      const start = starts[row] as number
      this.#arena.combine({
        places: places.address + start * 4,
        factors: values.address + start * 4,
        count: (starts[row + 1] as number) - start,
        rows: from,
        target: to.address + row * this.#width * 4,
      })
    }
  }

  #eigenOfGram(matrix: RowMatrix) {
    const width = this.#width
    return symmetricEigen(this.#gram(matrix), { size: width, count: width })
  }

  /** Inner products of the columns. */
  #gram({ address, rows, values }: RowMatrix): Float64Array {
    const width = this.#width
    const gram = new Float64Array(width * width)
    for (let first = 0; first < rows; first += rowsPerSum) {
      const count = Math.min(rowsPerSum, rows - first)
      const turned = this.#turned.values
      for (let row = 0; row < count; row++)
        for (let column = 0; column < width; column++)
          turned[column * rowsPerSum + row] = values[(first + row) * width + column] as number
      for (let column = 0; column < width; column++) {
        this.#arena.combine({
          places: this.#everyPlace.address,
          factors: this.#turned.address + column * rowsPerSum * 4,
          count,
          rows: { address: address + first * width * 4, columns: width },
          target: this.#sum.address,
        })
        const sum = this.#sum.values
        for (let i = 0; i < width; i++)
          gram[column * width + i] = (gram[column * width + i] as number) + (sum[i] as number)
      }
    }
    // The two halves were rounded in different orders.
    for (let i = 0; i < width; i++) for (let j = 0; j < i; j++) gram[i * width + j] = gram[j * width + i] as number
    return gram
  }

  /** Replaces the columns by their combinations along the first `count` eigenvectors, each brought to length 1; those of next to no length by zeros. */
  #rotate(
    matrix: RowMatrix,
    {
      values,
      vectors,
      count,
    }: { readonly values: Float64Array; readonly vectors: Float64Array; readonly count: number },
  ): void {
    const width = this.#width
    const limit = (values[0] as number) * negligible
    const square = this.#square.values.fill(0)
    for (let column = 0; column < count; column++) {
      const value = values[column] as number
      if (!(value > limit)) continue
      const scale = 1 / Math.sqrt(value)
      for (let i = 0; i < width; i++) square[i * width + column] = scale * (vectors[column * width + i] as number)
    }
    for (let row = 0; row < matrix.rows; row++) {
      const factors = matrix.address + row * width * 4
      this.#arena.combine({
        places: this.#everyPlace.address,
        factors,
        count: width,
        rows: this.#square,
        target: this.#sum.address,
      })
      matrix.values.set(this.#sum.values, row * width)
    }
  }
}
