import { RagError } from '../core/errors.js'
import { decodeHead } from './decode.js'
import { isTextType, readableMediaTypes, typeAliases, typesByEnding } from './media-types.js'
import { zipEntryNames } from './zip-names.js'

/** What is known about a document before it is read. */
export interface SniffSource {
  /** File name or id; its ending counts when the content leaves the question open. */
  readonly name?: string
  /** The first 4 to 8 KiB, or all when there is less. */
  readonly bytes: Uint8Array
  /** Media type told by the caller; parameters are ignored. */
  readonly declared?: string
  /**
   * The last 64 KiB, where there is more than in `bytes`: the table of contents of a ZIP is there, by which containers are told apart.
   */
  readonly tail?: Uint8Array
  /** Media types somebody can read. Default {@link readableMediaTypes}. */
  readonly readable?: ReadonlySet<string>
}

/** What a document is. */
export interface SniffedMediaType {
  /** Lower case, without parameters. */
  readonly mediaType: string
  /** What the caller or the name claims instead, where the content proves it wrong. */
  readonly mismatch?: { readonly claimed: string; readonly by: 'declaration' | 'name' }
}

/**
 * Tells what a document is. The content decides (magic bytes, HTML, binary or not); among kinds of text, the declaration and then
 * the name. Throws `UNSUPPORTED`, naming the type, for what nobody reads, and `CORRUPT` for text or noise that claims to be a binary
 * format. An empty document is taken at its word, so that its extractor says `EMPTY`.
 */
export function sniffMediaType(source: SniffSource): SniffedMediaType {
  const { bytes, name = '', readable = readableMediaTypes } = source
  const claim = claimOf(source)
  const found = bytes.length === 0 ? (claim?.claimed ?? 'text/plain') : typeOf(source, claim, readable)
  if (!readable.has(found)) throw unsupported(name, found)
  const mismatch =
    claim !== undefined && claim.claimed !== found && (readable.has(claim.claimed) || !isTextType(claim.claimed))
  return mismatch ? { mediaType: found, mismatch: claim } : { mediaType: found }
}

type Claim = NonNullable<SniffedMediaType['mismatch']>

function claimOf({ declared, name = '' }: SniffSource): Claim | undefined {
  const type = declared?.split(';', 1)[0]?.trim().toLowerCase()
  // What web servers and upload forms say when they do not know.
  if (type !== undefined && type !== '' && type !== 'application/octet-stream') {
    return { claimed: typeAliases.get(type) ?? type, by: 'declaration' }
  }
  const ending = /\.([a-z0-9]{1,12})$/i.exec(name)?.[1]?.toLowerCase()
  const claimed = ending === undefined ? undefined : typesByEnding.get(ending)
  return claimed === undefined ? undefined : { claimed, by: 'name' }
}

function typeOf(
  { bytes, name = '', tail = bytes }: SniffSource,
  claim: Claim | undefined,
  readable: ReadonlySet<string>,
): string {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
  const magic = magicType(head, tail, claim?.claimed)
  if (magic !== undefined) return magic
  const { text, foreignBytes } = decodeHead(bytes)
  const declaredText = claim?.by === 'declaration' && isTextType(claim.claimed) && readable.has(claim.claimed)
  const markup = declaredText ? undefined : markupType(text)
  if (markup !== undefined) return markup
  if (isBinary(text, foreignBytes)) {
    if (head.slice(0, 1024).includes('%PDF-')) return 'application/pdf'
    if (claim === undefined || isTextType(claim.claimed)) return 'application/octet-stream'
    // A format of somebody's own extractor, which we cannot know by its bytes.
    if (readable.has(claim.claimed) && !magicTypes.has(claim.claimed)) return claim.claimed
    throw notWhatItClaims(name, claim)
  }
  if (claim !== undefined && magicTypes.has(claim.claimed)) throw notWhatItClaims(name, claim)
  if (claim !== undefined && (readable.has(claim.claimed) || !isTextType(claim.claimed))) return claim.claimed
  if (foreignBytes > strayMarks && foreignBytes > maxForeignShare * bytes.length) throw unknownCharset(name)
  return 'text/plain'
}

/** Above this share of bytes, 8-bit text is no Windows-1252 (Western European) but another script, and would come out as noise. */
const maxForeignShare = 0.3
/** So few odd bytes say nothing, however short the document. */
const strayMarks = 8

