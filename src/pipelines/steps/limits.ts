import { Gate } from '../../util/gate.js'
import type { MemoryBudget } from '../../util/memory-budget.js'
import type { PassageEmbedder } from './passage-embedder.js'

/** What everything that writes documents shares, in whichever namespace and call: it bounds memory and threads together. */
export interface WriteLimits {
  /** Documents that are being read and cut. */
  readonly preparing: Gate
  /** Bytes of pieces, with their texts and vectors, between preparation and the store. */
  readonly pieces: Gate
  /** Bytes of documents that the store has and that may not be on disk. New documents wait for it, begun ones go on. */
  readonly unwritten: Gate
  readonly memory: MemoryBudget
}

/** Bytes of pieces at most: enough that an embedder with a large window finds texts whatever the others wait for. */
const pieceBytes = 32 << 20
/** Two of the store's transactions: one is written while the next one gathers. */
const unwrittenBytes = 16 << 20

/** Makes {@link WriteLimits}. `preparing` is how many documents may be in preparation. When memory is short, less of everything is begun. */
export function createWriteLimits({
  memory,
  preparing,
}: {
  readonly preparing: number
  readonly memory: MemoryBudget
}): WriteLimits {
  const share = () => memory.share()
  return {
    preparing: new Gate(preparing, share),
    pieces: new Gate(Math.min(pieceBytes, memory.maxBytes / 16), share),
    unwritten: new Gate(unwrittenBytes, share),
    memory,
  }
}

/** Documents handed to the store whose commit is not yet on disk, at most. */
const maxPendingCommits = 512

/** Bounds the documents of one call that are under way: enough to keep the embedder busy with a text of each. */
export function documentGate(passages: PassageEmbedder | undefined): Gate {
  return new Gate(maxPendingCommits + (passages?.window ?? 0))
}

/** What the store has of one document. */
export interface Unwritten {
  add(bytes: number): void
  /** It is on disk, or given up. Safe twice. */
  end(): void
}

/** What a writer holds back at most (see `DocumentWriter.write`). */
const writerBytes = 8 << 20

export function countUnwritten({ unwritten }: WriteLimits): Unwritten {
  let counted = 0
  return {
    add: (bytes) => {
      const more = Math.min(bytes, writerBytes - counted)
      counted += more
      unwritten.push(more)
    },
    end: () => {
      unwritten.leave(counted)
      counted = 0
    },
  }
}
