import { createAnalyzers } from '../../text/analyzers.js'
import { serveTasks, type TaskContext, Transferred } from '../../util/worker-serve.js'
import type { PassagePart } from '../types.js'
import { view } from './basis.js'
import { chunkTerms } from './chunk-terms.js'
import { type FitRequest, fitBasis } from './fit.js'
import { FoldIn } from './fold-in.js'

/** What a thread is asked to embed, and with what. */
export interface EmbedRequest {
  readonly basis: SharedArrayBuffer
  readonly parts: readonly PassagePart[]
}

const analyzerFor = createAnalyzers()
/** Namespaces whose basis is kept at hand: opening one takes a tenth of a millisecond. */
const keptFoldIns = 8
/** By the checksum of the basis: a buffer that crosses threads is another object each time. */
const foldIns = new Map<string, FoldIn>()

serveTasks({
  fit: async (request: FitRequest, { signal }: TaskContext) => {
    const pause = async () => {
      // An abort is a message: it arrives between two turns of the loop.
      await new Promise((resolve) => setImmediate(resolve))
      signal.throwIfAborted()
    }
    return (await fitBasis(request, { analyzerFor, pause })).buffer
  },
  embed: async ({ basis, parts }: EmbedRequest) => {
    const foldIn = foldInOf(basis)
    const rows: Float32Array[] = []
    for (const part of parts) {
      const chunks = [...chunkTerms(part, await analyzerFor(part.language))]
      rows.push(foldIn.chunks(chunks.map(({ heading, text }) => [...heading, ...text])))
    }
    return new Transferred(
      rows,
      rows.map(({ buffer }) => buffer as ArrayBuffer),
    )
  },
})

function foldInOf(buffer: SharedArrayBuffer): FoldIn {
  const basis = view(buffer)
  const known = foldIns.get(basis.checksum)
  if (known !== undefined) return known
  const made = new FoldIn(basis)
  foldIns.set(basis.checksum, made)
  for (const oldest of foldIns.keys()) {
    if (foldIns.size <= keptFoldIns) break
    foldIns.delete(oldest)
  }
  return made
}
