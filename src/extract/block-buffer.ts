import { maxBlockUnits, toBlocks, toHeading } from './blocks.js'
import type { Block } from './types.js'

/** Where a text stands: everything of a block but its text. */
export type BlockPlace = Omit<Block, 'text'>

/** So much of one kind is gathered into a block. */
const enoughUnits = maxBlockUnits / 2

/** Gathers text into blocks, each of one kind, page and heading path. */
export class BlockBuffer {
  #ready: Block[] = []
  #text = ''
  #place: BlockPlace = { kind: 'text' }

  /** Adds text, line ends included. The list of headings is compared by identity. */
  add(text: string, place: BlockPlace): void {
    if (!isSamePlace(place, this.#place) || this.#text.length + text.length > maxBlockUnits) this.flush()
    this.#place = place
    this.#text += text
    if (this.#text.length >= enoughUnits) this.flush()
  }

  /** Ends the block that is being gathered. */
  flush(): void {
    for (const block of toBlocks(this.#text, this.#place)) this.#ready.push(block)
    this.#text = ''
  }

  /** The blocks finished since the last call. */
  take(): readonly Block[] {
    const ready = this.#ready
    this.#ready = []
    return ready
  }
}

function isSamePlace(one: BlockPlace, other: BlockPlace): boolean {
  return one.kind === other.kind && one.page === other.page && one.headings === other.headings
}

/** The headings above a place, of which a new one ends those that are as deep or deeper. */
export class HeadingPath {
  #path: readonly string[] = []
  #depths: readonly number[] = []

  /** `undefined` where there is none, as blocks have it. The same list until it changes. */
  get headings(): readonly string[] | undefined {
    return this.#path.length === 0 ? undefined : this.#path
  }

  /** Enters a heading. `undefined` when it says nothing, and the path stays. */
  enter(depth: number, text: string): string | undefined {
    const heading = toHeading(text)
    if (heading === undefined) return undefined
    const found = this.#depths.findIndex((above) => above >= depth)
    const keep = found < 0 ? this.#depths.length : found
    this.#path = [...this.#path.slice(0, keep), heading]
    this.#depths = [...this.#depths.slice(0, keep), depth]
    return heading
  }
}
