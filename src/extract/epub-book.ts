import { toHeading } from './blocks.js'
import { resolvePart } from './package-parts.js'
import { attribute, readXml, type XmlAttributes, type XmlHandler } from './xml.js'
import { corruptArchive, encryptedArchive, type ZipArchive } from './zip.js'

/** A part of a book, with its title in the table of contents. */
export interface Chapter {
  readonly part: string
  readonly title: string | undefined
}

export interface Book {
  readonly title: string | undefined
  /** BCP 47. */
  readonly language: string | undefined
  /** In reading order. */
  readonly chapters: readonly Chapter[]
}

/** Reads what a book consists of. Rejects with `CORRUPT` when it does not tell, and with `ENCRYPTED` when chapters are. */
export async function readBook(zip: ZipArchive): Promise<Book> {
  const part = await findPackage(zip)
  const told = new PackageReader(part)
  await readXml(zip.text(part), told, zip.source)
  const parts = told.spine().filter((name) => zip.has(name))
  if (parts.length === 0) throw corruptArchive(zip.source, 'it has no chapters')
  await refuseProtected(zip, new Set(parts))
  const titles = await readContents(zip, told.contents)
  return {
    title: toHeading(told.title),
    language: /^[a-z]{2,3}(-[a-z0-9]{1,8}){0,4}$/i.test(told.language.trim()) ? told.language.trim() : undefined,
    chapters: parts.map((name) => ({ part: name, title: titles.get(name) })),
  }
}

const container = 'META-INF/container.xml'
const htmlTypes: ReadonlySet<string> = new Set(['application/xhtml+xml', 'text/html', 'application/x-dtbook+xml'])

async function findPackage(zip: ZipArchive): Promise<string> {
  let found: string | undefined
  const open = (name: string, attributes: XmlAttributes) => {
    const path = name === 'rootfile' ? attribute(attributes, 'full-path') : undefined
    if (path !== undefined) found ??= toPart('', path)
  }
  if (zip.has(container)) await readXml(zip.text(container), { open, close: () => {} }, zip.source)
  if (found === undefined || !zip.has(found)) throw corruptArchive(zip.source, 'it does not tell what it consists of')
  return found
}

interface Item {
  readonly part: string
  readonly type: string
}

/** Reads the package document (EPUB 3.3, 5). */
class PackageReader implements XmlHandler {
  title = ''
  language = ''
  /** Part with the table of contents: that of EPUB 3, else that of EPUB 2. */
  contents: string | undefined
  readonly #part: string
  readonly #items = new Map<string, Item>()
  readonly #order: string[] = []
  #reads: 'title' | 'language' | undefined

  constructor(part: string) {
    this.#part = part
  }

  open(name: string, attributes: XmlAttributes): void {
    if ((name === 'title' || name === 'language') && this[name] === '') this.#reads = name
    else if (name === 'item') this.#addItem(attributes)
    // Answers, footnotes and the like stand outside of the reading order.
    else if (name === 'itemref' && attributes.linear !== 'no') this.#order.push(attributes.idref ?? '')
  }

  close(): void {
    this.#reads = undefined
  }

  text(text: string): void {
    if (this.#reads !== undefined && this[this.#reads].length < 1_000) this[this.#reads] += text
  }

  /** Parts of the chapters, each once. */
  spine(): readonly string[] {
    const items = this.#order.map((id) => this.#items.get(id)).filter((item) => item !== undefined)
    return [...new Set(items.filter(({ type }) => htmlTypes.has(type)).map(({ part }) => part))]
  }

  #addItem({ id, href, properties, 'media-type': type = '' }: XmlAttributes): void {
    if (id === undefined || href === undefined) return
    const part = toPart(this.#part, href)
    this.#items.set(id, { part, type })
    if (properties?.split(/\s+/).includes('nav')) this.contents = part
    else if (type === 'application/x-dtbncx+xml') this.contents ??= part
  }
}

/** Titles by part: the first that points into it. */
async function readContents(zip: ZipArchive, part: string | undefined): Promise<ReadonlyMap<string, string>> {
  const titles = new Map<string, string>()
  if (part === undefined || !zip.has(part)) return titles
  const add = (href: string, title: string) => {
    const target = toPart(part, href)
    if (title !== '' && !titles.has(target)) titles.set(target, title)
  }
  await readXml(zip.text(part), new ContentsReader(add), zip.source)
  return titles
}

/** Reads a table of contents: links of the `nav` of EPUB 3, or the points of the NCX of EPUB 2. */
class ContentsReader implements XmlHandler {
  readonly #add: (href: string, title: string) => void
  /** Navigation that is no table of contents: landmarks, lists of pages. */
  #isOther = false
  #href: string | undefined
  #title = ''
  #inLabel = false

  constructor(add: (href: string, title: string) => void) {
    this.#add = add
  }

  open(name: string, attributes: XmlAttributes): void {
    if (name === 'nav') this.#isOther = !/^(toc)?$/.test(attribute(attributes, 'type') ?? '')
    else if (name === 'pageList') this.#isOther = true
    else if (name === 'a' || name === 'navLabel') {
      this.#title = ''
      this.#inLabel = true
      if (name === 'a') this.#href = attributes.href
    } else if (name === 'content' && !this.#isOther && attributes.src !== undefined) this.#give(attributes.src)
  }

  close(name: string): void {
    if (name === 'nav' || name === 'pageList') this.#isOther = false
    else if (name === 'navLabel') this.#inLabel = false
    else if (name === 'a') {
      this.#inLabel = false
      if (this.#href !== undefined && !this.#isOther) this.#give(this.#href)
    }
  }

  text(text: string): void {
    if (this.#inLabel && this.#title.length < 1_000) this.#title += text
  }

  #give(href: string): void {
    this.#add(href, this.#title.replace(/\s+/g, ' ').trim())
  }
}

/** Fonts may be obfuscated in a book that anybody can read; chapters may not. */
async function refuseProtected(zip: ZipArchive, chapters: ReadonlySet<string>): Promise<void> {
  const part = 'META-INF/encryption.xml'
  if (!zip.has(part)) return
  const open = (name: string, attributes: XmlAttributes) => {
    const target = name === 'CipherReference' ? attribute(attributes, 'URI') : undefined
    if (target !== undefined && chapters.has(toPart('', target))) throw encryptedArchive(zip.source)
  }
  await readXml(zip.text(part), { open, close: () => {} }, zip.source)
}

/** The part that a link leads to, without the place inside it. */
function toPart(from: string, href: string): string {
  const path = href.replace(/[#?].*$/s, '')
  try {
    return resolvePart(from, decodeURIComponent(path))
  } catch {
    // A percent sign that is none of an escape is a part of the name.
    return resolvePart(from, path)
  }
}
