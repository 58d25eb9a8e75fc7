import { decodeText } from './decode.js'

/** The text of HTML in the character set that it is told to be in, else that it says itself. */
export async function* decodeHtml(
  stream: AsyncIterable<Uint8Array>,
  told?: string,
): AsyncGenerator<string, void, undefined> {
  const { bytes, charset } = await readCharset(stream)
  yield* decodeText(bytes, told ?? charset)
}

/** Browsers look for `<meta charset>` in the first KiB; documents are not always that tidy. */
const charsetWindow = 4096

async function readCharset(
  stream: AsyncIterable<Uint8Array>,
): Promise<{ readonly bytes: AsyncIterable<Uint8Array>; readonly charset: string | undefined }> {
  const iterator = stream[Symbol.asyncIterator]()
  const first: Uint8Array[] = []
  for (let length = 0; length < charsetWindow; ) {
    const next = await iterator.next()
    if (next.done === true) break
    first.push(next.value)
    length += next.value.length
  }
  async function* all(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* first
      for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value
    } finally {
      await iterator.return?.()
    }
  }
  const head = Buffer.concat(first).subarray(0, charsetWindow).toString('latin1')
  const label = /<meta\s[^>]{0,200}charset\s{0,20}=\s{0,20}["']?\s{0,20}([\w-]{1,40})/i.exec(head)?.[1]
  return { bytes: all(), charset: label }
}