/** How files begin, as Latin-1. Where letters alone could begin a text, the sign goes on with what no text has. */
const magics: readonly (readonly [sign: RegExp, type: string])[] = [
  [/^\x89PNG\r\n\x1a\n/, 'image/png'],
  [/^\xff\xd8\xff/, 'image/jpeg'],
  [/^GIF8[79]a/, 'image/gif'],
  [/^(II\*\0|MM\0\*)/, 'image/tiff'],
  [/^RIFF[\s\S]{4}WEBP/, 'image/webp'],
  [/^BM[\s\S]{4}\0{4}/, 'image/bmp'],
  [/^\0\0[\s\S]{2}ftyp(hei|hev|mif1)/, 'image/heic'],
  [/^\0\0[\s\S]{2}ftypavif/, 'image/avif'],
  [/^\0\0[\s\S]{2}ftyp/, 'video/mp4'],
  [/^\x1aE\xdf\xa3/, 'video/x-matroska'],
  [/^RIFF[\s\S]{4}WAVE/, 'audio/wav'],
  // Frame sync of MPEG audio, layer III; UTF-16 with its byte order mark (FF FE) looks like layer I.
  [/^(ID3[\x02-\x04]|\xff[\xf2\xf3\xfa\xfb])/, 'audio/mpeg'],
  [/^fLaC\0/, 'audio/flac'],
  [/^OggS\0/, 'audio/ogg'],
  [/^\x1f\x8b/, 'application/gzip'],
  [/^BZh[1-9]1AY&SY/, 'application/x-bzip2'],
  [/^\xfd7zXZ\0/, 'application/x-xz'],
  [/^\x28\xb5\x2f\xfd/, 'application/zstd'],
  [/^7z\xbc\xaf\x27\x1c/, 'application/x-7z-compressed'],
  [/^Rar!\x1a\x07/, 'application/vnd.rar'],
  [/^[\s\S]{257}ustar[\0 ]/, 'application/x-tar'],
  [/^\x7fELF/, 'application/x-elf'],
  [/^MZ[\s\S]{4,}PE\0\0/, 'application/vnd.microsoft.portable-executable'],
  [/^\xca\xfe\xba\xbe/, 'application/java-vm'],
  [/^\0asm/, 'application/wasm'],
  [/^SQLite format 3\0/, 'application/vnd.sqlite3'],
  [/^\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1/, 'application/x-ole-storage'],
  [/^\{\\rtf/, 'application/rtf'],
  [/^%!PS/, 'application/postscript'],
  [/^wOFF\0/, 'font/woff'],
  [/^wOF2\0/, 'font/woff2'],
  [/^(\xff\xfe\0\0|\0\0\xfe\xff)/, 'text/plain; charset=utf-32'],
]

/** Containers in ZIP that say what they are in their first entry, which is not packed. */
const zipSigns: readonly (readonly [sign: string, type: string])[] = [
  ['mimetypeapplication/epub+zip', 'application/epub+zip'],
  ['mimetypeapplication/vnd.oasis.opendocument.text', 'application/vnd.oasis.opendocument.text'],
  ['mimetypeapplication/vnd.oasis.opendocument.spreadsheet', 'application/vnd.oasis.opendocument.spreadsheet'],
  ['mimetypeapplication/vnd.oasis.opendocument.presentation', 'application/vnd.oasis.opendocument.presentation'],
]

/** Containers in ZIP by the beginning of a name that only they have. */
const zipEntries: readonly (readonly [entry: string, type: string])[] = [
  ['xl/workbook.bin', 'application/vnd.ms-excel.sheet.binary.macroenabled.12'],
  ['word/', 'application/vnd.openxmlformats-officedocument.wordprocessingml.document'],
  ['xl/', 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet'],
  ['ppt/', 'application/vnd.openxmlformats-officedocument.presentationml.presentation'],
]
const contentTypes = '[Content_Types].xml'

/** Types whose files always begin with a sign of ours: without it a file is not of that type. */
const magicTypes: ReadonlySet<string> = new Set([
  ...magics.map(([, type]) => type).filter((type) => type !== 'audio/mpeg' && type !== 'video/mp4'),
  ...[...zipSigns, ...zipEntries].map(([, type]) => type),
  'application/pdf',
  'application/zip',
])

function magicType(head: string, tail: Uint8Array, claimed: string | undefined): string | undefined {
  if (/^(\xef\xbb\xbf)?\s{0,64}%PDF-/.test(head)) return 'application/pdf'
  // With something before its header a PDF counts as one when it calls itself so; a text may well speak of "%PDF-".
  if (claimed === 'application/pdf' && head.includes('%PDF-')) return 'application/pdf'
  if (/^PK(\x03\x04|\x05\x06)/.test(head)) return zipType(head, zipEntryNames(tail), claimed)
  const found = magics.find(([sign]) => sign.test(head))?.[1]
  // Under a password an Office file is no ZIP; its extractor says so.
  const isOffice = zipEntries.some(([, type]) => type === claimed)
  return found === 'application/x-ole-storage' && isOffice ? claimed : found
}

function zipType(head: string, names: readonly string[], claimed: string | undefined): string {
  const said = zipSigns.find(([sign]) => head.includes(sign))?.[1]
  if (said !== undefined) return said
  if (names.includes('META-INF/container.xml')) return 'application/epub+zip'
  const isOffice = names.length === 0 ? head.includes(contentTypes) : names.includes(contentTypes)
  const has = (entry: string) =>
    names.length === 0 ? head.includes(entry) : names.some((name) => name.startsWith(entry))
  const found = zipEntries.find(([entry]) => has(entry))?.[1]
  if (isOffice && found !== undefined) return found
  // The telling entry may lie further back; then the claim is believed when it is a container in ZIP at all.
  const believable = isOffice && zipEntries.some(([, type]) => type === claimed)
  return believable ? (claimed as string) : 'application/zip'
}

/** HTML, told by what only HTML begins with (a Markdown file may begin with any other tag), and XML that is no text to read. */
function markupType(text: string): string | undefined {
  const start = skipProlog(text).slice(0, 256).toLowerCase()
  if (/^<(!doctype\s+html|html|head|body|title|meta)[\s>]/.test(start)) return 'text/html'
  if (/^<(!doctype\s+svg|svg)[\s>]/.test(start)) return 'image/svg+xml'
  return undefined
}

/** What may stand before the first tag: white space, comments, an XML declaration. */
function skipProlog(text: string): string {
  let place = 0
  for (;;) {
    while (place < text.length && /[\s\ufeff]/.test(text[place] as string)) place++
    const end = text.startsWith('<!--', place) ? '-->' : text.startsWith('<?', place) ? '?>' : undefined
    if (end === undefined) return text.slice(place)
    const close = text.indexOf(end, place + 2)
    if (close < 0) return ''
    place = close + end.length
  }
}

/**
 * Whether control characters make up more than a stray part of it: a fiftieth, and of a document that is too short for that, a third. There
 * bytes that are no UTF-8 count beside them, as a short text has neither. Padding with NULs at the end does not count, nor the mark with
 * which DOS ended its texts.
 */
function isBinary(text: string, foreignBytes: number): boolean {
  let end = text.length
  while (end > 0 && (text[end - 1] === '\0' || text[end - 1] === '\x1a')) end--
  if (end === 0) return text !== ''
  const controls = text.slice(0, end).match(/[\0-\x07\x0e-\x1a\x1c-\x1f]/g)?.length ?? 0
  if (controls > strayMarks) return controls * 50 > end
  return controls > 0 && (controls + foreignBytes) * 3 > end
}

function unsupported(name: string, mediaType: string): RagError {
  const what = mediaType === 'application/octet-stream' ? 'holds binary data of an unknown kind' : `is ${mediaType}`
  return new RagError('UNSUPPORTED', `"${name}" ${what}, which no extractor reads.`, {
    data: { name, mediaType },
    hint: 'Convert it to PDF, DOCX, HTML or plain text, or give its text. docs/ingestion.md lists what is read.',
  })
}

function notWhatItClaims(name: string, { claimed, by }: Claim): RagError {
  const basis = by === 'name' ? 'its name' : 'its declared media type'
  return new RagError('CORRUPT', `"${name}" is ${claimed} by ${basis}, but its content is not.`, {
    data: { name, claimed, by },
    hint: 'The file is damaged, or was saved under a wrong name.',
  })
}

function unknownCharset(name: string): RagError {
  return new RagError('UNSUPPORTED', `"${name}" is text in a character set that cannot be told from its bytes.`, {
    data: { name, mediaType: 'text/plain' },
    hint: 'Convert it to UTF-8, for example with "iconv -f CHARSET -t UTF-8".',
  })
}
