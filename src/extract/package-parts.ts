import { attribute, readXml, type XmlAttributes } from './xml.js'
import type { ZipArchive } from './zip.js'

/** What a part of an Office file refers to (ECMA-376 part 2, "relationships"). */
export interface Relationship {
  /** The last word of its type: `slide`, `styles`, `worksheet`. */
  readonly type: string
  /** Name of the part in the archive. */
  readonly target: string
}

/** Relationships of a part by their ids, in their order; none when it has none. What lies outside of the file is left out. */
export async function readRelationships(zip: ZipArchive, part: string): Promise<ReadonlyMap<string, Relationship>> {
  const found = new Map<string, Relationship>()
  const cut = part.lastIndexOf('/') + 1
  const name = `${part.slice(0, cut)}_rels/${part.slice(cut)}.rels`
  if (!zip.has(name)) return found
  const open = (element: string, { Id, Type, Target, TargetMode }: XmlAttributes) => {
    if (element !== 'Relationship' || Id === undefined || Target === undefined || TargetMode === 'External') return
    const type = Type?.slice(Type.lastIndexOf('/') + 1) ?? ''
    found.set(Id, { type, target: resolvePart(part, Target) })
  }
  await readXml(zip.text(name), { open, close: () => {} }, zip.source)
  return found
}

/** The part that an Office file begins with; `usual` where it does not tell, or tells of none that is there. */
export async function mainPart(zip: ZipArchive, usual: string): Promise<string> {
  for (const { type, target } of (await readRelationships(zip, '')).values()) {
    if (type === 'officeDocument' && zip.has(target)) return target
  }
  return usual
}

/** The name of a part, told relative to another: `../media/a.png` in `ppt/slides/b.xml` is `ppt/media/a.png`. */
export function resolvePart(from: string, target: string): string {
  const path = target.startsWith('/') ? [] : from.split('/').slice(0, -1)
  for (const step of target.split('/')) {
    if (step === '..') path.pop()
    else if (step !== '' && step !== '.') path.push(step)
  }
  return path.join('/')
}

/** The id of a relationship, `r:id`, which stands beside an `id` of another meaning. */
export function relationshipId(attributes: XmlAttributes): string | undefined {
  return attributes['r:id'] ?? attribute(withoutPlain(attributes), 'id')
}

function withoutPlain({ id: _id, ...rest }: XmlAttributes): XmlAttributes {
  return rest
}
