import type { AddedToken } from '../text/added-tokens.js'
import type { BertNormalization } from '../text/bert-characters.js'
import type { WordPieceOptions } from '../text/wordpiece.js'
import type { PairFrame } from './framed-tokenizer.js'
import { asObject, isObject, type Json } from './json-file.js'
import { type AddedTokenEntry, damagedTokenizer, isTokenId, type TokenizerFiles } from './tokenizer-files.js'

/** A tokenizer that is BERT's WordPiece. */
export interface WordPieceFile {
  readonly options: WordPieceOptions
  /** Special tokens before and behind each text. */
  readonly before: readonly number[]
  readonly after: readonly number[]
  /** Around two texts; absent when they are put there in a way we do not know. */
  readonly pair: PairFrame | undefined
}

/** Longer ones would make each tokenizer large; models say 100. */
const maxWordLength = 10_000

/**
 * Reads a tokenizer file as BERT's WordPiece. `undefined` when it is another tokenizer, or has anything that our own implementation
 * does not do exactly as the libraries. Throws `INTEGRITY` for a vocabulary that is damaged.
 */
export function readWordPiece(files: TokenizerFiles): WordPieceFile | undefined {
  const { path, tokenizer, model, config } = files
  const { vocab, unk_token: unknown, continuing_subword_prefix: prefix, max_input_chars_per_word: length = 100 } = model
  if (model.type !== 'WordPiece' || model.fuse_unk || !isObject(vocab)) return undefined
  if (asObject(tokenizer.pre_tokenizer).type !== 'BertPreTokenizer') return undefined
  // Old configurations ask the libraries for more than tokenizer.json says.
  if (config.remove_space || config.do_lowercase_and_remove_accent) return undefined
  if (typeof prefix !== 'string' || !isLength(length)) return undefined
  const normalization = readNormalization(asObject(tokenizer.normalizer))
  const addedTokens = normalization && readAddedTokens(files.addedTokens, normalization)
  if (normalization === undefined || addedTokens === undefined) return undefined
  const idOf = (token: unknown): number | undefined => {
    if (typeof token !== 'string') return undefined
    const id = addedTokens.find(({ content }) => content === token)?.id ?? (Object.hasOwn(vocab, token) && vocab[token])
    return isTokenId(id) ? id : undefined
  }
  const frame = readFrame(tokenizer.post_processor, idOf)
  const unknownId = idOf(unknown)
  if (unknownId === undefined) throw damagedTokenizer(path, 'its token for unknown words is not in its vocabulary')
  if (frame === undefined) return undefined
  return {
    options: {
      vocabulary: readVocabulary(vocab, path),
      unknownId,
      continuingPrefix: prefix,
      maxWordLength: length,
      normalization,
      addedTokens,
    },
    ...frame,
  }
}

function isLength(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= maxWordLength
}

/** The libraries treat what is absent as false, save for `strip_accents`: absent or null means "as `lowercase`". */
function readNormalization(normalizer: Json): BertNormalization | undefined {
  if (normalizer.type !== 'BertNormalizer') return undefined
  const lowercase = Boolean(normalizer.lowercase)
  return {
    cleanText: Boolean(normalizer.clean_text),
    splitIdeographs: Boolean(normalizer.handle_chinese_chars),
    stripAccents: lowercase ? normalizer.strip_accents !== false : Boolean(normalizer.strip_accents),
    lowercase,
  }
}

