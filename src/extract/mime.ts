import { RagError } from '../core/errors.js'
import {
  decodeQuoted,
  type MimeHeaders,
  type ParameterizedHeader,
  parseHeaders,
  parseParameters,
} from './mime-headers.js'

/** A part of a message that holds text. */
export interface MimeText {
  readonly type: 'text/plain' | 'text/html'
  readonly charset: string | undefined
  /** Its lines were broken to be joined again (RFC 3676); with `delsp` without the space at their ends. */
  readonly flowed: 'no' | 'flowed' | 'delsp'
  /** Bytes, with the transfer encoding undone. */
  readonly bytes: Buffer
  /** Header of the message within the message that it is the text of. */
  readonly message: MimeHeaders
  /** The choices that it is one of (multipart/alternative), outermost first, with its place in each. */
  readonly choices: readonly { readonly group: number; readonly place: number }[]
}

/** A message that was taken apart. */
export interface MimeMessage {
  readonly headers: MimeHeaders
  readonly texts: readonly MimeText[]
  /** Names of what is attached; `''` where it has none. */
  readonly attachments: readonly string[]
}

/** Bytes of text, and of a header, that are held. */
const maxTextBytes = 64 << 20
const maxHeaderBytes = 1 << 20
/** A longer line is read in parts, none of which is a boundary. */
const maxLineBytes = 64 * 1024
/** Text is turned into bytes by so much at a time: a buffer per line would take several times as much memory as the text. */
const pieceUnits = 64 * 1024
const maxLevels = 100
const maxParts = 10_000

/**
 * Takes a message apart (RFC 5322, 2045, 2046), line by line. What is attached is named, neither decoded nor kept. What is not sound is read
 * as far as it makes sense: any text is a message. Throws `LIMIT` for more than 64 MiB of text, a header above 1 MiB, more than 100
 * levels or 10,000 parts.
 */
export async function readMime(stream: AsyncIterable<Uint8Array>, name: string): Promise<MimeMessage> {
  const reader = new MimeReader(name)
  let rest = ''
  for await (const part of stream) {
    rest += Buffer.from(part.buffer, part.byteOffset, part.length).toString('latin1')
    let start = 0
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n', start)) {
      reader.line(rest.slice(start, end), '\n')
      start = end + 1
    }
    rest = rest.slice(start)
    for (; rest.length > maxLineBytes; rest = rest.slice(maxLineBytes)) reader.line(rest.slice(0, maxLineBytes), '')
  }
  if (rest !== '') reader.line(rest, '')
  return reader.end()
}

/** A multipart that is open. */
interface Level {
  readonly mark: string
  readonly group: number | undefined
  /** Header of the message it belongs to. */
  readonly message: MimeHeaders
  parts: number
}

interface OpenText extends Omit<MimeText, 'bytes'> {
  readonly encoding: string
  readonly pieces: Buffer[]
  /** What is not in the pieces yet: bytes as Latin-1 letters, or letters of base64. */
  carry: string
}

class MimeReader {
  readonly #name: string
  readonly #levels: Level[] = []
  readonly #texts: MimeText[] = []
  readonly #attachments: string[] = []
  #headers: MimeHeaders | undefined
  /** Lines of the header being read; `undefined` in a body. */
  #head: string[] | undefined = []
  #headBytes = 0
  #text: OpenText | undefined
  #textBytes = 0
  #groups = 0
  #parts = 0
  /** Header of the innermost message. */
  #message: MimeHeaders = new Map()
  #isMessage = true
  /** The line goes on with a longer one. */
  #goesOn = false

  constructor(name: string) {
    this.#name = name
  }

