import { isUtf8 } from 'node:buffer'

/** How many leading bytes {@link detectEncoding} looks at. */
export const encodingWindow = 1024

/** A Unicode encoding, and the length of the byte order mark before the text. */
export interface DetectedEncoding {
  readonly encoding: 'utf-8' | 'utf-16le' | 'utf-16be'
  readonly markBytes: number
}

/**
 * Decodes a stream of bytes to well-formed UTF-16, holding no more than one part at a time. UTF-16 is told by its byte order mark or
 * by where its NULs lie; everything else is UTF-8, in which every byte that is not valid UTF-8 is read as Windows-1252. So UTF-8,
 * Windows-1252 and a mixture come out right without looking ahead. NULs are dropped, lone surrogates become U+FFFD, line ends stay.
 *
 * `charset` is a label told from outside (HTML `<meta>`): used when the bytes are not plainly Unicode and the label is known.
 */
export async function* decodeText(
  bytes: AsyncIterable<Uint8Array>,
  charset?: string,
): AsyncGenerator<string, void, undefined> {
  let head: Uint8Array = new Uint8Array(0)
  let decoder: Decoder | undefined
  for await (const part of bytes) {
    if (decoder !== undefined) {
      yield* nonEmpty(decoder.decode(part))
      continue
    }
    head = head.length === 0 ? part : Buffer.concat([head, part])
    if (head.length < encodingWindow) continue
    decoder = createDecoder(head, charset)
    yield* nonEmpty(decoder.decode(head))
  }
  if (decoder === undefined) {
    decoder = createDecoder(head, charset)
    yield* nonEmpty(decoder.decode(head))
  }
  yield* nonEmpty(decoder.end())
}

/** The encoding that the first bytes of a text speak for; UTF-8 when nothing speaks for UTF-16. */
export function detectEncoding(head: Uint8Array): DetectedEncoding {
  if (head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf) return { encoding: 'utf-8', markBytes: 3 }
  if (head[0] === 0xff && head[1] === 0xfe) return { encoding: 'utf-16le', markBytes: 2 }
  if (head[0] === 0xfe && head[1] === 0xff) return { encoding: 'utf-16be', markBytes: 2 }
  // Spaces, digits and line ends of any script have a zero high byte, so NULs lie on one side, but for a rare character (U+xx00).
  const window = head.subarray(0, encodingWindow)
  const nuls = [0, 0] as [number, number]
  for (let i = 0; i < window.length; i++) if (window[i] === 0) nuls[(i & 1) as 0 | 1]++
  const onOneSide = (many: number, few: number) =>
    many > 2 * few + 1 && many * 20 >= window.length && few <= 1 + many / 20
  const [even, odd] = nuls
  if (onOneSide(odd, even)) return { encoding: 'utf-16le', markBytes: 0 }
  if (onOneSide(even, odd)) return { encoding: 'utf-16be', markBytes: 0 }
  return { encoding: 'utf-8', markBytes: 0 }
}

/** The decoded beginning of a text, and how many of its bytes were no UTF-8. A sequence cut off at the end is left out. */
export function decodeHead(head: Uint8Array): { readonly text: string; readonly foreignBytes: number } {
  const { encoding, markBytes } = detectEncoding(head)
  const body = head.subarray(markBytes)
  if (encoding !== 'utf-8') {
    return { text: new TextDecoder(encoding).decode(body.subarray(0, body.length & ~1)), foreignBytes: 0 }
  }
  const whole = body.subarray(0, body.length - incompleteTail(body))
  return decodeMixed(whole)
}

interface Decoder {
  decode(part: Uint8Array): string
  end(): string
}

function* nonEmpty(text: string): Generator<string, void, undefined> {
  const clean = text.includes('\0') ? text.replaceAll('\0', '') : text
  if (clean !== '') yield clean
}

function createDecoder(head: Uint8Array, charset: string | undefined): Decoder {
  const { encoding, markBytes } = detectEncoding(head)
  if (encoding === 'utf-8') {
    const foreign = markBytes === 0 && charset !== undefined ? foreignDecoder(charset) : undefined
    return foreign ?? new MixedDecoder(markBytes)
  }
  return streaming(new TextDecoder(encoding))
}

/** Labels that the mixed reading covers, and labels that contradict bytes which can be read as ASCII. */
const coveredLabels = /^(utf-?8|us-ascii|ascii|iso-?8859-1|latin1|windows-1252|cp1252|utf-?16.*|ucs-?2)$/i

