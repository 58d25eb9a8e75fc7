import { refuseEmpty } from './blocks.js'
import { mainPart, readRelationships, relationshipId } from './package-parts.js'
import { SlideText } from './pptx-slide.js'
import type { Block, Extraction, ExtractOptions, Extractor, ExtractSource } from './types.js'
import { readXml, type XmlAttributes } from './xml.js'
import { ZipArchive, type ZipLimits } from './zip.js'

/**
 * Reads PowerPoint presentations (.pptx, .pptm, .ppsx): a page per slide in the order of the show, its title the heading, a line per paragraph,
 * a table row as a line of cells separated by ` | `, the words of diagrams, and the notes behind them. Left out: numbers, dates and
 * footers of slides, hidden slides, comments, pictures.
 *
 * Rejects with `EMPTY`, `CORRUPT`, `ENCRYPTED` or `LIMIT` (see {@link ZipLimits}).
 */
export function createPptxExtractor(limits: ZipLimits = {}): Extractor {
  return {
    id: 'pptx',
    fingerprint: 'pptx/1',
    mediaTypes: ['application/vnd.openxmlformats-officedocument.presentationml.presentation'],
    extract: (source, options) => extractPptx(source, options, limits),
  }
}

async function extractPptx(source: ExtractSource, options: ExtractOptions, limits: ZipLimits): Promise<Extraction> {
  const zip = await ZipArchive.open(source, options, limits)
  const slides = await findSlides(zip, await mainPart(zip, 'ppt/presentation.xml'))
  const title = await titleOf(zip, slides)
  const blocks = refuseEmpty(slideBlocks(zip, slides), source.name)
  return { ...(title === undefined ? {} : { title }), pages: Math.max(1, slides.length), blocks }
}

/** Parts of the slides, in the order in which they are shown. */
async function findSlides(zip: ZipArchive, part: string): Promise<readonly string[]> {
  const parts = await readRelationships(zip, part)
  const slides: string[] = []
  const open = (name: string, attributes: XmlAttributes) => {
    const slide = name === 'sldId' ? parts.get(relationshipId(attributes) ?? '') : undefined
    if (slide?.type === 'slide' && zip.has(slide.target)) slides.push(slide.target)
  }
  await readXml(zip.text(part), { open, close: () => {} }, zip.source)
  return slides
}

/** The title of the first slide that is shown. */
async function titleOf(zip: ZipArchive, slides: readonly string[]): Promise<string | undefined> {
  for (const part of slides) {
    const { isHidden, title } = await readSlide(zip, part)
    if (!isHidden) return title
  }
  return undefined
}

async function* slideBlocks(zip: ZipArchive, slides: readonly string[]): AsyncGenerator<Block, void, undefined> {
  for (const [place, slide] of slides.entries()) {
    const text = await readSlide(zip, slide)
    if (text.isHidden) continue
    const page = place + 1
    const headings = text.title === undefined ? undefined : [text.title]
    for (const related of (await readRelationships(zip, slide)).values()) {
      if (!zip.has(related.target)) continue
      if (related.type === 'diagramData') await text.readDiagram(zip, related.target)
      else if (related.type === 'notesSlide') await text.readNotes(zip, related.target)
    }
    yield* text.blocks({ page, ...(headings === undefined ? {} : { headings }) })
  }
}

async function readSlide(zip: ZipArchive, part: string): Promise<SlideText> {
  const text = new SlideText(zip.source)
  await text.readSlide(zip, part)
  return text
}
