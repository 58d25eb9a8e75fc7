import { dropped, droppedRoles, lineEnds, openEnded, voids } from './html-elements.js'

/** Attributes that decide whether an element is left out. */
type Attributes = ReadonlyMap<string, string>

/** Knows whether the place in the document is inside an element that is left out. */
export class HtmlSkip {
  #skip: Skip | undefined

  get isActive(): boolean {
    return this.#skip !== undefined
  }

  /** Whether what begins here is to be left out, with everything until its end. */
  begins(name: string, attributes: Attributes): boolean {
    if (!isLeftOut(name, attributes)) return false
    this.#skip = { name, depth: 1, inner: 0 }
    return true
  }

  /** Whether the start of an element belongs to what is left out. */
  takesOpen(name: string): boolean {
    const skip = this.#skip
    if (skip === undefined) return false
    if (openEnded.has(skip.name)) {
      const ends = skip.inner === 0 && (name === skip.name || (skip.name === 'p' && lineEnds.has(name)))
      if (ends) {
        this.#skip = undefined
        return false
      }
      if (!voids.has(name) && !openEnded.has(name)) skip.inner++
    } else if (name === skip.name) skip.depth++
    return true
  }

  /** Whether the end of an element belongs to it. */
  takesClose(name: string): boolean {
    const skip = this.#skip
    if (skip === undefined) return false
    if (name === skip.name && skip.inner === 0) {
      if (--skip.depth === 0) this.#skip = undefined
      return true
    }
    if (!openEnded.has(skip.name) || openEnded.has(name)) return true
    if (skip.inner-- > 0) return true
    // The element around it ends, and it with that.
    this.#skip = undefined
    return false
  }
}

/** What is being left out: an element, until its end. */
interface Skip {
  readonly name: string
  /** Elements of the same name open inside, itself included. */
  depth: number
  /** Other elements open inside, counted only where the end tag may be missing. */
  inner: number
}

function isLeftOut(name: string, attributes: Attributes): boolean {
  if (dropped.has(name)) return true
  if (attributes.size === 0 || voids.has(name) || name === 'html' || name === 'body') return false
  const hidden = attributes.get('hidden')
  if (hidden !== undefined && hidden.toLowerCase() !== 'until-found') return true
  if (attributes.get('aria-hidden')?.toLowerCase() === 'true') return true
  if (droppedRoles.has(attributes.get('role')?.toLowerCase() ?? '')) return true
  return /(display\s{0,9}:\s{0,9}none|visibility\s{0,9}:\s{0,9}hidden)/i.test(attributes.get('style') ?? '')
}
