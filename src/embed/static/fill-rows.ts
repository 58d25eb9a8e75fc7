import { RagError } from '../../core/errors.js'
import { openSafetensors, type SafetensorsFile, type Tensor } from '../../models/safetensors.js'
import type { StaticModel } from '../../models/static-model.js'
import { allFinite } from '../../util/vector-math.js'
import { createRowWriter, type SharedRows } from './shared-rows.js'

export interface FillOptions {
  /** Tokens that do not count: their rows stay zero. */
  readonly dropped: ReadonlySet<number>
  readonly signal?: AbortSignal | undefined
}

/**
 * Reads the matrix of a model into shared memory, a few hundred rows at a time: the first `table.dimensions` values of each row,
 * times its factor. A row of the file that several tokens share is written for each of them, as sentence-transformers does it.
 * Throws `INTEGRITY` for values that are not finite and for tokens without a row.
 */
export async function fillRows(model: StaticModel, table: SharedRows, options: FillOptions): Promise<void> {
  const { dropped, signal } = options
  const file = await openSafetensors(model.weights)
  try {
    const matrix = findTensor(file, model.tensors.rows)
    const [rows, columns] = matrix.shape as readonly [number, number]
    const factors = model.tensors.factors && (await readList(file, findTensor(file, model.tensors.factors), signal))
    const mapping = model.tensors.mapping && (await readList(file, findTensor(file, model.tensors.mapping), signal))
    const tokens = mapping ? mapping.length : rows
    if (tokens !== table.count || columns < table.dimensions || (factors && factors.length !== tokens)) {
      throw damaged(file, 'it was changed while it was read')
    }
    const sharers = mapping ? groupByRow(file, mapping, rows) : (row: number) => [row]
    const write = createRowWriter(table)
    let row = 0
    for await (const values of file.values(matrix, signal)) {
      for (let start = 0; start < values.length; start += columns) {
        if (!allFinite(values, start, start + table.dimensions))
          throw damaged(file, `row ${row} has values that are not finite`)
        for (const token of sharers(row)) {
          if (!dropped.has(token)) write(token, values, start, factors ? (factors[token] as number) : 1)
        }
        row++
      }
    }
  } finally {
    await file.close()
  }
}

function findTensor(file: SafetensorsFile, name: string): Tensor {
  const tensor = file.tensors.get(name)
  if (tensor === undefined) throw damaged(file, 'it was changed while it was read')
  return tensor
}

async function readList(file: SafetensorsFile, tensor: Tensor, signal: AbortSignal | undefined): Promise<Float64Array> {
  const list = new Float64Array(tensor.shape[0] ?? 0)
  let place = 0
  for await (const values of file.values(tensor, signal)) {
    list.set(values, place)
    place += values.length
  }
  if (!allFinite(list, 0, list.length)) throw damaged(file, `"${tensor.name}" has values that are not finite`)
  return list
}

/** For each row the tokens that share it, by a counting sort: no list for every row. */
function groupByRow(file: SafetensorsFile, mapping: Float64Array, rows: number): (row: number) => Int32Array {
  const ends = new Int32Array(rows + 1)
  for (const row of mapping) {
    if (!(Number.isInteger(row) && row >= 0 && row < rows)) throw damaged(file, 'a token has a row that does not exist')
    ends[row + 1] = (ends[row + 1] as number) + 1
  }
  for (let row = 0; row < rows; row++) ends[row + 1] = (ends[row + 1] as number) + (ends[row] as number)
  const next = ends.slice()
  const tokens = new Int32Array(mapping.length)
  for (const [token, row] of mapping.entries()) {
    const place = next[row] as number
    tokens[place] = token
    next[row] = place + 1
  }
  return (row) => tokens.subarray(ends[row], ends[row + 1])
}

function damaged({ path }: SafetensorsFile, problem: string): RagError {
  return new RagError('INTEGRITY', `The file "${path}" is damaged: ${problem}.`, {
    data: { path },
    hint: 'Copy or download it again.',
  })
}
