import { pieceOrigin } from '../../core/piece.js'
import type { SamplePart } from '../../embed/types.js'
import type { DocumentRecord, StoreNamespace } from '../../store/types.js'
import { createTurns } from '../../util/yield.js'

export interface SampleOptions {
  /** Chunks at most. */
  readonly maxChunks: number
  /** Characters at most, as a rule: chunks may be of any size. */
  readonly maxCharacters: number
  readonly signal: AbortSignal
}

/** Documents looked at between two turns of the event loop: a millisecond. */
const documentsPerTurn = 256
/** Consecutive chunks that are taken together: what stands beside a passage tells which words go together. */
const runChunks = 64

/** Bytes and parts of a group: a millisecond of reading and of moving to a thread. */
const groupLimits = { bytes: 256 << 10, parts: 128 }

/**
 * Takes a sample of a corpus: all of it when it is small enough, otherwise the runs of 64 consecutive chunks with the lowest hash of
 * their document's content and their place (bottom-k sampling, Broder 1997), in the order of the documents' ids. So it depends on what
 * the corpus holds, not on the order or the process in which it came there. Only what is taken is read.
 */
export async function* sampleCorpus(
  namespace: StoreNamespace,
  options: SampleOptions,
): AsyncGenerator<readonly SamplePart[], void, undefined> {
  const turns = createTurns()
  let group: SamplePart[] = []
  let bytes = 0
  for (const { document, from, to } of joined(await lowestRuns(namespace, options))) {
    await turns.next()
    options.signal.throwIfAborted()
    const { language, title } = document
    const pieces = copies(namespace, document, from, to)
    group.push({ title, language, pieces, from, to })
    bytes += pieces.reduce((sum, { length }) => sum + length, 0)
    if (bytes < groupLimits.bytes && group.length < groupLimits.parts) continue
    yield group
    group = []
    bytes = 0
  }
  if (group.length > 0) yield group
}

interface Run {
  readonly document: DocumentRecord
  readonly from: number
  readonly to: number
  readonly hash: number
}

/** The runs that are taken, in the order of their documents and places. */
async function lowestRuns(
  namespace: StoreNamespace,
  { maxCharacters, maxChunks, signal }: SampleOptions,
): Promise<Run[]> {
  const turns = createTurns()
  // So much above what is needed that hardly ever too few are below it; then the sample is a little smaller.
  const bound = (2 ** 32 * maxChunks * 1.2) / Math.max(1, namespace.counts().chunks)
  const runs: Run[] = []
  let seen = 0
  for (const document of namespace.list()) {
    if (++seen % documentsPerTurn === 0) {
      await turns.next()
      signal.throwIfAborted()
    }
    for (let from = 0; from < document.chunks; from += runChunks) {
      const hash = hashOf(document.contentHash, from)
      if (hash <= bound) runs.push({ document, from, to: Math.min(document.chunks, from + runChunks), hash })
    }
  }
  const highest = highestHash(runs, { maxCharacters, maxChunks })
  return highest === undefined ? runs : runs.filter(({ hash }) => hash <= highest)
}

/** The hash up to which runs fit the sample; `undefined` when all do. */
function highestHash(
  runs: readonly Run[],
  { maxCharacters, maxChunks }: Pick<SampleOptions, 'maxCharacters' | 'maxChunks'>,
): number | undefined {
  // A typed array is sorted many times faster: the place of a run stands behind its hash.
  const order = Float64Array.from(runs, ({ hash }, place) => hash * 2 ** 20 + (place % 2 ** 20)).sort()
  let chunks = 0
  let characters = 0
  let highest = -1
  for (const entry of order) {
    const { document, from, to, hash } = runs[entry % 2 ** 20] as Run
    chunks += to - from
    characters += (document.characters * (to - from)) / Math.max(1, document.chunks)
    if (highest >= 0 && (chunks > maxChunks || characters > maxCharacters)) return highest
    highest = hash
  }
  return undefined
}

/** Runs that follow each other in a document become one, so that no piece is read twice. */
function* joined(runs: readonly Run[]): Generator<Run> {
  let open: Run | undefined
  for (const run of runs) {
    if (open !== undefined && open.document === run.document && open.to === run.from) {
      open = { ...open, to: run.to }
      continue
    }
    if (open !== undefined) yield open
    open = run
  }
  if (open !== undefined) yield open
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
