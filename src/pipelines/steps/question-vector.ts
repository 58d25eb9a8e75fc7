import { RagError } from '../../core/errors.js'
import type { Question } from '../../core/search.js'
import { allFinite, normalise } from '../../util/vector-math.js'
import type { NamespaceIndexes, VectorLeg } from '../catch-up.js'

/** The words of a question; none for a vector alone. */
export function textOf(question: Question): string {
  return typeof question === 'string' ? question : (question.text ?? '')
}

/** The vector of a question: its own, or that of its words; `undefined` where there is no vector leg or it cannot represent them. */
export async function queryVector(
  question: Question,
  text: string,
  { vector: leg, vectorsPending }: NamespaceIndexes,
  signal?: AbortSignal,
): Promise<Float32Array | undefined> {
  if (typeof question !== 'string') {
    if (vectorsPending !== true) return checkVector(question.vector, leg)
    if (text.trim() === '') throw pendingError()
  }
  // A question the embedder cannot represent (no known word) is left to the lexical leg.
  return text.trim() === '' ? undefined : (await embedTexts([text], 'query', leg, signal))[0]
}

/** A vector for each text; `undefined` where there is no vector leg, or it cannot represent the text. */
export async function embedTexts(
  texts: readonly string[],
  kind: 'query' | 'passage',
  leg: VectorLeg | undefined,
  signal: AbortSignal | undefined,
): Promise<readonly (Float32Array | undefined)[]> {
  if (texts.length === 0 || leg === undefined) return []
  const { embedder } = leg
  const { vectors, failed } = await embedder.embed(texts, { kind, ...(signal === undefined ? {} : { signal }) })
  const lost = new Set(failed.map(({ index }) => index))
  const { dimensions } = embedder
  return texts.map((_, row) => (lost.has(row) ? undefined : vectors.subarray(row * dimensions, (row + 1) * dimensions)))
}

function pendingError(): RagError {
  return new RagError('FINGERPRINT', 'The vectors are being made anew; until then passages are found by their words.', {
    hint: 'Ask with words, or again when reindex() has resolved.',
    retryable: true,
  })
}

function checkVector(vector: Float32Array, leg: VectorLeg | undefined): Float32Array {
  if (leg === undefined) {
    throw new RagError('BAD_INPUT', 'A vector was asked for, but no embedder is configured.', {
      hint: 'Set the "embedder" option to the one that made the vector.',
    })
  }
  const { dimensions } = leg.index
  // A copy: scores are inner products of unit vectors, and the caller's may be of any length, or a plain array.
  const unit = Float32Array.from(vector)
  if (unit.length !== dimensions || !allFinite(unit, 0, dimensions) || normalise(unit, 0, dimensions) === 0) {
    throw new RagError('BAD_INPUT', `The question's vector must hold ${dimensions} finite numbers, not all zero.`, {
      data: { length: unit.length, dimensions },
    })
  }
  return unit
}
