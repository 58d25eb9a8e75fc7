import { attribute, readXml, type XmlAttributes } from './xml.js'
import type { ZipArchive } from './zip.js'

/** What a paragraph is by its style. */
export interface DocxStyle {
  /** Depth of a heading, 1 to 9; 0 for none. */
  readonly heading: number
  readonly isTitle: boolean
  readonly isList: boolean
}

/** Styles of paragraphs by their ids; those that say nothing are left out. */
export async function readStyles(zip: ZipArchive, part: string | undefined): Promise<ReadonlyMap<string, DocxStyle>> {
  if (part === undefined) return new Map()
  const styles = new StyleReader()
  await readXml(zip.text(part), styles, zip.source)
  return styles.resolve()
}

interface Told {
  readonly id: string
  name: string
  basedOn: string | undefined
  outline: number | undefined
  isList: boolean
}

/** Styles inherit from each other; a longer line of them is a circle. */
const maxAncestors = 20

class StyleReader {
  readonly #styles = new Map<string, Told>()
  #style: Told | undefined

  open(name: string, attributes: XmlAttributes): void {
    const value = attribute(attributes, 'val')
    if (name === 'style') {
      const id = attribute(attributes, 'styleId') ?? ''
      this.#style = { id, name: '', basedOn: undefined, outline: undefined, isList: false }
      this.#styles.set(id, this.#style)
    } else if (this.#style === undefined) return
    else if (name === 'name') this.#style.name = value ?? ''
    else if (name === 'basedOn') this.#style.basedOn = value
    else if (name === 'outlineLvl') this.#style.outline = outlineDepth(value)
    else if (name === 'numPr') this.#style.isList = true
  }

  close(name: string): void {
    if (name === 'style') this.#style = undefined
  }

  resolve(): ReadonlyMap<string, DocxStyle> {
    const resolved = new Map<string, DocxStyle>()
    for (const style of this.#styles.values()) {
      const line = this.#ancestors(style)
      const heading = line.map(headingOf).find((depth) => depth !== undefined) ?? 0
      const isTitle = /^title$/i.test(style.name)
      const isList = heading === 0 && line.some((one) => one.isList || /^list (bullet|number)/i.test(one.name))
      if (heading > 0 || isTitle || isList) resolved.set(style.id, { heading, isTitle, isList })
    }
    return resolved
  }

  #ancestors(style: Told): readonly Told[] {
    const line: Told[] = []
    for (let one: Told | undefined = style; one !== undefined && line.length < maxAncestors; ) {
      line.push(one)
      one = one.basedOn === undefined ? undefined : this.#styles.get(one.basedOn)
    }
    return line
  }
}

/** Word names its own styles in English in every language: "heading 1", "Title". */
function headingOf({ name, outline }: Told): number | undefined {
  const depth = /^heading ([1-9])$/i.exec(name)?.[1]
  if (depth !== undefined) return Number(depth)
  return /^title$/i.test(name) ? 1 : outline
}

/** An outline level, 0 to 8, as the depth of a heading; 9 is the level of body text. */
export function outlineDepth(value: string | undefined): number | undefined {
  const level = Number(value ?? 'none')
  return Number.isInteger(level) && level >= 0 && level <= 9 ? (level === 9 ? 0 : level + 1) : undefined
}
