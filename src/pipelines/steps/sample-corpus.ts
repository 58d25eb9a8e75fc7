import { pieceOrigin } from '../../core/piece.js'
import type { SamplePart } from '../../embed/types.js'
import type { DocumentRecord, StoreNamespace } from '../../store/types.js'
import { createTurns } from '../../util/yield.js'

export interface SampleOptions {
  /** Chunks at most. */
  readonly maxChunks: number
  /** Bytes of encoded pieces at most: chunks may be of any size. */
  readonly maxBytes: number
  readonly signal: AbortSignal
}

/** Consecutive chunks that are taken together: what stands beside a passage tells which words go together. */
const runChunks = 64

/**
 * Takes a sample of a corpus: all of it when it is small enough, otherwise the runs of 64 consecutive chunks with the lowest hash of
 * their document's content and their place (bottom-k sampling, Broder 1997). So it depends on what the corpus holds, not on the order
 * or the process in which it came there. Only what is taken is read.
 */
export async function sampleCorpus(namespace: StoreNamespace, options: SampleOptions): Promise<SamplePart[]> {
  const { maxBytes, signal } = options
  const turns = createTurns()
  const parts: SamplePart[] = []
  let bytes = 0
  for (const { document, from, to } of joined(await lowestRuns(namespace, options))) {
    await turns.next()
    signal.throwIfAborted()
    const { language, title } = document
    const pieces = copies(namespace, document, from, to)
    bytes += pieces.reduce((sum, { length }) => sum + length, 0)
    if (parts.length > 0 && bytes > maxBytes) break
    parts.push({ title, language, pieces, from, to })
  }
  return parts
}

interface Run {
  readonly document: DocumentRecord
  readonly from: number
  readonly to: number
  readonly hash: number
}

/** The runs that are taken, lowest hash first. */
async function lowestRuns(namespace: StoreNamespace, { maxChunks, signal }: SampleOptions): Promise<Run[]> {
  const turns = createTurns()
  // So much above what is needed that hardly ever too few are below it; then the sample is a little smaller.
  const bound = (2 ** 32 * maxChunks * 1.2) / Math.max(1, namespace.counts().chunks)
  const runs: Run[] = []
  let seen = 0
  for (const document of namespace.list()) {
    if (++seen % 256 === 0) {
      await turns.next()
      signal.throwIfAborted()
    }
    for (let from = 0; from < document.chunks; from += runChunks) {
      const hash = hashOf(document.contentHash, from)
      if (hash <= bound) runs.push({ document, from, to: Math.min(document.chunks, from + runChunks), hash })
    }
  }
  runs.sort((a, b) => a.hash - b.hash || (a.document.id < b.document.id ? -1 : 1))
  let chunks = 0
  const end = runs.findIndex(({ from, to }) => {
    chunks += to - from
    return chunks > maxChunks
  })
  return end < 0 ? runs : runs.slice(0, Math.max(1, end))
}

/** Runs that follow each other in a document become one, so that no piece is read twice; each stands where its first was. */
function joined(runs: readonly Run[]): Iterable<Run> {
  const places = new Map(runs.map((run) => [`${run.document.generation}:${run.document.id}:${run.from}`, run]))
  const at = ({ document }: Run, from: number) => `${document.generation}:${document.id}:${from}`
  const heads = runs.filter((run) => !places.has(at(run, run.from - runChunks)))
  return heads.map((head) => {
    let { to } = head
    for (let next = places.get(at(head, to)); next !== undefined; next = places.get(at(head, to))) to = next.to
    return { ...head, to }
  })
}

/** The content is hashed already; its first bits and the place are mixed as in MurmurHash3. */
function hashOf(contentHash: string, from: number): number {
  let hash = Number.parseInt(contentHash.slice(0, 8), 16) ^ Math.imul(from + 1, 0x9e3779b1)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** The pieces that hold the chunks, copied: what the store gives is its own, or a view of far more. */
function copies(namespace: StoreNamespace, document: DocumentRecord, from: number, to: number): Uint8Array[] {
  const pieces: Uint8Array[] = []
  for (const piece of namespace.pieces(document, from)) {
    if (pieceOrigin(piece).firstOrdinal >= to) break
    pieces.push(new Uint8Array(piece))
  }
  return pieces
}
