import type { Tokenizer } from '../../models/types.js'
import { normalise } from '../../util/vector-math.js'
import { createRowSums } from './row-sums.js'
import type { SharedRows } from './shared-rows.js'

/** How texts become vectors, apart from matrix and tokenizer. Plain data. */
export interface MeanOptions {
  /** Tokens of a text that count, after the unknown ones where these are left out. */
  readonly maxTokens: number
  readonly dropsUnknown: boolean
}

/** Vectors of some texts, and which texts have none: no token that is known, or only ones that cancel each other out. */
export interface Means {
  readonly vectors: Float32Array<ArrayBuffer>
  readonly empty: readonly number[]
  readonly tokens: number
}

export type EmbedTexts = (texts: readonly string[]) => Means

/**
 * Embeds texts in this thread: the rows of a text's tokens are added and the sum is brought to length 1. Dividing by their number
 * first, as the definition of a mean has it, would not change the direction.
 */
export function createMeans(
  tokenizer: Tokenizer,
  table: SharedRows,
  { maxTokens, dropsUnknown }: MeanOptions,
): EmbedTexts {
  const { dimensions } = table
  const { unknownId } = tokenizer
  const sumRows = createRowSums(table)
  return (texts) => {
    // Unknown tokens that are left out must not count, so those beyond the limit are cut off below.
    const { ids, offsets } = tokenizer.encode(texts, {
      special: false,
      maxTokens: dropsUnknown ? Number.POSITIVE_INFINITY : maxTokens,
    })
    const vectors = new Float32Array(texts.length * dimensions)
    const empty: number[] = []
    let tokens = 0
    for (let text = 0; text < texts.length; text++) {
      const start = offsets[text] as number
      const { end, known } = readTokens(ids, { start, end: offsets[text + 1] as number, unknownId, maxTokens })
      const place = text * dimensions
      // The rows of unknown tokens that are left out are zero.
      if (known > 0) sumRows(ids, start, end, vectors, place)
      const length = known > 0 ? normalise(vectors, place, dimensions) : 0
      if (length > 0 && length < Number.POSITIVE_INFINITY) tokens += dropsUnknown ? known : end - start
      else {
        vectors.fill(0, place, place + dimensions)
        empty.push(text)
      }
    }
    return { vectors, empty, tokens }
  }
}

interface TokenRange {
  readonly start: number
  readonly end: number
  readonly unknownId: number | undefined
  readonly maxTokens: number
}

/** How many tokens are known, and where the last one that counts ends. */
function readTokens(ids: Int32Array, { start, end, unknownId, maxTokens }: TokenRange): { end: number; known: number } {
  let known = 0
  for (let i = start; i < end; i++) {
    if (ids[i] === unknownId) continue
    known++
    if (known === maxTokens) return { end: i + 1, known }
  }
  return { end, known }
}
