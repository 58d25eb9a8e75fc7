import { RagError } from '../core/errors.js'
import { TokenBuffer } from '../text/token-buffer.js'
import type { EncodeOptions, TokenizedTexts, Tokenizer } from './types.js'

/** What makes a {@link Tokenizer} out of something that encodes one text. */
export interface FramedTokenizerOptions {
  /** Appends the ids of a text, without special tokens around it, the first `limit` of them. */
  readonly append: (text: string, output: TokenBuffer, limit: number) => void
  /** Ids put before and behind each text. */
  readonly before: readonly number[]
  readonly after: readonly number[]
  readonly paddingId: number
  readonly unknownId: number | undefined
  /** Each token and its id. */
  readonly entries: () => Iterable<readonly [token: string, id: number]>
}

/** Ids of an unusually large call are not kept for the next one: 4 MB. */
const keptIds = 1 << 20

/** Batches, prefix, special tokens and truncation, whatever cuts the texts into tokens. */
export function createFramedTokenizer(options: FramedTokenizerOptions): Tokenizer {
  const { append, before, after, paddingId, unknownId, entries } = options
  let output = new TokenBuffer()
  return {
    paddingId,
    ...(unknownId === undefined ? {} : { unknownId }),

    encode(texts: readonly string[], { maxTokens, prefix = '', special = true }: EncodeOptions): TokenizedTexts {
      const limit = special ? maxTokens - before.length - after.length : maxTokens
      if (!(limit >= 0)) throw noRoom(maxTokens, before.length + after.length)
      if (output.ids.length > keptIds) output = new TokenBuffer()
      output.length = 0
      const offsets = new Int32Array(texts.length + 1)
      for (const [index, text] of texts.entries()) {
        if (special) for (const id of before) output.push(id)
        append(prefix === '' ? text : prefix + text, output, limit)
        if (special) for (const id of after) output.push(id)
        offsets[index + 1] = output.length
      }
      return { ids: output.ids.slice(0, output.length), offsets }
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

function noRoom(maxTokens: number, special: number): RagError {
  return new RagError('BAD_OPTION', `maxTokens is at least ${special}, the special tokens of the model.`, {
    data: { maxTokens, special },
  })
}
