import { RagError } from '../../core/errors.js'
import type { StaticModel } from '../../models/static-model.js'
import { openTokenizer } from '../../models/tokenizer.js'
import { fillRows } from './fill-rows.js'
import { createMeans, type EmbedTexts } from './mean.js'
import type { SharedRows } from './shared-rows.js'

/** A model and the memory that its matrix is read into. Plain data: every thread gets it. */
export interface Matrix {
  readonly model: StaticModel
  readonly table: SharedRows
}

/** What reading a matrix tells. */
export interface MatrixFacts {
  /** Code points of a text that can count. */
  readonly maxCharacters: number
}

/** Fills the memory. Throws `INTEGRITY` when tokenizer and matrix do not belong together. */
export async function readMatrix({ model, table }: Matrix, signal?: AbortSignal): Promise<MatrixFacts> {
  const tokenizer = await openTokenizer(model.directory)
  const vocabulary = tokenizer.vocabulary()
  if (vocabulary.length > model.tokens) throw noRow(model, vocabulary.length)
  const lengths = vocabulary.filter((token) => token !== '').map(codePoints)
  const { unknownId } = tokenizer
  const dropped = new Set(model.dropsUnknown && unknownId !== undefined ? [unknownId] : [])
  await fillRows(model, table, { dropped, signal })
  return { maxCharacters: maxCharacters(model, lengths) }
}

/** Opens the tokenizer, for this thread; the memory must be filled by the first call. */
export async function openMeans({ model, table }: Matrix): Promise<EmbedTexts> {
  return createMeans(await openTokenizer(model.directory), table, model)
}

/**
 * model2vec cuts texts, before it looks at them, to as many characters as the largest number of tokens of usual length has: which
 * tokens of a long text count depends on it.
 */
function maxCharacters({ dropsUnknown, maxTokens }: StaticModel, lengths: readonly number[]): number {
  return dropsUnknown ? maxTokens * Math.max(1, Math.trunc(median(lengths))) : Number.POSITIVE_INFINITY
}

function median(values: readonly number[]): number {
  const sorted = Float64Array.from(values).sort()
  const middle = sorted.length / 2
  return ((sorted[Math.ceil(middle) - 1] ?? 0) + (sorted[Math.floor(middle)] ?? 0)) / 2
}

function codePoints(text: string): number {
  let count = 0
  for (const _ of text) count++
  return count
}

function noRow({ weights, tokens }: StaticModel, vocabulary: number): RagError {
  return new RagError('INTEGRITY', `The tokenizer knows ${vocabulary} tokens, but "${weights}" has ${tokens} rows.`, {
    data: { path: weights, vocabulary, rows: tokens },
    hint: 'Tokenizer and weights belong to different models: copy or download the model again.',
  })
}
