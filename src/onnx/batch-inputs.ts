import { RagError } from '../core/errors.js'
import type { TokenizedPairs, TokenizedTexts } from '../models/types.js'
import type { Session, TensorInfo } from './session.js'

/** Inputs of one batch. They lie in memory that the next batch overwrites. */
export interface BatchInputs {
  readonly feeds: Parameters<Session['run']>[0]
  /** Tokens per row, filling included: those of the longest text. */
  readonly sequence: number
}

/**
 * Makes the function that turns batches of token ids into the inputs that a model has. Rows are filled up at their end, with
 * `paddingId` where the mask is 0. It is for texts or for pairs of texts, not for both in turn: token types of texts are never written.
 * Throws `INTEGRITY` when the model takes no token ids, `UNSUPPORTED` when it wants something unknown.
 */
export function createBatchInputs(
  { inputs, Tensor }: Pick<Session, 'inputs' | 'Tensor'>,
  { paddingId, file }: { readonly paddingId: number; readonly file: string },
): (batch: TokenizedTexts | TokenizedPairs) => BatchInputs {
  if (!inputs.some(({ name }) => name === 'input_ids')) {
    throw new RagError('INTEGRITY', 'The model takes no token ids: it is not one that reads texts.', {
      data: { file, inputs: inputs.map(({ name }) => name) },
      hint: 'Give a model whose graph has an input "input_ids".',
    })
  }
  const columns = inputs.map((input) => ({ ...input, fill: fillerOf(input, file), memory: new Integers(input.type) }))
  return (batch) => {
    const rows = batch.offsets.length - 1
    const sequence = longest(batch)
    const feeds = columns.map(({ name, type, fill, memory }) => {
      memory.reserve(rows * sequence)
      fill({ ...batch, rows, sequence, paddingId, values: memory.low, stride: memory.stride })
      return [name, new Tensor(type as 'int64', memory.view(rows * sequence) as BigInt64Array, [rows, sequence])]
    })
    return { feeds: Object.fromEntries(feeds), sequence }
  }
}

interface Filling extends TokenizedTexts {
  /** See `TokenizedPairs`. */
  readonly seconds?: Int32Array
  readonly rows: number
  readonly sequence: number
  readonly paddingId: number
  /** Value `i` is written to `values[i * stride]`. */
  readonly values: Int32Array
  readonly stride: number
}

function fillerOf({ name, type }: TensorInfo, file: string): (filling: Filling) => void {
  const filler = Object.hasOwn(fillers, name) ? fillers[name] : undefined
  if (filler !== undefined && (type === 'int64' || type === 'int32')) return filler
  throw new RagError('UNSUPPORTED', `The model wants an input "${name}" (${type}), which is not known here.`, {
    data: { file, input: name, type, known: Object.keys(fillers) },
    hint: 'Take another export of the model.',
  })
}

/** Every cell is written anew, but those of inputs that are always 0: there is one segment, or no second one. */
const fillers: Readonly<Record<string, (filling: Filling) => void>> = {
  input_ids({ ids, offsets, rows, sequence, paddingId, values, stride }) {
    for (let row = 0; row < rows; row++) {
      const start = offsets[row] as number
      const length = (offsets[row + 1] as number) - start
      const base = row * sequence
      for (let place = 0; place < length; place++) values[(base + place) * stride] = ids[start + place] as number
      for (let place = length; place < sequence; place++) values[(base + place) * stride] = paddingId
    }
  },
  attention_mask({ offsets, rows, sequence, values, stride }) {
    for (let row = 0; row < rows; row++) {
      const length = (offsets[row + 1] as number) - (offsets[row] as number)
      const base = row * sequence
      for (let place = 0; place < sequence; place++) values[(base + place) * stride] = place < length ? 1 : 0
    }
  },
  token_type_ids({ offsets, seconds, rows, sequence, values, stride }) {
    if (seconds === undefined) return
    for (let row = 0; row < rows; row++) {
      const length = (offsets[row + 1] as number) - (offsets[row] as number)
      const second = seconds[row] as number
      const base = row * sequence
      for (let place = 0; place < sequence; place++) {
        values[(base + place) * stride] = place >= second && place < length ? 1 : 0
      }
    }
  },
  position_ids({ rows, sequence, values, stride }) {
    for (let row = 0; row < rows; row++) {
      for (let place = 0; place < sequence; place++) values[(row * sequence + place) * stride] = place
    }
  },
}

/**
 * Memory for whole numbers, made anew only to grow. 64-bit ones are written through their low halves (every platform that has the
 * runtime is little-endian): a BigInt per token would be an object on the heap.
 */
class Integers {
  /** Places of `low` per number. */
  readonly stride: 1 | 2
  low = new Int32Array(0)

  constructor(type: string) {
    this.stride = type === 'int64' ? 2 : 1
  }

  reserve(length: number): void {
    if (this.low.length < length * this.stride)
      this.low = new Int32Array(2 ** Math.ceil(Math.log2(length)) * this.stride)
  }

  view(length: number): BigInt64Array | Int32Array {
    return this.stride === 2 ? new BigInt64Array(this.low.buffer, 0, length) : this.low.subarray(0, length)
  }
}

function longest({ offsets }: TokenizedTexts): number {
  let length = 0
  for (let row = 0; row + 1 < offsets.length; row++) {
    length = Math.max(length, (offsets[row + 1] as number) - (offsets[row] as number))
  }
  return length
}
