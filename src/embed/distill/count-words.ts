import { abortableValues } from '../../util/abort.js'

/** Words and single signs: what BERT cuts texts into. */
const wordOrSign = /[\p{L}\p{M}\p{N}]+|[^\s\p{L}\p{M}\p{N}]/gu
/** Longer ones are no words: hashes, encoded files. */
const longestWord = 100
/** Different words that are counted at once: some 100 MB. */
const usualMaxWords = 1 << 20
/** Characters between two turns of the event loop: some two milliseconds. */
const charactersPerTurn = 1 << 15

export interface CountOptions {
  readonly signal?: AbortSignal | undefined
  /** Told after each text. */
  readonly onText?: (texts: number) => void
  /** Different words that are counted at once, at most. Beyond, the rarest are forgotten, as often as it takes. Default 1,048,576. */
  readonly maxWords?: number
}

/** Counts the words of texts, each in the spelling it has. In bounded memory: of millions of different words, rare ones may count less. */
export async function countWords(
  texts: Iterable<string> | AsyncIterable<string>,
  { signal, onText, maxWords = usualMaxWords }: CountOptions,
): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>()
  let done = 0
  for await (const text of abortableValues(texts, signal)) {
    for (const part of partsOf(text)) {
      signal?.throwIfAborted()
      for (const [word] of part.matchAll(wordOrSign)) {
        if (word.length <= longestWord) counts.set(word, (counts.get(word) ?? 0) + 1)
      }
      if (counts.size > maxWords) forgetRarest(counts, maxWords / 2)
      await new Promise(setImmediate)
    }
    onText?.(++done)
  }
  return counts
}

/** Stretches of a text, cut between words where there are such places. */
function* partsOf(text: string): Generator<string> {
  for (let start = 0; start < text.length; ) {
    const end = start + charactersPerTurn
    const space = end < text.length ? text.lastIndexOf(' ', end) : -1
    const stop = space > start ? space : end
    yield text.slice(start, stop)
    start = stop
  }
}

function forgetRarest(counts: Map<string, number>, rest: number): void {
  for (let least = 2; counts.size > rest; least++) {
    for (const [word, count] of counts) if (count < least) counts.delete(word)
  }
}
