import type { Blocks } from './blocks.js'
import { elementsTogether } from './bound-kernel.js'
import type { Saturation } from './saturation.js'

/** Shorter lists are read whole whenever they are asked for. */
const leastPostings = 128
/** A list with fewer postings for each block than this is read whole, too: that costs no more than looking at every block. */
const postingsPerBlock = 1 / 12
/** How far the average length may move until bounds are learnt anew: they grow loose by that much. */
const mostDrift = 1.05
/** Bytes that bounds may take, for each byte of postings. */
const mostShare = 0.5
/** Blocks whose postings are found by one look-up. */
const blocksPerSpan = 8

/** Lists of one level of a segment. */
export interface BoundedLists {
  readonly postings: Uint32Array
  /** Where each term's postings begin, and their count. */
  readonly starts: Uint32Array
  readonly lengths: Uint32Array
  readonly blocks: Blocks
}

/** What is known of a long list. */
export interface BoundedList {
  /** By block: no posting there has more than `unit` times this of tf / (tf + constant + perToken * length). */
  readonly impacts: Uint8Array
  readonly unit: number
  /** Where the postings of every eighth block begin, and where the last end. */
  readonly spans: Uint32Array
}

interface Learnt extends BoundedList {
  readonly constant: number
  readonly perToken: number
}

/**
 * The greatest impact of each long list in each block (block-max: Ding and Suel, Faster top-k document retrieval using block-max indexes, SIGIR 2011),
 * in one byte, rounded up, by number of the block as in BMP (Mallia, Suel and Tonellotto, SIGIR 2024): adding them up is one loop over bytes.
 *
 * Nothing is written to disk: learning a list when it is first asked for costs what scoring it costs, once. The average length changes with every
 * update; bounds stay true by a factor (see {@link driftOf}), and are learnt again before it matters.
 */
export class BlockBounds {
  readonly #lists: BoundedLists
  readonly #learnt = new Map<number, Learnt>()
  #bytes = 0

  constructor(lists: BoundedLists) {
    this.#lists = lists
  }

  /** Bytes of what was learnt. */
  get bytes(): number {
    return this.#bytes
  }

  /** Whether a list would be read whole to answer. */
  isNew(term: number, saturation: Saturation): boolean {
    const known = this.#learnt.get(term)
    return known === undefined || driftOf(known, saturation) > mostDrift
  }

  /** `undefined` for a list that is short. */
  list(term: number, saturation: Saturation): BoundedList | undefined {
    const { starts, blocks } = this.#lists
    const postings = (starts[term + 1] as number) - (starts[term] as number)
    if (postings < leastPostings || postings < (blocks.starts.length - 1) * postingsPerBlock) return undefined
    const known = this.#learnt.get(term)
    const drift = known === undefined ? Number.POSITIVE_INFINITY : driftOf(known, saturation)
    if (known !== undefined && drift <= mostDrift) return drift === 1 ? known : { ...known, unit: known.unit * drift }
    const learnt = this.#learn(term, saturation)
    this.#remember(term, learnt)
    return learnt
  }

  /** Forgets what was learnt first when it becomes too much. */
  #remember(term: number, learnt: Learnt): void {
    if (!this.#learnt.has(term)) this.#bytes += bytesOf(learnt)
    this.#learnt.set(term, learnt)
    for (const [oldest, list] of this.#learnt) {
      if (this.#bytes <= this.#lists.postings.byteLength * mostShare || oldest === term) return
      this.#learnt.delete(oldest)
      this.#bytes -= bytesOf(list)
    }
  }

  #learn(term: number, saturation: Saturation): Learnt {
    const { postings, starts, lengths, blocks } = this.#lists
    const end = starts[term + 1] as number
    const count = blocks.starts.length - 1
    const impacts = new Uint8Array(Math.ceil(count / elementsTogether) * elementsTogether)
    const spans = new Uint32Array(Math.ceil(count / blocksPerSpan) + 1)
    let span = 0
    for (let i = starts[term] as number; i < end; i++) {
      const posting = postings[i] as number
      const place = posting >>> 8
      const block = blocks.of[place] as number
      while (span * blocksPerSpan <= block) spans[span++] = i
      const impact = Math.ceil(255 * saturation.of(posting & 255, lengths[place] as number))
      if (impact > (impacts[block] as number)) impacts[block] = impact
    }
    spans.fill(end, span)
    const { constant, perToken } = saturation
    return { impacts, unit: 1 / 255, spans, constant, perToken }
  }
}

function bytesOf({ impacts, spans }: BoundedList): number {
  return impacts.byteLength + spans.byteLength
}

/**
 * By what factor an impact can be greater than when it was learnt. Where a token counts less than it did, it is
 * (tf + c + before * length) / (tf + c + now * length), which is below before / now.
 */
function driftOf(
  { constant, perToken }: Pick<Learnt, 'constant' | 'perToken'>,
  now: Pick<Saturation, 'constant' | 'perToken'>,
): number {
  // Where a token counts for more than it did, bounds stay true but grow loose.
  if (constant !== now.constant || now.perToken > perToken * mostDrift) return Number.POSITIVE_INFINITY
  return perToken <= now.perToken ? 1 : perToken / now.perToken
}

/** The postings among which those of a block are. */
export function spanOf(spans: Uint32Array, block: number): number {
  return spans[(block / blocksPerSpan) | 0] as number
}
export function spanEndOf(spans: Uint32Array, block: number): number {
  return spans[((block / blocksPerSpan) | 0) + 1] as number
}
