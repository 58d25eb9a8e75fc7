import { toBlocks } from './blocks.js'
import { cleanPageText } from './pdf-common.js'
import { commonSize, countSizes, HeadingPath, type Passage, toPassages } from './pdf-layout.js'
import type { Fragment } from './pdf-lines.js'
import { orderRows } from './pdf-order.js'
import { edgesOf, type PageEdges, pagesAround, runningFragments } from './pdf-running.js'
import type { Block } from './types.js'

/**
 * Lays out the pages of a document, which come one after the other, as they are meant to be read: running headers and footers are left
 * out, columns follow each other, paragraphs are one line each, tables keep their rows, headings are guessed. A page is given back
 * when the few behind it have come, since only they tell what is running; so many pages are held, whatever the document's length.
 */
export class CleanLayout {
  readonly #pages: number
  readonly #mend: (text: string) => string
  readonly #headings = new HeadingPath()
  readonly #sizes = new Map<number, number>()
  readonly #waiting: { readonly page: number; readonly fragments: readonly Fragment[]; readonly edges: PageEdges }[] =
    []
  readonly #seen: PageEdges[] = []

  /** `pages` of the document; `mend` puts ligatures and broken words right. */
  constructor(pages: number, mend: (text: string) => string) {
    this.#pages = pages
    this.#mend = mend
  }

  /** Takes the next page, and gives blocks of those that need wait no longer. */
  *add(page: number, fragments: readonly Fragment[]): Generator<Block, void, undefined> {
    const edges = edgesOf(page, fragments)
    this.#waiting.push({ page, fragments, edges })
    this.#seen.push(edges)
    countSizes(fragments, this.#sizes)
    if (this.#waiting.length > pagesAround) yield* this.#next()
  }

  /** The pages that are left. */
  *end(): Generator<Block, void, undefined> {
    while (this.#waiting.length > 0) yield* this.#next()
  }

  *#next(): Generator<Block, void, undefined> {
    const next = this.#waiting.shift()
    if (next === undefined) return
    const { page, fragments, edges } = next
    const around = this.#seen.filter((other) => other.page !== page && Math.abs(other.page - page) <= pagesAround)
    while ((this.#seen[0]?.page ?? page) < page - pagesAround + 1) this.#seen.shift()
    const running = runningFragments(edges, around, { pages: this.#pages, fragments: fragments.length })
    const rows = orderRows(running.size === 0 ? fragments : fragments.filter((fragment) => !running.has(fragment)))
    yield* this.#toBlocks(page, toPassages(rows, commonSize(this.#sizes)))
  }

  /** Consecutive paragraphs are one block. */
  *#toBlocks(page: number, passages: readonly Passage[]): Generator<Block, void, undefined> {
    let paragraphs = ''
    const flush = (): Iterable<Block> => {
      const text = paragraphs
      paragraphs = ''
      return toBlocks(text, this.#with({ kind: 'text', page }))
    }
    for (const passage of passages) {
      const text = cleanPageText(this.#mend(passage.text))
      if (passage.kind === 'text') {
        paragraphs += text
        continue
      }
      yield* flush()
      if (passage.kind === 'heading') this.#headings.enter({ ...passage, text })
      yield* toBlocks(text, this.#with({ kind: passage.kind, page }))
    }
    yield* flush()
  }

  #with(block: Omit<Block, 'text'>): Omit<Block, 'text'> {
    const { path } = this.#headings
    return path.length === 0 ? block : { ...block, headings: path }
  }
}
