import { BlockBuffer } from './block-buffer.js'
import { refuseEmpty, toHeading } from './blocks.js'
import { mainPart, readRelationships, relationshipId } from './package-parts.js'
import { RowWriter } from './rows.js'
import type { Block, Extraction, ExtractOptions, Extractor, ExtractSource } from './types.js'
import { readCellFormats } from './xlsx-formats.js'
import { type SheetContext, SheetRows } from './xlsx-sheet.js'
import { readSharedStrings } from './xlsx-strings.js'
import { attribute, readXml, readXmlInto, type XmlAttributes } from './xml.js'
import { ZipArchive, type ZipLimits } from './zip.js'

/**
 * Reads Excel workbooks (.xlsx, .xlsm), unpacking and reading them row by row: what is held is the table of texts that cells share. A page
 * per sheet, its name the heading (unless it is the name that Excel gives); a line per row, the names of the columns with the fields of
 * each (see {@link RowWriter}). Dates, times and percentages are written as such, formulas by their last value. Left out: hidden sheets,
 * comments, charts.
 *
 * Rejects with `EMPTY`, `CORRUPT`, `ENCRYPTED` or `LIMIT` (see {@link ZipLimits}; texts that cells share above 64 Mi code units, a row above 4 Mi, all
 * sheets above 256 Mi).
 */
export function createXlsxExtractor(limits: ZipLimits = {}): Extractor {
  return {
    id: 'xlsx',
    fingerprint: 'xlsx/1',
    mediaTypes: ['application/vnd.openxmlformats-officedocument.spreadsheetml.sheet'],
    extract: (source, options) => extractXlsx(source, options, limits),
  }
}

async function extractXlsx(source: ExtractSource, options: ExtractOptions, limits: ZipLimits): Promise<Extraction> {
  const zip = await ZipArchive.open(source, options, limits)
  const part = await mainPart(zip, 'xl/workbook.xml')
  const workbook = await readWorkbook(zip, part)
  return { pages: Math.max(1, workbook.sheets.length), blocks: refuseEmpty(sheetBlocks(zip, workbook), source.name) }
}

interface Workbook {
  readonly sheets: readonly Sheet[]
  readonly strings: string | undefined
  readonly styles: string | undefined
  /** Days are counted from 1904, as old Macs did. */
  readonly from1904: boolean
}

interface Sheet {
  readonly name: string
  readonly part: string
}

async function readWorkbook(zip: ZipArchive, part: string): Promise<Workbook> {
  const parts = await readRelationships(zip, part)
  const sheets: Sheet[] = []
  let from1904 = false
  const open = (name: string, attributes: XmlAttributes) => {
    if (name === 'workbookPr') from1904 = /^(1|true|on)$/.test(attribute(attributes, 'date1904') ?? '')
    const target = name === 'sheet' ? parts.get(relationshipId(attributes) ?? '') : undefined
    if (target?.type !== 'worksheet' || !zip.has(target.target) || /hidden/i.test(attributes.state ?? '')) return
    sheets.push({ name: attributes.name ?? '', part: target.target })
  }
  await readXml(zip.text(part), { open, close: () => {} }, zip.source)
  const find = (type: string) => [...parts.values()].find((one) => one.type === type && zip.has(one.target))?.target
  return { sheets, from1904, strings: find('sharedStrings'), styles: find('styles') }
}

async function* sheetBlocks(zip: ZipArchive, workbook: Workbook): AsyncGenerator<Block, void, undefined> {
  const context: SheetContext = {
    strings: await readSharedStrings(zip, workbook.strings),
    formats: await readCellFormats(zip, workbook.styles, workbook.from1904),
    name: zip.source,
    units: 0,
  }
  for (const [place, { name, part }] of workbook.sheets.entries()) {
    const heading = isGivenName(name) ? undefined : toHeading(name)
    const buffer = new BlockBuffer()
    const where = { page: place + 1, ...(heading === undefined ? {} : { headings: [heading] }) }
    const rows = new RowWriter(buffer, where, 'auto')
    let isBare = heading !== undefined
    for await (const row of readXmlInto(zip.text(part), new SheetRows(context), zip.source)) {
      rows.add(row)
      const blocks = buffer.take()
      // A heading only where something is beneath it.
      if (isBare && blocks.length > 0) {
        yield { ...where, kind: 'heading', text: `${heading}\n\n` }
        isBare = false
      }
      yield* blocks
    }
    rows.end()
    buffer.flush()
    const last = buffer.take()
    if (isBare && last.length > 0) yield { ...where, kind: 'heading', text: `${heading}\n\n` }
    yield* last
  }
}

/** Names that say nothing but that nobody gave one, in the languages of Excel. */
function isGivenName(name: string): boolean {
  return /^(sheet|tabelle|feuil|feuille|hoja|foglio|blad|ark|taul|arkusz|list|planilha|лист|sayfa|munka|sheet1_|シート|工作表)[ _]?\d*$/i.test(
    name,
  )
}
