import { readUntil, refuseEmpty } from './blocks.js'
import { readStyles } from './docx-styles.js'
import { DocxText } from './docx-text.js'
import { mainPart, readRelationships } from './package-parts.js'
import type { Block, Extraction, ExtractOptions, Extractor, ExtractSource } from './types.js'
import { readXmlInto } from './xml.js'
import { ZipArchive, type ZipLimits } from './zip.js'

/**
 * Reads Word documents (.docx, .docm, .dotx), unpacking and reading them in parts: memory does not grow with their length. Headings are
 * told by their styles and make the path, list items begin with `- `, a table row is a line of cells separated by ` | `; text boxes,
 * foot- and endnotes (behind the text, by number) and equations are read. Left out: what was deleted or moved away under tracked changes,
 * hidden text, comments, headers and footers, pictures. Nothing outside of the file is fetched.
 *
 * Rejects with `EMPTY`, `CORRUPT`, `ENCRYPTED` or `LIMIT` (see {@link ZipLimits}).
 */
export function createDocxExtractor(limits: ZipLimits = {}): Extractor {
  return {
    id: 'docx',
    fingerprint: 'docx/1',
    mediaTypes: ['application/vnd.openxmlformats-officedocument.wordprocessingml.document'],
    extract: (source, options) => extractDocx(source, options, limits),
  }
}

async function extractDocx(source: ExtractSource, options: ExtractOptions, limits: ZipLimits): Promise<Extraction> {
  const zip = await ZipArchive.open(source, options, limits)
  const part = await mainPart(zip, 'word/document.xml')
  const parts = [...(await readRelationships(zip, part)).values()]
  const find = (type: string) => parts.find((one) => one.type === type && zip.has(one.target))?.target
  const text = new DocxText(await readStyles(zip, find('styles')))
  const reading = refuseEmpty(read(zip, text, { part, notes: [find('footnotes'), find('endnotes')] }), source.name)
  const blocks = await readUntil(reading, () => text.title !== undefined)
  return text.title === undefined ? { blocks } : { title: text.title, blocks }
}

async function* read(
  zip: ZipArchive,
  text: DocxText,
  { part, notes }: { readonly part: string; readonly notes: readonly (string | undefined)[] },
): AsyncGenerator<Block, void, undefined> {
  yield* readXmlInto(zip.text(part), text, zip.source)
  text.end()
  for (const name of notes) {
    if (name === undefined || !text.hasNotes) continue
    text.beginNotes()
    yield* readXmlInto(zip.text(name), text, zip.source)
  }
  text.end()
  yield* text.take()
}
