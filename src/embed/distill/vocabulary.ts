import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { RagError } from '../../core/errors.js'
import { asObject, isObject, type Json } from '../../models/json-file.js'
import { openTokenizer } from '../../models/tokenizer.js'
import { readTokenizerFiles } from '../../models/tokenizer-files.js'
import type { Tokenizer } from '../../models/types.js'

/** A word that may get a token of its own. */
export interface Word {
  /** As somebody wrote it. */
  readonly text: string
  /** How often it was seen; infinite for words that somebody asks for. */
  readonly count: number
}

export interface VocabularyOptions {
  /** Folder of the `tokenizer.json` to start from. Absent: the words alone make the vocabulary. */
  readonly base: string | undefined
  readonly words: readonly Word[]
  /** Words that were only counted need as many occurrences to get a token; so many get one at most. */
  readonly minCount: number
  readonly maxCounted: number
  /** Where the new `tokenizer.json` is written. */
  readonly folder: string
}

/** The tokens of a static model. */
export interface Vocabulary {
  /** What the teacher is asked for each token, by id; `undefined` for tokens that stand for nothing: their rows are zero. */
  readonly texts: readonly (string | undefined)[]
  /** Words that got a token of their own. */
  readonly added: number
  /** Words that were asked for and cannot be one token: several words in one, or nothing the tokenizer would keep. */
  readonly skipped: readonly string[]
  readonly tokenizer: Tokenizer
}

const unknown = '[UNK]'
const special = ['[PAD]', unknown]
/** Places that BERT's vocabulary keeps free. */
const unusedToken = /^\[unused\d+\]$/

/**
 * Makes the vocabulary of a static model and writes its `tokenizer.json`: the tokens of the base, but for special and unused ones,
 * and then words that it would cut into pieces. A word is normalised as it will be in texts, and tried out: what is returned can be
 * met. Rejects with `UNSUPPORTED` for a base that is not WordPiece: words cannot be added to others.
 */
export async function makeVocabulary(options: VocabularyOptions): Promise<Vocabulary> {
  const { folder, words } = options
  const base = options.base === undefined ? plainBase : await readBase(options.base)
  const own = [...special, ...base.tokens]
  const wanted = choose(await formsOf(words, base, await write(folder, base, own)), options)
  const tried = await write(folder, base, [...own, ...wanted.map(({ form }) => form)])
  const singles = await singleTokens(
    tried,
    wanted.map(({ text }) => text),
  )
  const reached = wanted.filter((_, place) => singles[place] === own.length + place)
  const tokens = [...own, ...reached.map(({ form }) => form)]
  const tokenizer = reached.length === wanted.length ? tried : await write(folder, base, tokens)
  const askedFor = words.filter(({ count }) => count === Number.POSITIVE_INFINITY).map(({ text }) => text)
  const asked = await singleTokens(tokenizer, askedFor)
  return {
    texts: [
      ...special.map(() => undefined),
      ...base.tokens.map((token) => textOf(token, base.prefix)),
      ...reached.map(({ text }) => text),
    ],
    added: reached.length,
    skipped: askedFor.filter((_, place) => asked[place] === undefined),
    tokenizer,
  }
}

/** How texts are cut before they become tokens, and the tokens that are kept. */
interface Base {
  readonly tokens: readonly string[]
  /** Members of `tokenizer.json`. */
  readonly normalizer: unknown
  readonly preTokenizer: unknown
  readonly decoder: unknown
  readonly model: Json
  readonly prefix: string
}

/** As uncased BERT cuts. */
const plainBase: Base = {
  tokens: [],
  normalizer: {
    type: 'BertNormalizer',
    clean_text: true,
    handle_chinese_chars: true,
    strip_accents: null,
    lowercase: true,
  },
  preTokenizer: { type: 'BertPreTokenizer' },
  decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
  model: { type: 'WordPiece', continuing_subword_prefix: '##', max_input_chars_per_word: 100 },
  prefix: '##',
}

async function readBase(directory: string): Promise<Base> {
  const { path, tokenizer, model, addedTokens } = await readTokenizerFiles(directory)
  const { vocab, continuing_subword_prefix: prefix, unk_token: baseUnknown } = model
  if (model.type !== 'WordPiece' || !isObject(vocab) || typeof prefix !== 'string' || prefix === '') {
    throw new RagError('UNSUPPORTED', `"${path}" is no WordPiece tokenizer: its vocabulary cannot be distilled.`, {
      data: { file: path, model: model.type },
      hint: 'The teacher is asked in words: give the tokenizer of another model (bert-base-uncased for English), or words alone.',
    })
  }
  const dropped = new Set<unknown>(['', prefix, baseUnknown, ...special, ...addedTokens.map(({ content }) => content)])
  const tokens = Object.keys(vocab)
    .filter((token) => !dropped.has(token) && !unusedToken.test(token))
    .sort((a, b) => Number(vocab[a]) - Number(vocab[b]))
  const { normalizer = null, pre_tokenizer: preTokenizer = null, decoder = null } = tokenizer
  return { tokens, normalizer, preTokenizer, decoder, model, prefix }
}

