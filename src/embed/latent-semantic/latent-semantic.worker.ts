import { createAnalyzers } from '../../text/analyzers.js'
import { serveTasks, type TaskContext, Transferred } from '../../util/worker-serve.js'
import type { PassagePart, SamplePart } from '../types.js'
import { view } from './basis.js'
import { chunkTerms } from './chunk-terms.js'
import { CorpusFit, type FitRequest } from './fit.js'
import { FoldIn } from './fold-in.js'

/** What a thread is asked to embed, and with what. */
export interface EmbedRequest {
  readonly basis: SharedArrayBuffer
  readonly parts: readonly PassagePart[]
}

/** Parts of the sample of a fit. */
export interface SampleRequest {
  readonly id: number
  readonly parts: readonly SamplePart[]
}

const analyzerFor = createAnalyzers()
const fits = new Map<number, CorpusFit>()
/** Of the fit that runs: a thread serves one task at a time. */
let pausing = async (): Promise<void> => {}
/** Namespaces whose basis is kept at hand: opening one takes a tenth of a millisecond. */
const keptFoldIns = 8
/** By the checksum of the basis: a buffer that crosses threads is another object each time. */
const foldIns = new Map<string, FoldIn>()

serveTasks({
  sample: ({ id, parts }: SampleRequest) => fitOf(id).add(parts),
  fit: async ({ id, ...request }: FitRequest & { readonly id: number }, { signal }: TaskContext) => {
    pausing = async () => {
      // An abort is a message: it arrives between two turns of the loop.
      await new Promise((resolve) => setImmediate(resolve))
      signal.throwIfAborted()
    }
    return (await fitOf(id).finish(request)).buffer
  },
  forget: (id: number) => {
    fits.delete(id)
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

function fitOf(id: number): CorpusFit {
  const known = fits.get(id)
  if (known !== undefined) return known
  const made = new CorpusFit({ analyzerFor, pause: () => pausing() })
  fits.set(id, made)
  return made
}

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
