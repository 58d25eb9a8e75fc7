import type { DocumentRecord } from '../../store/types.js'
import { maxReusedChunks } from './embed-passages.js'
import type { WrittenPieces } from './write-pieces.js'

const mark = 'incomplete:'
const unenrichedMark = 'unenriched:'

/**
 * The pipeline to store with a version that was written by `pipeline`. Where chunks are without a vector for a reason that may pass
 * (a service was away), it is like no other, so that the next ingest of the document does not find it unchanged: it keeps the vectors
 * there are and asks for the others. It holds their number, so that a version that is no better than the current one is not
 * stored. Documents too long for their vectors to be reused stay as they are.
 */
export function pipelineAfter(
  { retryable }: Pick<WrittenPieces, 'retryable'>,
  chunks: number,
  pipeline: string,
): string {
  return retryable === 0 || chunks > maxReusedChunks ? pipeline : `${mark}${retryable}:${pipeline}`
}

/**
 * The pipeline to store with a version of which so many chunks miss what an enricher failed at: like no other, so that the next ingest of
 * the document asks again. What was made is found in the cache, and vectors of the chunks that stay as they are are kept; documents too long
 * for that stay as they are.
 */
export function pipelineEnriched(unenriched: number, chunks: number, pipeline: string): string {
  return unenriched === 0 || chunks > maxReusedChunks ? pipeline : `${unenrichedMark}${unenriched}:${pipeline}`
}

/** Whether some vectors of a stored version may be had by trying again. */
export function isIncomplete({ pipeline }: DocumentRecord): boolean {
  return pipeline.startsWith(mark)
}
