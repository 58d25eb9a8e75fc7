import { RagError } from '../core/errors.js'
import { TokenBuffer } from '../text/token-buffer.js'
import type { EncodeOptions, TokenizedPairs, TokenizedTexts, Tokenizer } from './types.js'

/** What makes a {@link Tokenizer} out of something that encodes one text. */
export interface FramedTokenizerOptions {
  /** Appends the ids of a text, without special tokens around it, the first `limit` of them. */
  readonly append: (text: string, output: TokenBuffer, limit: number) => void
  /** Ids put before and behind each text. */
  readonly before: readonly number[]
  readonly after: readonly number[]
  /** The same for two texts; absent when that is not known. */
  readonly pair: PairFrame | undefined
  readonly paddingId: number
  readonly unknownId: number | undefined
  /** Each token and its id. */
  readonly entries: () => Iterable<readonly [token: string, id: number]>
}

/** Special tokens around two texts. */
export interface PairFrame {
  readonly before: readonly number[]
  readonly between: readonly number[]
  readonly after: readonly number[]
  /** Token type of the second text and of what is behind it; everything before it has type 0. */
  readonly secondType: 0 | 1
}

/** Ids of an unusually large call are not kept for the next one: 4 MB. */
const keptIds = 1 << 20

/** Batches, prefix, special tokens and truncation, whatever cuts the texts into tokens. */
export function createFramedTokenizer(options: FramedTokenizerOptions): Tokenizer {
  const { append, before, after, pair, paddingId, unknownId, entries } = options
  let output = new TokenBuffer()
  const empty = () => {
    if (output.ids.length > keptIds) output = new TokenBuffer()
    output.length = 0
  }
  return {
    paddingId,
    ...(unknownId === undefined ? {} : { unknownId }),

    encode(texts: readonly string[], { maxTokens, prefix = '', special = true }: EncodeOptions): TokenizedTexts {
      const limit = special ? maxTokens - before.length - after.length : maxTokens
      if (!(limit >= 0)) throw noRoom(maxTokens, before.length + after.length)
      empty()
      const offsets = new Int32Array(texts.length + 1)
      for (const [index, text] of texts.entries()) {
        if (special) for (const id of before) output.push(id)
        append(prefix === '' ? text : prefix + text, output, limit)
        if (special) for (const id of after) output.push(id)
        offsets[index + 1] = output.length
      }
      return { ids: output.ids.slice(0, output.length), offsets }
    },

    encodePairs(first, seconds, { maxTokens }): TokenizedPairs {
      if (pair === undefined) throw noPairs()
      const room = maxTokens - pair.before.length - pair.between.length - pair.after.length
      if (!(room >= 0)) throw noRoom(maxTokens, maxTokens - room)
      const beginning = new TokenBuffer()
      for (const id of pair.before) beginning.push(id)
      append(first, beginning, Math.ceil(room / 2))
      const left = room - (beginning.length - pair.before.length)
      for (const id of pair.between) beginning.push(id)
      empty()
      const offsets = new Int32Array(seconds.length + 1)
      const starts = new Int32Array(seconds.length)
      for (const [index, text] of seconds.entries()) {
        const start = output.length
        const isAlone = text === ''
        const shared = isAlone ? beginning.length - pair.between.length : beginning.length
        for (let place = 0; place < shared; place++) output.push(beginning.ids[place] as number)
        if (!isAlone) append(text, output, left)
        for (const id of isAlone ? after : pair.after) output.push(id)
        offsets[index + 1] = output.length
        starts[index] = isAlone || pair.secondType === 0 ? output.length - start : beginning.length
      }
      return { ids: output.ids.slice(0, output.length), offsets, seconds: starts }
    },

    vocabulary() {
      const tokens: string[] = []
      for (const [token, id] of entries()) {
        while (tokens.length < id) tokens.push('')
        tokens[id] = token
      }
      return tokens
    },
  }
}

function noPairs(): RagError {
  return new RagError('UNSUPPORTED', 'The tokenizer of the model does not say how two texts are put together.', {
    hint: 'Take a model that scores pairs of texts, such as cross-encoder/ms-marco-MiniLM-L6-v2.',
  })
}

function noRoom(maxTokens: number, special: number): RagError {
  return new RagError('BAD_OPTION', `maxTokens is at least ${special}, the special tokens of the model.`, {
    data: { maxTokens, special },
  })
}