function readAddedTokens(
  entries: readonly AddedTokenEntry[],
  normalization: BertNormalization,
): readonly AddedToken[] | undefined {
  const { lowercase, stripAccents } = normalization
  const tokens = entries.map((entry): AddedToken => {
    const isNormalized = Boolean(entry.normalized ?? !entry.special)
    const { content, id } = entry
    // Nothing else happens to printable ASCII.
    if (isNormalized) return { content, id, normalized: lowercase ? content.toLowerCase() : content }
    return { content, id, takesSpaceBefore: Boolean(entry.lstrip), takesSpaceAfter: Boolean(entry.rstrip) }
  })
  const isPlain = entries.every(({ content, single_word: isWord }) => /^[\x21-\x7e]+$/.test(content) && !isWord)
  const forms = tokens.flatMap(({ content, normalized = content }) => [...new Set([content, normalized])])
  const areDistinct = new Set(forms).size === forms.length
  const hasNormalized = tokens.some(({ normalized }) => normalized !== undefined)
  const takesSpace = entries.some(
    (entry, i) => tokens[i]?.normalized !== undefined && (Boolean(entry.lstrip) || Boolean(entry.rstrip)),
  )
  // A dotted capital I without its dot stripped begins with a plain i: a token could end within a character.
  const cutsCharacters = hasNormalized && lowercase && !stripAccents
  return isPlain && areDistinct && !takesSpace && !cutsCharacters ? tokens : undefined
}

type Frame = Pick<WordPieceFile, 'before' | 'after' | 'pair'>
type IdOf = (token: unknown) => number | undefined

/** The special tokens around one text; `undefined` when they are put there in a way we do not know. */
function readFrame(processor: unknown, idOf: IdOf): Frame | undefined {
  if (processor === null || processor === undefined) return { before: [], after: [], pair: undefined }
  const { type, single, pair, cls, sep } = asObject(processor)
  if (type === 'TemplateProcessing' && Array.isArray(single)) return readTemplate(single, pair, idOf)
  if ((type !== 'BertProcessing' && type !== 'RobertaProcessing') || !Array.isArray(cls) || !Array.isArray(sep))
    return undefined
  const [before, after] = [idOf(cls[0]), idOf(sep[0])]
  if (before === undefined || after === undefined) return undefined
  const between = type === 'BertProcessing' ? [after] : [after, after]
  const secondType = type === 'BertProcessing' ? 1 : 0
  return { before: [before], after: [after], pair: { before: [before], between, after: [after], secondType } }
}

function readTemplate(single: readonly unknown[], pair: unknown, idOf: IdOf): Frame | undefined {
  const parts = single.map(asObject)
  const place = parts.findIndex((part) => asObject(part.Sequence).id === 'A')
  const before = specialIds(parts.slice(0, place), idOf)
  const after = specialIds(parts.slice(place + 1), idOf)
  if (place < 0 || !before.every(isTokenId) || !after.every(isTokenId)) return undefined
  return { before, after, pair: Array.isArray(pair) ? readPairTemplate(pair.map(asObject), idOf) : undefined }
}

function readPairTemplate(parts: readonly Json[], idOf: IdOf): PairFrame | undefined {
  const placeOf = (id: string) => parts.findIndex((part) => asObject(part.Sequence).id === id)
  const [first, second] = [placeOf('A'), placeOf('B')]
  if (first < 0 || second < first) return undefined
  const before = specialIds(parts.slice(0, first), idOf)
  const between = specialIds(parts.slice(first + 1, second), idOf)
  const after = specialIds(parts.slice(second + 1), idOf)
  const types = parts.map(({ Sequence, SpecialToken }) => asObject(Sequence ?? SpecialToken).type_id)
  const secondType = types[second]
  const areTypesKnown = types.every((type, place) => type === (place < second ? 0 : secondType))
  if (!areTypesKnown || (secondType !== 0 && secondType !== 1)) return undefined
  if (!before.every(isTokenId) || !between.every(isTokenId) || !after.every(isTokenId)) return undefined
  return { before, between, after, secondType }
}

function specialIds(tokens: readonly Json[], idOf: IdOf): (number | undefined)[] {
  return tokens.map((token) => idOf(asObject(token.SpecialToken).id))
}

function readVocabulary(vocabulary: Json, path: string): WordPieceOptions['vocabulary'] {
  const tokens = Object.keys(vocabulary)
  const ids: number[] = []
  for (const token of tokens) {
    const id = vocabulary[token]
    if (!isTokenId(id)) throw damagedTokenizer(path, 'its vocabulary holds an id that is none')
    ids.push(id)
  }
  if (!tokens.join(' ').isWellFormed()) throw damagedTokenizer(path, 'its vocabulary holds half a character')
  return { tokens, ids }
}
