import { BertTokenizer } from '@huggingface/transformers'
import { readWordPiece } from '../../src/models/wordpiece-file.js'
import { TokenBuffer } from '../../src/text/token-buffer.js'
import { WordPiece } from '../../src/text/wordpiece.js'
import { revealingVocabulary } from './tokenizer-lines.js'

/** The options of `BertNormalizer`, as they stand in `tokenizer.json`. */
export interface BertNormalizer {
  readonly clean_text: boolean
  readonly handle_chinese_chars: boolean
  readonly strip_accents: boolean | null
  readonly lowercase: boolean
}

/** What models are made with. */
export const uncased: BertNormalizer = {
  clean_text: true,
  handle_chinese_chars: true,
  strip_accents: null,
  lowercase: true,
}
export const cased: BertNormalizer = { ...uncased, lowercase: false }

const either = [true, false]

/** Every combination of options. */
export const allNormalizers: readonly BertNormalizer[] = either.flatMap((clean_text) =>
  either.flatMap((handle_chinese_chars) =>
    [null, true, false].flatMap((strip_accents) =>
      either.map((lowercase) => ({ clean_text, handle_chinese_chars, strip_accents, lowercase })),
    ),
  ),
)

export interface TokenizerJsonOptions {
  readonly normalizer: BertNormalizer
  /** Tokens besides the special ones. Default {@link revealingVocabulary}. */
  readonly tokens?: readonly string[]
  /** Added tokens besides the special ones: found in normalized text, taking white space, and so on. Default false. */
  readonly moreAdded?: boolean
}

/** A `tokenizer.json` of BERT's kind. */
export function tokenizerJson({ normalizer, tokens = revealingVocabulary(), moreAdded = false }: TokenizerJsonOptions) {
  const special = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']
  const all = [...special, ...tokens]
  const addedTokens = [
    ...special.map((content, id) => ({ id, content, normalized: false, special: true })),
    ...(moreAdded ? furtherTokens.map((token, i) => ({ id: all.length + i, ...token })) : []),
  ]
  return {
    version: '1.0',
    added_tokens: addedTokens,
    normalizer: { type: 'BertNormalizer', ...normalizer },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: { type: 'BertProcessing', sep: ['[SEP]', 3], cls: ['[CLS]', 2] },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(all.map((token, id) => [token, id])),
    },
  }
}

const furtherTokens = [
  { content: '<unk>', special: true, normalized: true },
  { content: 'Foo', special: false },
  { content: 'fooBarx', normalized: true },
  { content: 'Ab', normalized: true },
  { content: 'The', normalized: false },
  { content: 'sun', normalized: false },
  { content: 'xThey', normalized: true },
  { content: '<mask>', special: true, lstrip: true, normalized: false },
  { content: '<extra>', special: true, rstrip: true, normalized: false },
]

/**
 * Fails at the first line whose ids differ from those of `@huggingface/transformers`. Returns how many ids there were, and how many
 * of them unknown words: where most are, the comparison says little.
 */
export function compareWithTransformers(
  json: ReturnType<typeof tokenizerJson>,
  lines: Iterable<string>,
): { readonly lines: number; readonly ids: number; readonly unknown: number } {
  const theirs = new BertTokenizer(json, {})
  const encode = ourEncoder(json)
  const counts = { lines: 0, ids: 0, unknown: 0 }
  for (const line of lines) {
    const expected = theirs.encode(line, { add_special_tokens: false })
    const actual = encode(line)
    counts.lines++
    counts.ids += expected.length
    counts.unknown += expected.filter((id) => id === 1).length
    if (actual.length === expected.length && actual.every((id, i) => id === expected[i])) continue
    throw new Error(
      `${JSON.stringify(json.normalizer)}\n${escaped(line)}\nexpected ${expected.join(' ')}\nreceived ${actual.join(' ')}`,
    )
  }
  return counts
}

/** Our own implementation, never the library by which other tokenizers are read. */
export function ourEncoder(json: ReturnType<typeof tokenizerJson>): (line: string) => Int32Array {
  const file = readWordPiece({
    path: 'tokenizer.json',
    tokenizer: json,
    model: json.model,
    addedTokens: json.added_tokens,
    config: {},
    paddingId: 0,
  })
  if (file === undefined) throw new Error('This tokenizer would be left to the library.')
  const model = new WordPiece(file.options)
  return (line) => {
    const output = new TokenBuffer()
    model.append(line, output, Number.POSITIVE_INFINITY)
    return output.ids.subarray(0, output.length)
  }
}

function escaped(line: string): string {
  return JSON.stringify(line).replaceAll(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
