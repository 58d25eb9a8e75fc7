import { makeZip, type ZipEntry } from './zip.js'

// Small documents of each format, written by hand: what an office program writes, without what nobody reads.

const head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
const packageTypes = 'http://schemas.openxmlformats.org/package/2006'
const documentTypes = 'http://schemas.openxmlformats.org/officeDocument/2006'
const namespaces = [
  'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"',
  `xmlns:r="${documentTypes}/relationships"`,
  'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"',
  'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"',
  'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"',
  'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"',
  'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"',
].join(' ')

export function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

/** A relationship: its id, the last word of its type, where it leads. */
type Link = readonly [id: string, type: string, target: string]

function links(name: string, list: readonly Link[]): ZipEntry {
  const one = ([id, type, target]: Link) =>
    `<Relationship Id="${id}" Type="${documentTypes}/relationships/${type}" Target="${target}"/>`
  return {
    name,
    content: `${head}<Relationships xmlns="${packageTypes}/relationships">${list.map(one).join('')}</Relationships>`,
  }
}

function office(main: string, kind: string, parts: readonly ZipEntry[]): Buffer {
  const types = `${head}<Types xmlns="${packageTypes}/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/${main}" ContentType="application/vnd.openxmlformats-officedocument.${kind}.main+xml"/></Types>`
  return makeZip([
    { name: '[Content_Types].xml', content: types },
    links('_rels/.rels', [['rId1', 'officeDocument', main]]),
    ...parts,
  ])
}

/** A paragraph of Word. */
export function paragraph(text: string, properties = ''): string {
  const props = properties === '' ? '' : `<w:pPr>${properties}</w:pPr>`
  return `<w:p>${props}<w:r><w:t xml:space="preserve">${escapeXml(text)}</w:t></w:r></w:p>`
}

const wordStyles = `${head}<w:styles ${namespaces}>${[
  ['Title', 'Title', ''],
  ['berschrift1', 'heading 1', ''],
  ['berschrift2', 'heading 2', '<w:outlineLvl w:val="1"/>'],
  ['Kapitel', 'My chapter', '<w:outlineLvl w:val="2"/>'],
]
  .map(
    ([id, name, props]) =>
      `<w:style w:type="paragraph" w:styleId="${id}"><w:name w:val="${name}"/><w:pPr>${props}</w:pPr></w:style>`,
  )
  .join(
    '',
  )}<w:style w:type="paragraph" w:styleId="Erbe"><w:name w:val="Heir"/><w:basedOn w:val="berschrift2"/></w:style></w:styles>`

/** A Word document with this body. Its styles: Title, berschrift1, berschrift2, Kapitel (by outline level), Erbe (based on berschrift2). */
export function makeDocx(body: string, more: { readonly footnotes?: string } = {}): Buffer {
  const { footnotes } = more
  return office('word/document.xml', 'wordprocessingml.document', [
    { name: 'word/document.xml', content: `${head}<w:document ${namespaces}><w:body>${body}</w:body></w:document>` },
    { name: 'word/styles.xml', content: wordStyles },
    links('word/_rels/document.xml.rels', [
      ['rId1', 'styles', 'styles.xml'],
      ...(footnotes === undefined ? [] : [['rId2', 'footnotes', 'footnotes.xml'] as const]),
    ]),
    ...(footnotes === undefined
      ? []
      : [{ name: 'word/footnotes.xml', content: `${head}<w:footnotes ${namespaces}>${footnotes}</w:footnotes>` }]),
  ])
}

/** A sheet: its name, the XML of its rows, and whether it is hidden. */
export interface SheetSpec {
  readonly name: string
  readonly rows: string
  readonly hidden?: boolean
}

/** A row of texts that stand in their cells. */
export function textRow(cells: readonly string[]): string {
  return `<row>${cells.map((text) => (text === '' ? '<c/>' : `<c t="inlineStr"><is><t xml:space="preserve">${escapeXml(text)}</t></is></c>`)).join('')}</row>`
}

