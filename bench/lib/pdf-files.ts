import { createWriteStream, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import PDFDocument from 'pdfkit'
import { createTextGenerator } from './corpus.js'

/** Characters of a page: a full one of ten points. */
const pageCharacters = 3_000

/** Writes so many PDF files of so many pages of seeded text, with a title, running footers and no pictures, into a folder of its own. */
export async function writePdfFiles(
  folder: string,
  { files, pages }: { readonly files: number; readonly pages: number },
): Promise<string> {
  mkdirSync(folder, { recursive: true })
  const generator = createTextGenerator(pages)
  for (let file = 0; file < files; file++) {
    const document = new PDFDocument({ autoFirstPage: false, info: { Title: `Report ${file}` } })
    const output = createWriteStream(join(folder, `report-${file}.pdf`))
    document.pipe(output)
    for (let page = 1; page <= pages; page++) {
      document.addPage().fontSize(10).text(generator.document(pageCharacters), { height: 620 })
      document.text(`Page ${page}`, 72, 700, { height: 20 })
      // Pages are drawn faster than they are written.
      if (output.writableNeedDrain) await new Promise((resolve) => output.once('drain', () => resolve(undefined)))
    }
    document.end()
    await finished(output)
  }
  return folder
}
