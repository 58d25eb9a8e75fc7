import { cutPoint, maxBlockUnits, refuseEmpty } from './blocks.js'
import { decodeText } from './decode.js'
import type { Block, Extractor } from './types.js'

/**
 * Reads plain text (also source code, JSON, CSV) of any length in bounded memory. Blocks end after paragraphs where they can.
 * Rejects with `EMPTY` when there is nothing but white space.
 */
export function createTextExtractor(): Extractor {
  return {
    id: 'text',
    fingerprint: 'text/1',
    mediaTypes: ['text/plain'],
    async extract(source, { signal }) {
      return { blocks: refuseEmpty(textBlocks(decodeText(source.stream()), signal), source.name) }
    },
  }
}

async function* textBlocks(
  parts: AsyncIterable<string>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Block, void, undefined> {
  let rest = ''
  for await (const part of parts) {
    signal?.throwIfAborted()
    rest += part
    while (rest.length > maxBlockUnits) {
      const cut = cutPoint(rest, maxBlockUnits)
      yield { kind: 'text', text: rest.slice(0, cut) }
      rest = rest.slice(cut)
    }
  }
  if (rest !== '') yield { kind: 'text', text: rest }
}
