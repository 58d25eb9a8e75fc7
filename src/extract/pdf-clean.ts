import { cleanPageText } from './pdf-common.js'
import { commonSize, countSizes, toPassages } from './pdf-layout.js'
import { mendPageText } from './pdf-mend.js'
import { orderRows } from './pdf-order.js'
import { bytesOf, type LaidPage, type ReadPage, type RecentPages, type Stretch } from './pdf-recent.js'
import { edgesOf, type PageEdges, pagesAround, runningFragments } from './pdf-running.js'

/**
 * Lays out a stretch of pages as they are meant to be read: running headers and footers are left out, columns follow each other,
 * paragraphs are one line each, tables keep their rows, headings are guessed. A page is given when the few behind it have been read, since
 * only they tell what is running; so many pages are held, whatever the document's length.
 */
export function* layOut(recent: RecentPages, { first, last, pages }: Stretch): Generator<LaidPage, void, undefined> {
  const seen: PageWithEdges[] = []
  const sizes = new Map<number, number>()
  for (let number = Math.max(1, first - pagesAround); number <= Math.min(pages, last + pagesAround); number++) {
    const read = recent.read(number)
    seen.push({ number, read, edges: edgesOf(number, read.page.fragments) })
    if (number >= first) countSizes(read.page.fragments, sizes)
    const ready = number - pagesAround
    if (ready >= first) yield layOutPage(ready, seen, { pages, sizes })
    if (seen.length > 2 * pagesAround) seen.shift()
  }
  for (let ready = Math.max(first, Math.min(pages, last + pagesAround) - pagesAround + 1); ready <= last; ready++) {
    yield layOutPage(ready, seen, { pages, sizes })
  }
}

interface PageWithEdges {
  readonly number: number
  readonly read: ReadPage
  readonly edges: PageEdges
}

function layOutPage(
  number: number,
  seen: readonly PageWithEdges[],
  { pages, sizes }: { readonly pages: number; readonly sizes: ReadonlyMap<number, number> },
): LaidPage {
  const { edges, read } = seen.find((other) => other.number === number) as PageWithEdges
  const { drawn, page, readable, units } = read
  const { fragments } = page
  const around = seen.filter((other) => other.number !== number && Math.abs(other.number - number) <= pagesAround)
  const running = runningFragments(
    edges,
    around.map((other) => other.edges),
    { pages, fragments: fragments.length },
  )
  const rows = orderRows(running.size === 0 ? fragments : fragments.filter((fragment) => !running.has(fragment)))
  const passages = toPassages(rows, commonSize(sizes)).map((passage) => ({
    ...passage,
    text: cleanPageText(mendPageText(passage.text)),
  }))
  return { page: number, readable, drawn, units, passages, bytes: bytesOf(passages) }
}
