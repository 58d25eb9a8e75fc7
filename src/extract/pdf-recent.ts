import { cleanPageText } from './pdf-common.js'
import type { Page, PdfDocument } from './pdf-document.js'
import type { Passage } from './pdf-layout.js'
import { pagesAround } from './pdf-running.js'
import type { LanePart } from './types.js'

/** A page that was read and laid out; it can cross a thread. */
export interface LaidPage extends LanePart {
  /** 1-based. */
  readonly page: number
  /** Whether it could be opened. */
  readonly readable: boolean
  /** Whether anything is drawn on it. */
  readonly drawn: boolean
  /** Code units of its text as it was read. */
  readonly units: number
  /** Its text, in the order of reading; each with its line end. */
  readonly passages: readonly Passage[]
}

/** Pages of a stretch, 1-based and inclusive, of a document of so many. */
export interface Stretch {
  readonly first: number
  readonly last: number
  readonly pages: number
}

/** A page as it was read, counted. */
export interface ReadPage {
  readonly readable: boolean
  readonly drawn: boolean
  readonly units: number
  readonly page: Page
}

/** Reads pages, and keeps those that the next stretch looks at again. */
export class RecentPages {
  readonly #document: PdfDocument
  readonly #kept = new Map<number, ReadPage>()

  constructor(document: PdfDocument) {
    this.#document = document
  }

  read(number: number): ReadPage {
    const kept = this.#kept.get(number)
    if (kept !== undefined) return kept
    const page = this.#document.readPage(number)
    const read = {
      readable: page !== undefined,
      drawn: (page?.objects ?? 0) > 0,
      // Without control characters in either layout: a page that holds nothing else has no text.
      units: cleanPageText(page?.text ?? '').length,
      page: page ?? nothing,
    }
    this.#kept.set(number, read)
    for (const old of this.#kept.keys()) if (old < number - 2 * pagesAround) this.#kept.delete(old)
    return read
  }
}

/** What passages take in memory, about. */
export function bytesOf(passages: readonly Passage[]): number {
  return passages.reduce((sum, { text }) => sum + 2 * text.length + 200, 200)
}

const nothing: Page = { text: '', fragments: [], objects: 0 }
