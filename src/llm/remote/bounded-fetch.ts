import { CallFailure } from '../../util/fault.js'

/** Bytes of one event of a stream, and of an answer that is none; an event with a token has some 300. */
const mostBytes = 1 << 20
/** What ends an event: an empty line. */
const eventEnds = ['\n\n', '\r\n\r\n', '\r\r'].map((text) => Buffer.from(text))
const longestEnd = 4

/**
 * `fetch` for streams of events, which fails where an event does not end, or an error has no end: whoever reads it by events would hold all of
 * it, and look through it again with every piece.
 */
export const boundedFetch: typeof fetch = async (input, init) => {
  const response = await fetch(input, init)
  if (response.body === null) return response
  const { headers, ok, status, statusText } = response
  let bytes = 0
  let tail: Uint8Array = new Uint8Array()
  const bounds = new TransformStream<Uint8Array, Uint8Array>({
    transform(piece, controller) {
      // The end may be cut in two.
      const seen = Buffer.concat([tail, piece])
      const end = ok ? endOfLastEvent(seen) : -1
      bytes = end < 0 ? bytes + piece.length : seen.length - end
      tail = seen.subarray(Math.max(0, seen.length - longestEnd + 1))
      if (bytes > mostBytes) throw endless()
      controller.enqueue(piece)
    },
  })
  return new Response(response.body.pipeThrough(bounds), { headers, status, statusText })
}

/** The place behind the last event that is whole; -1 where none is. */
function endOfLastEvent(bytes: Buffer): number {
  const ends = eventEnds.map((end) => ({ place: bytes.lastIndexOf(end), length: end.length }))
  return Math.max(...ends.map(({ length, place }) => (place < 0 ? -1 : place + length)))
}

function endless(): CallFailure {
  return new CallFailure({ kind: 'answer', again: false, reason: 'endless_line', afterMs: 0 })
}
