import type { RerankingLlm } from '../config/resolve-reranker.js'
import { createFunctionLlm } from '../llm/function.js'
import type { Llm } from '../llm/types.js'

/** A model that the caller made. It is not believed, and stays the caller's to close. */
export function openGivenLlm(llm: RerankingLlm): Llm {
  switch (llm.kind) {
    case 'instance': {
      const { id, generate } = llm.instance
      return createFunctionLlm(generate.bind(llm.instance), { id })
    }
    case 'function':
      return createFunctionLlm(llm.generate)
    default:
      return llm satisfies never
  }
}
