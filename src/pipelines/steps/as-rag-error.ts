import { RagError } from '../../core/errors.js'

/** What failed while a document was read, as a `RagError`. */
export function asRagError(error: unknown, source: string): RagError {
  if (RagError.isInstance(error)) return error
  return new RagError('CORRUPT', `"${source}" could not be read.`, { data: { source }, cause: error })
}