function foreignDecoder(charset: string): Decoder | undefined {
  if (coveredLabels.test(charset)) return undefined
  try {
    return streaming(new TextDecoder(charset))
  } catch {
    // A label nobody knows tells nothing: the bytes decide.
    return undefined
  }
}

function streaming(decoder: InstanceType<typeof TextDecoder>): Decoder {
  return { decode: (part) => decoder.decode(part, { stream: true }), end: () => decoder.decode() }
}

/** UTF-8 with Windows-1252 for what is no UTF-8, across the borders of parts. */
class MixedDecoder implements Decoder {
  #skip: number
  /** Up to three bytes of a sequence that the next part goes on with. */
  #carry: Uint8Array = new Uint8Array(0)

  constructor(markBytes: number) {
    this.#skip = markBytes
  }

  decode(part: Uint8Array): string {
    const fresh = part.subarray(this.#skip)
    this.#skip = 0
    const bytes = this.#carry.length === 0 ? fresh : Buffer.concat([this.#carry, fresh])
    const tail = incompleteTail(bytes)
    this.#carry = bytes.slice(bytes.length - tail)
    const whole = bytes.subarray(0, bytes.length - tail)
    if (isUtf8(whole)) return Buffer.from(whole.buffer, whole.byteOffset, whole.length).toString('utf8')
    return decodeMixed(whole).text
  }

  end(): string {
    return decodeMixed(this.#carry).text
  }
}

/** Bytes at the end that begin a UTF-8 sequence which is not finished. */
function incompleteTail(bytes: Uint8Array): number {
  const { length } = bytes
  for (let back = 1; back <= Math.min(3, length); back++) {
    const byte = bytes[length - back] as number
    if ((byte & 0xc0) === 0x80) continue
    return expectedLength(byte) > back ? back : 0
  }
  return 0
}

function decodeMixed(bytes: Uint8Array): { readonly text: string; readonly foreignBytes: number } {
  const units = Buffer.allocUnsafe(2 * bytes.length)
  let end = 0
  let foreignBytes = 0
  const push = (unit: number) => {
    units[end++] = unit & 0xff
    units[end++] = unit >> 8
  }
  for (let i = 0; i < bytes.length; ) {
    const byte = bytes[i] as number
    const size = sequenceLength(bytes, i)
    if (size === 0) {
      push(byte >= 0x80 && byte < 0xa0 ? (windows1252[byte - 0x80] as number) : byte)
      foreignBytes++
      i++
      continue
    }
    let point = size === 1 ? byte : byte & (0xff >> (size + 1))
    for (let k = 1; k < size; k++) point = (point << 6) | ((bytes[i + k] as number) & 0x3f)
    if (point > 0xffff) {
      push(0xd800 + ((point - 0x10000) >> 10))
      push(0xdc00 + ((point - 0x10000) & 0x3ff))
    } else push(point)
    i += size
  }
  // Surrogates that were written as three bytes each (CESU-8) have become pairs; lone ones become U+FFFD here.
  return { text: units.toString('utf16le', 0, end).toWellFormed(), foreignBytes }
}

/** Length of the sequence at `place`, 0 when it is not valid. Encoded surrogates count as valid. */
function sequenceLength(bytes: Uint8Array, place: number): number {
  const first = bytes[place] as number
  const length = expectedLength(first)
  if (length <= 1) return length
  const second = bytes[place + 1] ?? 0
  if (first === 0xe0 && second < 0xa0) return 0
  if (first === 0xf0 && second < 0x90) return 0
  if (first === 0xf4 && second > 0x8f) return 0
  for (let k = 1; k < length; k++) if (((bytes[place + k] ?? 0) & 0xc0) !== 0x80) return 0
  return length
}

function expectedLength(first: number): number {
  if (first < 0x80) return 1
  if (first < 0xc2) return 0
  if (first < 0xe0) return 2
  if (first < 0xf0) return 3
  return first < 0xf5 ? 4 : 0
}

/** Code points of the bytes 80 to 9F; the five unassigned ones stand for themselves, as in the WHATWG encoding standard. */
const windows1252 = [
  0x20ac, 0x81, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8d, 0x017d,
  0x8f, 0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x9d,
  0x017e, 0x0178,
]