/** An Excel workbook. Formats of cells: 0 general, 1 date, 2 percent, 3 a date of its own with a time, 4 a number with a unit, 5 and 6 elapsed time. */
export function makeXlsx(sheets: readonly SheetSpec[], shared: readonly string[] = []): Buffer {
  const sheet = ({ name, hidden = false }: SheetSpec, place: number) =>
    `<sheet name="${escapeXml(name)}" sheetId="${place + 1}" ${hidden ? 'state="hidden" ' : ''}r:id="rId${place + 1}"/>`
  const main = 'http://schemas.openxmlformats.org/spreadsheetml/2006/main'
  return office('xl/workbook.xml', 'spreadsheetml.sheet', [
    {
      name: 'xl/workbook.xml',
      content: `${head}<workbook xmlns="${main}" xmlns:r="${documentTypes}/relationships"><sheets>${sheets.map(sheet).join('')}</sheets></workbook>`,
    },
    links('xl/_rels/workbook.xml.rels', [
      ...sheets.map((_, place) => [`rId${place + 1}`, 'worksheet', `worksheets/sheet${place + 1}.xml`] as const),
      ['rIdS', 'sharedStrings', 'sharedStrings.xml'],
      ['rIdF', 'styles', 'styles.xml'],
    ]),
    ...sheets.map(({ rows }, place) => ({
      name: `xl/worksheets/sheet${place + 1}.xml`,
      content: `${head}<worksheet xmlns="${main}"><sheetData>${rows}</sheetData></worksheet>`,
    })),
    {
      name: 'xl/sharedStrings.xml',
      content: `${head}<sst xmlns="${main}" count="${shared.length}" uniqueCount="${shared.length}">${shared.map((text) => `<si><t xml:space="preserve">${escapeXml(text)}</t></si>`).join('')}</sst>`,
    },
    {
      name: 'xl/styles.xml',
      content: `${head}<styleSheet xmlns="${main}"><numFmts count="3"><numFmt numFmtId="164" formatCode="dd\\.mm\\.yyyy\\ hh:mm"/><numFmt numFmtId="165" formatCode="0.0&quot; days&quot;"/><numFmt numFmtId="166" formatCode="[Red][hh]:mm;@"/></numFmts><cellStyleXfs count="1"><xf numFmtId="14"/></cellStyleXfs><cellXfs count="7">${[0, 14, 10, 164, 165, 46, 166].map((id) => `<xf numFmtId="${id}"/>`).join('')}</cellXfs></styleSheet>`,
    },
  ])
}

/** A slide: the XML of its shapes, that of its notes, and whether it is left out of the show. */
export interface SlideSpec {
  readonly shapes: string
  readonly notes?: string
  readonly hidden?: boolean
}

/** A shape with paragraphs; `place` is `title`, `body`, `sldNum` or none. */
export function shape(paragraphs: readonly string[], place?: string): string {
  const holder = place === undefined ? '' : `<p:ph type="${place}"/>`
  const text = paragraphs.map((one) => `<a:p><a:r><a:t>${escapeXml(one)}</a:t></a:r></a:p>`).join('')
  return `<p:sp><p:nvSpPr><p:cNvPr id="2" name="x"/><p:nvPr>${holder}</p:nvPr></p:nvSpPr><p:txBody><a:bodyPr/>${text}</p:txBody></p:sp>`
}