/** Writes `tokenizer.json`, and opens it. The first tokens are the special ones. */
async function write(folder: string, base: Base, tokens: readonly string[]): Promise<Tokenizer> {
  const { normalizer, preTokenizer, decoder, model } = base
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true }
  const file = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: special.map((content, id) => ({ id, content, ...flags })),
    normalizer,
    pre_tokenizer: preTokenizer,
    post_processor: null,
    decoder,
    model: { ...model, unk_token: unknown, vocab: Object.fromEntries(tokens.map((token, id) => [token, id])) },
  }
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(file), { flush: true })
  return openTokenizer(folder)
}

/** A word as its token will be, how somebody wrote it, and how often it was seen in any spelling. */
interface Form {
  readonly form: string
  readonly text: string
  readonly count: number
}

/** Words that are not one token already, by what they become; the first spelling stands for all. */
async function formsOf(words: readonly Word[], base: Base, tokenizer: Tokenizer): Promise<Form[]> {
  const vocabulary = tokenizer.vocabulary()
  const forms = new Map<string, Form>()
  const texts = words.map(({ text }) => text)
  await encodeEach(tokenizer, texts, (place, ids) => {
    const { text, count } = words[place] as Word
    const tokens = Array.from(ids, (id) => vocabulary[id] as string)
    const form = tokens.length === 1 && tokens[0] !== unknown ? undefined : joined(tokens, base, text)
    if (form === undefined) return
    const seen = forms.get(form)
    forms.set(form, { form, text: seen?.text ?? text, count: count + (seen?.count ?? 0) })
  })
  return [...forms.values()]
}

/** The word that was cut into these tokens; `undefined` when it was more than one, or none. */
function joined(tokens: readonly string[], { prefix, normalizer }: Base, text: string): string | undefined {
  const [first, ...rest] = tokens
  if (first === undefined) return undefined
  if (tokens.includes(unknown)) return rest.length > 0 ? undefined : normalised(text, asObject(normalizer))
  if (!rest.every((token) => token.startsWith(prefix))) return undefined
  return first + rest.map((token) => token.slice(prefix.length)).join('')
}

/** What the tokenizer makes of a word it cannot spell, nearly: whether it is right will be tried. */
function normalised(text: string, { lowercase, strip_accents: stripAccents }: Json): string {
  const trimmed = text.trim()
  const cased = lowercase ? trimmed.toLowerCase() : trimmed
  return (stripAccents ?? lowercase) ? cased.normalize('NFD').replace(/\p{Mn}/gu, '') : cased
}

/** Those that somebody asked for, in their order; then the most frequent of the others. */
function choose(forms: readonly Form[], { minCount, maxCounted }: VocabularyOptions): readonly Form[] {
  const asked = forms.filter(({ count }) => count === Number.POSITIVE_INFINITY)
  const counted = forms
    .filter(({ count }) => count < Number.POSITIVE_INFINITY && count >= minCount)
    .sort((a, b) => b.count - a.count)
  return [...asked, ...counted.slice(0, maxCounted)]
}

/** A piece that continues a word is taught by its letters: the teacher is asked in text, not in tokens. */
function textOf(token: string, prefix: string): string {
  return token.startsWith(prefix) ? token.slice(prefix.length) : token
}

/** The token that each text is; `undefined` where it is several, none, or not known. */
async function singleTokens(tokenizer: Tokenizer, texts: readonly string[]): Promise<(number | undefined)[]> {
  const singles: (number | undefined)[] = []
  await encodeEach(tokenizer, texts, (place, ids) => {
    singles[place] = ids.length === 1 && ids[0] !== tokenizer.unknownId ? ids[0] : undefined
  })
  return singles
}

/** Texts between two turns of the event loop: a few milliseconds of words. */
const textsPerTurn = 4_096

/** Gives `visit` the ids of each text by itself. */
export async function encodeEach(
  tokenizer: Tokenizer,
  texts: readonly string[],
  visit: (place: number, ids: Int32Array) => void,
): Promise<void> {
  for (let start = 0; start < texts.length; start += textsPerTurn) {
    const part = texts.slice(start, start + textsPerTurn)
    const { ids, offsets } = tokenizer.encode(part, { maxTokens: Number.POSITIVE_INFINITY, special: false })
    for (let i = 0; i < part.length; i++) visit(start + i, ids.subarray(offsets[i], offsets[i + 1]))
    await new Promise(setImmediate)
  }
}
