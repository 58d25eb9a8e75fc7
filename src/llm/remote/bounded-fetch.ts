import { CallFailure } from '../../util/fault.js'

/** Bytes of one line of a stream, and of an answer that is none; an event with a token has some 300. */
const mostBytes = 1 << 20
const lineEnd = 0x0a

/**
 * `fetch` for streams of events, which fails where a line does not end, or an error has no end: whoever reads it by lines would hold all of
 * it, and look through it again with every piece.
 */
export const boundedFetch: typeof fetch = async (input, init) => {
  const response = await fetch(input, init)
  if (response.body === null) return response
  const { headers, ok, status, statusText } = response
  let bytes = 0
  const bounds = new TransformStream<Uint8Array, Uint8Array>({
    transform(piece, controller) {
      const end = ok ? piece.lastIndexOf(lineEnd) : -1
      bytes = end < 0 ? bytes + piece.length : piece.length - end - 1
      if (bytes > mostBytes) throw endless()
      controller.enqueue(piece)
    },
  })
  return new Response(response.body.pipeThrough(bounds), { headers, status, statusText })
}

function endless(): CallFailure {
  return new CallFailure({ kind: 'answer', again: false, reason: 'endless_line', afterMs: 0 })
}