  line(raw: string, lineEnd: string): void {
    const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw
    const isWhole = !this.#goesOn
    this.#goesOn = lineEnd === ''
    if (isWhole && line.startsWith('--') && this.#readBoundary(line.trimEnd())) return
    if (this.#head === undefined) this.#readBody(line, lineEnd)
    else if (line === '') this.#endHead(this.#head)
    else this.#readHead(line, this.#head)
  }

  end(): MimeMessage {
    if (this.#head !== undefined && this.#head.length > 0) this.#endHead(this.#head)
    this.#endText()
    return { headers: this.#headers ?? new Map(), texts: this.#texts, attachments: this.#attachments }
  }

  /** Whether the line begins or ends a part of an open multipart; those inside of it end with it. */
  #readBoundary(line: string): boolean {
    const level = this.#levels.findLastIndex(({ mark }) => line === mark || line === `${mark}--`)
    const open = this.#levels[level]
    if (open === undefined) return false
    this.#endText()
    this.#message = open.message
    if (line === open.mark) {
      this.#levels.length = level + 1
      open.parts++
      if (++this.#parts > maxParts) throw tooMuch(this.#name, 'parts', maxParts)
      this.#head = []
      this.#headBytes = 0
      this.#isMessage = false
    } else {
      this.#levels.length = level
      this.#head = undefined
    }
    return true
  }

  #readHead(line: string, head: string[]): void {
    // Without a header from the first line on, everything is the text.
    const isField = /^[!-9;-~]{1,200}:|^[ \t]|^>?From /.test(line)
    if (head.length === 0 && !isField) {
      this.#endHead(head)
      this.#readBody(line, '\n')
      return
    }
    this.#headBytes += line.length
    if (this.#headBytes > maxHeaderBytes) throw tooMuch(this.#name, 'bytes in a header', maxHeaderBytes)
    head.push(line)
  }

  #endHead(lines: readonly string[]): void {
    const headers = parseHeaders(lines)
    this.#head = undefined
    if (this.#isMessage) {
      this.#headers ??= headers
      this.#message = headers
    }
    const content = parseParameters(headers.get('content-type') ?? 'text/plain')
    const disposition = parseParameters(headers.get('content-disposition'))
    const isAttached = disposition.value !== '' && disposition.value !== 'inline'
    const boundary = content.parameters.get('boundary') ?? ''
    if (content.value.startsWith('multipart/') && boundary !== '') this.#openLevel(content.value, boundary)
    else if (content.value === 'message/rfc822' && !isAttached && this.#levels.length < maxLevels) {
      this.#head = []
      this.#headBytes = 0
      this.#isMessage = true
    } else if (isAttached || !isReadable(content.value)) this.#attach(content, disposition)
    else this.#openText(content, headers)
  }

  #openLevel(type: string, boundary: string): void {
    if (this.#levels.length === maxLevels) throw tooMuch(this.#name, 'levels', maxLevels)
    const group = type === 'multipart/alternative' ? this.#groups++ : undefined
    this.#levels.push({ mark: `--${boundary}`.trimEnd(), group, message: this.#message, parts: 0 })
  }

  #attach(content: ParameterizedHeader, disposition: ParameterizedHeader): void {
    this.#attachments.push(disposition.parameters.get('filename') ?? content.parameters.get('name') ?? '')
  }

  #openText({ value, parameters }: ParameterizedHeader, headers: MimeHeaders): void {
    const flowed = parameters.get('format')?.toLowerCase() === 'flowed'
    const delsp = parameters.get('delsp')?.toLowerCase() === 'yes'
    this.#text = {
      type: value === 'text/html' ? value : 'text/plain',
      charset: parameters.get('charset'),
      flowed: flowed ? (delsp ? 'delsp' : 'flowed') : 'no',
      encoding: (headers.get('content-transfer-encoding') ?? '').trim().toLowerCase(),
      message: this.#message,
      choices: this.#levels.flatMap(({ group, parts }) => (group === undefined ? [] : [{ group, place: parts }])),
      pieces: [],
      carry: '',
    }
  }

  #readBody(line: string, lineEnd: string): void {
    const text = this.#text
    if (text === undefined) return
    this.#textBytes += line.length + 1
    if (this.#textBytes > maxTextBytes) throw tooMuch(this.#name, 'bytes of text', maxTextBytes)
    if (text.encoding === 'base64') text.carry += line.replace(/[^A-Za-z0-9+/]/g, '')
    else if (text.encoding === 'quoted-printable') {
      const isSoft = lineEnd !== '' && line.trimEnd().endsWith('=')
      text.carry += decodeQuoted(isSoft ? line.trimEnd().slice(0, -1) : line + lineEnd)
    } else text.carry += line + lineEnd
    // Whole groups of base64 only.
    if (text.carry.length >= pieceUnits) carryOver(text, text.carry.length - (text.carry.length % 4))
  }

  #endText(): void {
    const text = this.#text
    this.#text = undefined
    if (text === undefined) return
    carryOver(text, text.carry.length)
    const { pieces, carry: _carry, encoding: _encoding, ...facts } = text
    this.#texts.push({ ...facts, bytes: Buffer.concat(pieces) })
  }
}

/** Turns the first `units` of what is not in the pieces yet into one. */
function carryOver(text: OpenText, units: number): void {
  text.pieces.push(Buffer.from(text.carry.slice(0, units), text.encoding === 'base64' ? 'base64' : 'latin1'))
  text.carry = text.carry.slice(units)
}

/** Text that people read; calendars, style sheets and the like are attached. */
function isReadable(type: string): boolean {
  return /^(text\/(plain|html|markdown|enriched|rfc822-headers)|message\/(delivery-status|disposition-notification)|)$/.test(
    type,
  )
}

function tooMuch(name: string, what: string, limit: number): RagError {
  return new RagError('LIMIT', `"${name}" is a message with more than ${limit} ${what}.`, {
    data: { name, limit },
    hint: 'Give its text, or what is attached to it, as documents of their own.',
  })
}
