import type { RagError } from '../../core/errors.js'
import { faultError as errorOf, type Fault, type FaultKind } from '../../util/fault.js'
import type { ChatEndpoint } from './endpoint.js'

/** The error that users see of a failed call. */
export function faultError(fault: Fault, { model, name }: ChatEndpoint): RagError {
  const { afterMs } = fault
  const data = { provider: name, model, ...(afterMs > 0 ? { retryAfterMs: Math.ceil(afterMs) } : {}) }
  return errorOf(fault, { noun: 'language model', name, data, hints, hintsByStatus })
}

const hints: Readonly<Record<FaultKind, string>> = {
  refused:
    'The prompt may be longer than the model reads (lower maxContextChars), against its rules, or an option unknown to it.',
  denied: 'Check the address, the key, the account and the name of the model.',
  limited: 'Ask less often, spread the questions over several models (kind "balance"), or try again later.',
  unavailable: 'Check that the service runs and can be reached from here, then try again.',
  answer: 'Check that the address is that of a chat completions API and the model one that writes text.',
  timeout: 'Raise firstTokenTimeoutMs or idleTimeoutMs, show the model less, or use a faster one.',
  broken: 'Check the options of the model and of its client; "reason" names the error.',
}

const hintsByStatus: Readonly<Record<number, string>> = {
  401: 'Check the key: the service does not know it.',
  403: 'Check the key: it is not allowed to use this model.',
  404: 'Check the name of the model, and that the address ends before "/chat/completions" (often in "/v1").',
}
