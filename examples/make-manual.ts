/** Makes `examples/documents/manual.pdf`, the multi-page PDF of the demo, from the project's own Markdown: `npx tsx examples/make-manual.ts`. */
import { createWriteStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { finished } from 'node:stream/promises'
import PDFDocument from 'pdfkit'

const chapters = ['docs/architecture.md', 'docs/contributing.md', 'docs/adding-an-adapter.md', 'docs/cli.md']
const output = 'examples/documents/manual.pdf'

const pdf = new PDFDocument({
  size: 'A4',
  margin: 64,
  info: { Title: 'The UltraFastRAG manual', CreationDate: new Date(0) },
})
const file = createWriteStream(output)
pdf.pipe(file)
for (const [place, chapter] of chapters.entries()) {
  if (place > 0) pdf.addPage()
  for (const line of printable(await readFile(chapter, 'utf8')).split('\n')) write(line)
}
pdf.end()
await finished(file)
console.log(`${output} written`)

function write(line: string): void {
  const heading = /^(#{1,6})\s+(.*)$/.exec(line)
  if (heading === null)
    pdf
      .font('Helvetica')
      .fontSize(10)
      .text(line === '' ? ' ' : line)
  else
    pdf
      .font('Helvetica-Bold')
      .fontSize(20 - 2 * (heading[1] as string).length)
      .text(heading[2] as string)
}

/** What the standard fonts can show: Markdown without its marks, code fences and pictures. */
function printable(markdown: string): string {
  return markdown
    .replace(/^```.*$/gm, '')
    .replace(/!\[[^\]]*\]\([^)]*\)/g, '')
    .replace(/\[([^\]]+)\]\([^)]*\)/g, '$1')
    .replace(/[*`]/g, '')
    .replace(/[→⇒]/g, '->')
    .replace(/≥/g, '>=')
    .replace(/≤/g, '<=')
    .replace(/[^\n\x20-\x7e\u00a0-\u00ff–—‘’“”•…]/g, '')
}
