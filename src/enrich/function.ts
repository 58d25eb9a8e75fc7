import { RagError } from '../core/errors.js'
import type { EnrichedLines, Enricher, EnrichFunction } from './types.js'

/** Options of {@link createFunctionEnricher}. */
export interface FunctionEnricherOptions {
  readonly enrich: EnrichFunction
  /** Names what the function does, so that another one is told from it; see `Enricher.fingerprint`. Default `''`. */
  readonly fingerprint?: string
  /** Set where the function computes by itself and asks no service. */
  readonly local?: boolean
}

/** Makes an enricher of a function of yours, which is asked about one passage at a time and told everything there is. */
export function createFunctionEnricher({ enrich, fingerprint = '', local = false }: FunctionEnricherOptions): Enricher {
  return {
    id: 'function',
    fingerprint: `function/1/${fingerprint}`,
    capabilities: {
      scope: 'passage',
      reads: ['title', 'headings', 'language', 'around', 'beginning'],
      batchSize: 1,
      ...(local ? { local } : {}),
    },
    async enrich(passages, { signal = new AbortController().signal }) {
      const lines: (readonly string[])[] = []
      for (const passage of passages) {
        signal.throwIfAborted()
        lines.push(toLines(await enrich(passage, { signal })))
      }
      return { lines, failed: [] }
    },
    async close() {},
  }
}

/** Plain JavaScript may hand over anything. */
function toLines(said: EnrichedLines): readonly string[] {
  if (said === null || said === undefined) return []
  if (typeof said === 'string') return [said]
  if (Array.isArray(said) && said.every((line) => typeof line === 'string')) return said
  throw new RagError('BAD_INPUT', 'The enricher gave something other than lines of text.', {
    data: { kind: typeof said },
    hint: 'Return a string, a list of strings, or nothing.',
  })
}
