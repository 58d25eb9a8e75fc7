import { decodeHead } from './decode.js'

/** Header fields of a message or a part of one: bytes as Latin-1 letters, unfolded, by name in lower case; of two the first. */
export type MimeHeaders = ReadonlyMap<string, string>

/** Takes header fields apart (RFC 5322, 2.2). Lines that are none are left out. */
export function parseHeaders(lines: readonly string[]): MimeHeaders {
  const headers = new Map<string, string>()
  let name = ''
  let value: string[] = []
  const keep = () => {
    if (name !== '' && !headers.has(name)) headers.set(name, value.join('').trim())
  }
  for (const line of lines) {
    if (/^[ \t]/.test(line)) {
      value.push(line)
      continue
    }
    keep()
    const colon = line.indexOf(':')
    name = colon > 0 ? line.slice(0, colon).trim().toLowerCase() : ''
    value = [line.slice(colon + 1)]
  }
  keep()
  return headers
}

/** A field as people read it: encoded words (RFC 2047) decoded, bytes beyond ASCII as UTF-8 or Windows-1252, on one line. */
export function readableHeader(value: string | undefined): string {
  if (value === undefined) return ''
  let text = ''
  let place = 0
  // Words that follow each other may share a character between them, and the space between is none.
  for (const match of value.matchAll(/(?:=\?[^?\s]{1,60}\?[bq]\?[^?\s]*\?=\s*)+/gi)) {
    text += plainText(value.slice(place, match.index)) + decodeWords(match[0])
    place = match.index + match[0].length
    if (/\s$/.test(match[0])) text += ' '
  }
  return `${text}${plainText(value.slice(place))}`
    .replace(/[\s\u0000-\u001f\u007f]+/g, ' ')
    .trim()
    .toWellFormed()
}

/** A value with its parameters, as `Content-Type` has it: the names in lower case, the values as people read them. */
export interface ParameterizedHeader {
  readonly value: string
  readonly parameters: ReadonlyMap<string, string>
}

const parameterPattern = /;\s*([^\s=;]{1,80})\s*=\s*("(?:[^"\\]|\\[\s\S])*"|[^;]*)/g

/** Takes `text/plain; charset="utf-8"` apart, parameters in several parts and other character sets (RFC 2231) put together. */
export function parseParameters(header: string | undefined): ParameterizedHeader {
  const value = (header ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  const parts = new Map<string, string[]>()
  const parameters = new Map<string, string>()
  for (const [, rawName = '', rawValue = ''] of (header ?? '').matchAll(parameterPattern)) {
    const [, name = '', section, star] = /^([^*]+)(?:\*(\d{1,3}))?(\*)?$/.exec(rawName.toLowerCase()) ?? []
    const text = unquoted(rawValue.trim())
    if (section !== undefined || star !== undefined) {
      const list = parts.get(name) ?? []
      list[Number(section ?? 0)] = text
      parts.set(name, list)
    } else if (!parameters.has(name)) parameters.set(name, readableHeader(text))
  }
  for (const [name, list] of parts) parameters.set(name, decodeExtended(list.join('')))
  return { value, parameters }
}

function unquoted(value: string): string {
  return value.startsWith('"')
    ? value.slice(1, value.endsWith('"') ? -1 : undefined).replace(/\\([\s\S])/g, '$1')
    : value
}

/** `UTF-8'en'na%C3%AFve.txt` */
function decodeExtended(value: string): string {
  const [, charset = 'utf-8', encoded = value] = /^([\w-]*)'[\w-]*'([\s\S]*)$/.exec(value) ?? []
  const bytes = encoded.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return decodeBytes(Buffer.from(bytes, 'latin1'), charset)
}

function decodeWords(words: string): string {
  let text = ''
  let charset = ''
  let bytes: Buffer[] = []
  const flush = () => {
    text += decodeBytes(Buffer.concat(bytes), charset)
    bytes = []
  }
  for (const [, name = '', kind = '', data = ''] of words.matchAll(
    /=\?([^?*\s]+)(?:\*[^?\s]*)?\?([bq])\?([^?\s]*)\?=/gi,
  )) {
    if (name.toLowerCase() !== charset) flush()
    charset = name.toLowerCase()
    bytes.push(
      kind.toLowerCase() === 'b'
        ? Buffer.from(data, 'base64')
        : Buffer.from(decodeQuoted(data.replaceAll('_', ' ')), 'latin1'),
    )
  }
  flush()
  return text
}

/** Bytes of quoted-printable text (RFC 2045, 6.7), both as Latin-1 letters. An escape that is none stays. */
export function decodeQuoted(text: string): string {
  return text.replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

function decodeBytes(bytes: Buffer, charset: string): string {
  try {
    return new TextDecoder(charset).decode(bytes)
  } catch {
    // A name nobody knows tells nothing: the bytes decide.
    return decodeUnknown(bytes)
  }
}

/** Behind a space no sequence is cut off, which {@link decodeHead} would leave out: the bytes are all there is. */
function decodeUnknown(bytes: Buffer): string {
  return decodeHead(Buffer.concat([bytes, Buffer.from(' ')])).text.replace(/ $/, '')
}

function plainText(value: string): string {
  return decodeUnknown(Buffer.from(value, 'latin1'))
}
