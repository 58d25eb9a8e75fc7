import type { RagError } from '../../core/errors.js'
import { faultError as errorOf, type Fault, type FaultKind } from '../../util/fault.js'
import type { EmbeddingEndpoint } from './endpoint.js'

/** The error that users see of a failed call. */
export function faultError(fault: Fault, { model, name }: EmbeddingEndpoint): RagError {
  return errorOf(fault, { noun: 'embedding service', name, data: { provider: name, model }, hints, hintsByStatus })
}

const hints: Readonly<Record<FaultKind, string>> = {
  refused: 'A text may be longer than the model reads: lower chunkSize or maxTextLength.',
  denied: 'Check the address, the key, the account and the name of the model.',
  limited: 'Lower maxConcurrency, or set requestsPerMinute and tokensPerMinute to what the account allows.',
  unavailable: 'Check that the service runs and can be reached from here, then try again.',
  answer: 'Check that the address is the one of an embeddings API and the model an embedding model.',
  timeout: 'Raise timeoutMs, or lower maxItemsPerCall.',
  broken: 'Check the options of the embedder and of its client; "reason" names the error.',
}

const hintsByStatus: Readonly<Record<number, string>> = {
  401: 'Check the key: the service does not know it.',
  403: 'Check the key: it is not allowed to use this model.',
  404: 'Check the name of the model, and that the address ends before "/embeddings" (often in "/v1").',
}
