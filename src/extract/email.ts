import { RagError } from '../core/errors.js'
import { refuseEmpty, toBlocks, toHeading } from './blocks.js'
import { decodeText } from './decode.js'
import { readHtml } from './html.js'
import { decodeHtml } from './html-charset.js'
import { type MimeMessage, type MimeText, readMime } from './mime.js'
import { type MimeHeaders, readableHeader } from './mime-headers.js'
import type { Block, Extraction, ExtractOptions, Extractor, ExtractSource } from './types.js'

/**
 * Reads e-mails (.eml): the subject is the title, sender, recipients and date are lines above the text. Of a text that comes in several forms the
 * last that can be read is taken, usually HTML (see `html.ts`). Messages inside follow, with their own lines. What is attached is
 * named and not read. Nothing is fetched.
 *
 * Rejects with `EMPTY` or `LIMIT` (`maxFileBytes`, and see {@link readMime}); any text is a message.
 */
export function createEmailExtractor(): Extractor {
  return {
    id: 'email',
    fingerprint: 'email/1',
    mediaTypes: ['message/rfc822'],
    extract: extractEmail,
  }
}

async function extractEmail(source: ExtractSource, options: ExtractOptions): Promise<Extraction> {
  const { signal } = options
  const message = await readMime(watched(source, options), source.name)
  const title = toHeading(readableHeader(message.headers.get('subject')))
  const blocks = refuseEmpty(messageBlocks(message, source.name, signal), source.name)
  return title === undefined ? { blocks } : { title, blocks }
}

/** What is attached is not held, but a mail is no place for files without end either. */
async function* watched(
  { name, stream }: ExtractSource,
  { signal, maxFileBytes }: ExtractOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  signal?.throwIfAborted()
  let bytes = 0
  for await (const part of stream()) {
    signal?.throwIfAborted()
    bytes += part.length
    if (bytes > maxFileBytes) {
      throw new RagError('LIMIT', `"${name}" has more than ${maxFileBytes} bytes.`, {
        data: { source: name, limit: maxFileBytes },
        hint: 'Raise limits.maxFileBytes, or give what is attached to it as documents of their own.',
      })
    }
    yield part
  }
}

async function* messageBlocks(
  { attachments, headers, texts }: MimeMessage,
  name: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Block, void, undefined> {
  yield* headerLines(headers)
  let message = headers
  for (const text of await chosen(texts, name)) {
    signal?.throwIfAborted()
    if (text.message !== message) yield* headerLines(text.message)
    message = text.message
    for await (const block of textBlocks(text, name)) {
      signal?.throwIfAborted()
      yield block
    }
  }
  const names = attachments.map((one) => one.replace(/\s+/g, ' ').trim()).filter((one) => one !== '')
  if (names.length > 0) yield* toBlocks(`Attachments: ${names.join(', ')}\n`, { kind: 'text' })
}

const shown = ['From', 'To', 'Cc', 'Date', 'Subject']

function* headerLines(headers: MimeHeaders): Generator<Block, void, undefined> {
  const lines = shown.flatMap((field) => {
    const value = readableHeader(headers.get(field.toLowerCase()))
    return value === '' ? [] : [`${field}: ${value}\n`]
  })
  if (lines.length > 0) yield* toBlocks(`${lines.join('')}\n`, { kind: 'text' })
}

/** The texts without those that say the same as a better one: of each choice the last that holds any text. */
async function chosen(texts: readonly MimeText[], name: string): Promise<readonly MimeText[]> {
  const best = new Map<number, number>()
  for (const text of texts) {
    if (text.choices.length === 0 || !(await holdsText(text, name))) continue
    for (const { group, place } of text.choices) best.set(group, Math.max(place, best.get(group) ?? 0))
  }
  return texts.filter(({ choices }) => choices.every(({ group, place }) => best.get(group) === place))
}

async function holdsText(text: MimeText, name: string): Promise<boolean> {
  for await (const block of textBlocks(text, name)) if (block.text.trim() !== '') return true
  return false
}

async function* textBlocks(text: MimeText, name: string): AsyncGenerator<Block, void, undefined> {
  const stream = inParts(text.bytes)
  if (text.type === 'text/html') {
    try {
      yield* (await readHtml(decodeHtml(stream, text.charset), { name, signal: undefined })).blocks
    } catch (error) {
      // A letter that is a picture: what else is in the message is told.
      if (!RagError.isInstance(error, 'EMPTY')) throw error
    }
    return
  }
  let plain = ''
  for await (const part of decodeText(stream, text.charset)) plain += part
  const joined = text.flowed === 'no' ? plain : joinFlowed(plain, text.flowed === 'delsp')
  if (joined.trim() !== '') yield* toBlocks(`${joined.trim()}\n\n`, { kind: 'text' })
}

async function* inParts(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  for (let start = 0; start < bytes.length; start += 64 * 1024) yield bytes.subarray(start, start + 64 * 1024)
}

/** Joins lines that end with a space to the next, but not those of quotations, nor the line before a signature (RFC 3676, 4). */
function joinFlowed(text: string, deleteSpace: boolean): string {
  const lines = text.split('\n')
  return lines
    .map((line, place) => {
      const goesOn = line.endsWith(' ') && line !== '-- ' && !line.startsWith('>') && !lines[place + 1]?.startsWith('>')
      return goesOn ? (deleteSpace ? line.slice(0, -1) : line) : `${line}\n`
    })
    .join('')
}
