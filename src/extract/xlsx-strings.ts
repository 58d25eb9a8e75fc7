import { RagError } from '../core/errors.js'
import { readXml } from './xml.js'
import type { ZipArchive } from './zip.js'

/** Texts that cells share are held; more of them is `LIMIT`. UTF-16 code units. */
const maxSharedUnits = 64 << 20

/** A cell holds no more in Excel itself; what many cells refer to would be written again with each of them. */
const maxCellUnits = 32_767

/** The texts that cells refer to by number, without the readings above characters; none when there is no such part. */
export async function readSharedStrings(zip: ZipArchive, part: string | undefined): Promise<readonly string[]> {
  const strings: string[] = []
  if (part === undefined) return strings
  let units = 0
  let text = ''
  let isText = false
  let readings = 0
  await readXml(
    zip.text(part),
    {
      open(name) {
        if (name === 'si') text = ''
        else if (name === 'rPh') readings++
        else if (name === 't') isText = readings === 0
      },
      close(name) {
        if (name === 'si') strings.push(text.slice(0, maxCellUnits).toWellFormed())
        else if (name === 'rPh') readings--
        else if (name === 't') isText = false
      },
      text(data) {
        if (!isText) return
        text += data
        units += data.length
        if (units > maxSharedUnits) throw tooMuchShared(zip.source)
      },
    },
    zip.source,
  )
  return strings
}

function tooMuchShared(name: string): RagError {
  return new RagError('LIMIT', `"${name}" holds more than ${maxSharedUnits} characters of text that cells share.`, {
    data: { name, maxSharedUnits },
    hint: 'Save its sheets as CSV, which is read row by row.',
  })
}
