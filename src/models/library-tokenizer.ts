import { RagError } from '../core/errors.js'
import type { TokenBuffer } from '../text/token-buffer.js'
import { isWhiteSpace } from '../text/white-space.js'
import { importOptional } from '../util/import-optional.js'
import { createFramedTokenizer, type PairFrame } from './framed-tokenizer.js'
import type { TokenizerFiles } from './tokenizer-files.js'
import type { Tokenizer } from './types.js'

/**
 * Opens a tokenizer of any kind by the optional package `@huggingface/tokenizers`. Rejects with `MISSING_PEER` without it, and with
 * `UNSUPPORTED` for a tokenizer that it does not know.
 */
export async function openLibraryTokenizer(files: TokenizerFiles): Promise<Tokenizer> {
  const { Tokenizer: Library } = await importOptional(
    '@huggingface/tokenizers',
    () => import('@huggingface/tokenizers'),
    'npm i @huggingface/tokenizers@0.2',
  )
  const { model, tokenizer, config, paddingId } = files
  try {
    const library = new Library({ ...absentMembers, ...tokenizer }, config)
    const encode = (text: string) => library.encode(text, { add_special_tokens: false }).ids
    const unknown = model.type === 'Unigram' ? model.unk_id : library.token_to_id(String(model.unk_token))
    return createFramedTokenizer({
      append: (text, output, limit) => appendIds(text, { encode, output, limit }),
      ...frameOf((text) => library.encode(text).ids, encode),
      pair: pairFrameOf(
        (text, other) => library.encode(text, { text_pair: other, return_token_type_ids: true }),
        encode,
      ),
      paddingId,
      unknownId: typeof unknown === 'number' ? unknown : undefined,
      // Ids without a token are in there as one token `undefined`.
      entries: () => [...library.get_vocab()].filter(([token]) => token !== undefined),
    })
  } catch (cause) {
    throw new RagError('UNSUPPORTED', `"${files.path}" is a tokenizer that cannot be used, or is damaged.`, {
      cause,
      data: { file: files.path, model: model.type },
      hint: 'Choose another model, or see whether a newer @huggingface/tokenizers knows its tokenizer.',
    })
  }
}

type Encode = (text: string) => readonly number[]

/** The package wants all of these to be there. */
const absentMembers = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null, added_tokens: [] }

/** What the package puts before and behind a text, told by a text with and without it. */
function frameOf(encodeFramed: Encode, encode: Encode): { before: readonly number[]; after: readonly number[] } {
  const text = 'a'
  const framed = encodeFramed(text)
  const ids = encode(text)
  const place = placeOf(ids, framed, 0)
  if (place < 0) throw new Error('The special tokens of the tokenizer cannot be told.')
  return { before: framed.slice(0, place), after: framed.slice(place + ids.length) }
}

interface EncodedPair {
  readonly ids: readonly number[]
  readonly token_type_ids: readonly number[]
}

/** What the package puts around two texts, told by two texts with and without it; `undefined` when that is unclear. */
function pairFrameOf(encodePair: (text: string, other: string) => EncodedPair, encode: Encode): PairFrame | undefined {
  const texts = ['a', 'b'] as const
  const { ids, token_type_ids: types } = encodePair(...texts)
  const [first, second] = texts.map(encode) as [readonly number[], readonly number[]]
  const firstAt = placeOf(first, ids, 0)
  const secondAt = placeOf(second, ids, firstAt + first.length)
  const secondType = types[secondAt]
  const areTypesKnown = types.every((type, place) => type === (place < secondAt ? 0 : secondType))
  if (firstAt < 0 || secondAt < 0 || !areTypesKnown || (secondType !== 0 && secondType !== 1)) return undefined
  return {
    before: ids.slice(0, firstAt),
    between: ids.slice(firstAt + first.length, secondAt),
    after: ids.slice(secondAt + second.length),
    secondType,
  }
}

/** Where a run of ids begins, from a place on; -1 when it does not occur, or is none. */
function placeOf(run: readonly number[], ids: readonly number[], from: number): number {
  if (run.length === 0) return -1
  return ids.findIndex((_, start) => start >= from && run.every((id, i) => ids[start + i] === id))
}

/** Characters that are read for each token that is wanted: at first more than most texts take, at most what only filling can take. */
const charactersPerToken = { first: 16, most: 256 }
/** Tokens at the end of a stretch that the characters behind it might change. */
const uncertainTokens = 64

/**
 * Appends the first ids of a text. The package encodes all of a text, some 100 kB in a second, so it is given a beginning that is
 * long enough: the tokens of words depend on characters near them only.
 */
function appendIds(
  text: string,
  { encode, output, limit }: { readonly encode: Encode; readonly output: TokenBuffer; readonly limit: number },
): void {
  const wanted = limit + uncertainTokens
  let ids: readonly number[] = []
  for (let perToken = charactersPerToken.first; perToken <= charactersPerToken.most; perToken *= 2) {
    const length = wanted * perToken
    const isWhole = length >= text.length
    ids = encodeAny(isWhole ? text : text.slice(0, endOfWord(text, length)), encode)
    if (isWhole || ids.length >= wanted) break
  }
  for (let i = 0; i < ids.length && i < limit; i++) output.push(ids[i] as number)
}

/** A place before which a word ends, at or not far before `place`; `place` itself in a text without white space. */
function endOfWord(text: string, place: number): number {
  for (let end = place; end > place / 2; end--) if (isWhiteSpace(text.charCodeAt(end))) return end
  return place
}

/** The package passes the tokens of a word as arguments: a word of 100 kB is too many of them, so it is cut. */
function encodeAny(text: string, encode: Encode): readonly number[] {
  try {
    return encode(text)
  } catch (error) {
    if (!(error instanceof RangeError) || text.length < 2) throw error
    const middle = endOfWord(text, Math.floor(text.length / 2))
    return [...encodeAny(text.slice(0, middle), encode), ...encodeAny(text.slice(middle), encode)]
  }
}