/** A PowerPoint presentation. The slides' parts are numbered backwards, so that only the order of the show tells theirs. */
export function makePptx(slides: readonly SlideSpec[]): Buffer {
  const part = (place: number) => slides.length - place
  const notes = slides.flatMap(({ notes }, place) => (notes === undefined ? [] : [{ notes, place }]))
  return office('ppt/presentation.xml', 'presentationml.presentation', [
    {
      name: 'ppt/presentation.xml',
      content: `${head}<p:presentation ${namespaces}><p:sldIdLst>${slides.map((_, place) => `<p:sldId id="${256 + place}" r:id="rId${place + 1}"/>`).join('')}</p:sldIdLst></p:presentation>`,
    },
    links(
      'ppt/_rels/presentation.xml.rels',
      slides.map((_, place) => [`rId${place + 1}`, 'slide', `slides/slide${part(place)}.xml`]),
    ),
    ...slides.map(({ hidden = false, shapes }, place) => ({
      name: `ppt/slides/slide${part(place)}.xml`,
      content: `${head}<p:sld ${namespaces}${hidden ? ' show="0"' : ''}><p:cSld><p:spTree>${shapes}</p:spTree></p:cSld></p:sld>`,
    })),
    ...notes.flatMap(({ notes, place }) => [
      links(`ppt/slides/_rels/slide${part(place)}.xml.rels`, [
        ['rId1', 'notesSlide', `../notesSlides/notes${place}.xml`],
      ]),
      {
        name: `ppt/notesSlides/notes${place}.xml`,
        content: `${head}<p:notes ${namespaces}><p:cSld><p:spTree>${notes}</p:spTree></p:cSld></p:notes>`,
      },
    ]),
  ])
}

/** A chapter of {@link makeEpub}: its body, and its title in the table of contents. */
export interface ChapterSpec {
  readonly body: string
  readonly title?: string
}

/** An EPUB 3 (`contents: 'nav'`) or 2 (`'ncx'`). Chapters are listed backwards, so that only the spine tells their order. */
export function makeEpub(
  chapters: readonly ChapterSpec[],
  { contents = 'nav', more = [] }: { readonly contents?: 'nav' | 'ncx'; readonly more?: readonly ZipEntry[] } = {},
): Buffer {
  const file = (place: number) => `text/chapter%20${place}.xhtml`
  const titled = chapters.flatMap(({ title }, place) => (title === undefined ? [] : [{ title, place }]))
  const nav = `<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"><body><nav epub:type="landmarks"><a href="${file(0)}">Wrong</a></nav><nav epub:type="toc"><ol>${titled.map(({ place, title }) => `<li><a href="${file(place)}#top">${escapeXml(title)}</a></li>`).join('')}</ol></nav></body></html>`
  const ncx = `<!DOCTYPE ncx PUBLIC "-//NISO//DTD ncx 2005-1//EN" "http://www.daisy.org/z3986/2005/ncx-2005-1.dtd"><ncx><navMap>${titled.map(({ place, title }) => `<navPoint><navLabel><text>${escapeXml(title)}</text></navLabel><content src="${file(place)}"/></navPoint>`).join('')}</navMap></ncx>`
  const items = chapters.map(
    (_, place) => `<item id="c${place}" href="${file(place)}" media-type="application/xhtml+xml"/>`,
  )
  const listed =
    contents === 'nav'
      ? '<item id="nav" href="toc.xhtml" media-type="application/xhtml+xml" properties="nav"/>'
      : '<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/>'
  return makeZip([
    { name: 'mimetype', content: 'application/epub+zip', stored: true },
    {
      name: 'META-INF/container.xml',
      content: `${head}<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="OPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>`,
    },
    {
      name: 'OPS/book.opf',
      content: `${head}<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>A Book</dc:title><dc:language>de-CH</dc:language></metadata><manifest>${items.toReversed().join('')}${listed}</manifest><spine>${chapters.map((_, place) => `<itemref idref="c${place}"/>`).join('')}</spine></package>`,
    },
    { name: contents === 'nav' ? 'OPS/toc.xhtml' : 'OPS/toc.ncx', content: head + (contents === 'nav' ? nav : ncx) },
    ...chapters.map(({ body }, place) => ({
      name: `OPS/text/chapter ${place}.xhtml`,
      content: `${head}<html xmlns="http://www.w3.org/1999/xhtml"><head><title>x</title></head><body>${body}</body></html>`,
    })),
    ...more,
  ])
}
