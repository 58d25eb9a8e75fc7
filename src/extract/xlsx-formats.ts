import { attribute, readXml, type XmlAttributes } from './xml.js'
import type { ZipArchive } from './zip.js'

/** How numbers of a workbook are shown. */
export interface CellFormats {
  /** The number in a cell of this format, as a reader of the sheet sees it, or as it is. */
  show(value: string, format: number): string
}

type Kind = 'number' | 'date' | 'elapsed' | 'percent'

/** Reads what the formats of cells are; without styles every number is one. */
export async function readCellFormats(
  zip: ZipArchive,
  part: string | undefined,
  from1904: boolean,
): Promise<CellFormats> {
  const codes = new Map<number, string>()
  const kinds: Kind[] = []
  /** By number of the format: thousands of cell styles may share one. */
  const known = new Map<number, Kind>()
  let inCells = false
  const open = (name: string, attributes: XmlAttributes) => {
    const id = Number(attribute(attributes, 'numFmtId') ?? 0)
    if (name === 'numFmt') codes.set(id, attribute(attributes, 'formatCode') ?? '')
    else if (name === 'cellXfs') inCells = true
    else if (name === 'xf' && inCells) {
      const kind = known.get(id) ?? kindOf(id, codes.get(id))
      known.set(id, kind)
      kinds.push(kind)
    }
  }
  const close = (name: string) => {
    if (name === 'cellXfs') inCells = false
  }
  if (part !== undefined) await readXml(zip.text(part), { open, close }, zip.source)
  return {
    show(value, format) {
      const number = Number(value)
      const kind = kinds[format] ?? 'number'
      if (!Number.isFinite(number)) return value
      if (kind === 'date') return showDate(number, from1904) ?? plain(number)
      if (kind === 'elapsed') return showElapsed(number) ?? plain(number)
      return kind === 'percent' ? `${plain(number * 100)}%` : plain(number)
    },
  }
}

/** Formats that have a number and no code of their own (ECMA-376 part 1, 18.8.30); 27 to 58 in the East Asian versions. */
function kindOf(id: number, code: string | undefined): Kind {
  if (code === undefined) {
    if (id === 9 || id === 10) return 'percent'
    if (id === 46) return 'elapsed'
    return (id >= 14 && id <= 22) || (id >= 27 && id <= 36) || (id >= 45 && id <= 47) || (id >= 50 && id <= 58)
      ? 'date'
      : 'number'
  }
  // Without what is quoted or escaped, colours and conditions; the brackets of elapsed hours are kept.
  const bare = code.slice(0, 1_000).replace(/"[^"]*"|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\][]*\]/gi, '')
  if (/\[[hms]+\]/i.test(bare)) return 'elapsed'
  if (/[ymdhs]/i.test(bare) && !/general/i.test(bare)) return 'date'
  return bare.includes('%') ? 'percent' : 'number'
}

/** As Excel shows it: fifteen digits, beyond which a double is noise. */
function plain(number: number): string {
  return String(Number(number.toPrecision(15)))
}

const dayMs = 86_400_000

/** A day number with its time, as ISO 8601 has it; a time alone where there is no day; `undefined` beyond the year 9999. */
function showDate(serial: number, from1904: boolean): string | undefined {
  if (serial < 0 || serial > 2_958_466) return undefined
  // Excel counts a 29 February 1900 that never was, so that days before it are off by one.
  const days = from1904 ? serial + 1_462 : serial < 60 ? serial + 1 : serial
  const moment = new Date(Math.round((Math.round(days * 86_400) / 86_400 - 25_569) * dayMs)).toISOString()
  const time = moment.slice(11, moment.slice(17, 19) === '00' ? 16 : 19)
  if (serial < 1 && !from1904) return time
  return Number.isInteger(serial) ? moment.slice(0, 10) : `${moment.slice(0, 10)} ${time}`
}

/** Hours that are not taken out of days, `40:30`; `undefined` beyond what a double tells to the second. */
function showElapsed(serial: number): string | undefined {
  const seconds = Math.round(Math.abs(serial) * 86_400)
  if (!Number.isSafeInteger(seconds)) return undefined
  const two = (count: number) => String(count % 60).padStart(2, '0')
  const hours = `${serial < 0 && seconds > 0 ? '-' : ''}${Math.floor(seconds / 3_600)}:${two(Math.floor(seconds / 60))}`
  return seconds % 60 === 0 ? hours : `${hours}:${two(seconds)}`
}
