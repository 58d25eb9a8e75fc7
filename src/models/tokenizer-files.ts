import { join } from 'node:path'
import { RagError } from '../core/errors.js'
import { asObject, isObject, type Json, readJson } from './json-file.js'

/** What the files of a tokenizer say. */
export interface TokenizerFiles {
  /** Absolute path of `tokenizer.json`, for messages. */
  readonly path: string
  readonly tokenizer: Json
  readonly model: Json
  readonly addedTokens: readonly AddedTokenEntry[]
  /** `tokenizer_config.json`; empty when there is none. */
  readonly config: Json
  readonly paddingId: number
}

/** An entry of `added_tokens`. */
export type AddedTokenEntry = Json & { readonly content: string; readonly id: number }

/** More than any vocabulary has: an id beyond it is not one. */
const maxId = 0xff_ffff

/**
 * Reads `tokenizer.json`, `tokenizer_config.json` and `special_tokens_map.json`. Rejects with `NOT_FOUND` when the first is missing,
 * with `INTEGRITY` when one is damaged.
 */
export async function readTokenizerFiles(directory: string): Promise<TokenizerFiles> {
  const path = join(directory, 'tokenizer.json')
  const read = (name: string) => readJson(join(directory, name))
  const [tokenizer, config, special] = await Promise.all(
    ['tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json'].map(read),
  )
  if (tokenizer === undefined) {
    throw new RagError('NOT_FOUND', `There is no tokenizer at "${path}".`, {
      data: { file: path },
      hint: 'Give the folder of a model with its tokenizer.json, or fetch the model again ("ufrag pull MODEL").',
    })
  }
  if (!isObject(tokenizer) || !isObject(tokenizer.model)) throw damagedTokenizer(path, 'it describes no tokenizer')
  const { model, added_tokens: addedTokens = [], padding } = tokenizer
  if (!Array.isArray(addedTokens) || !addedTokens.every(isAddedToken)) {
    throw damagedTokenizer(path, 'its added tokens have no text or id')
  }
  const contents = [asObject(config), asObject(special)].map(({ pad_token: token }) => asObject(token).content ?? token)
  const paddingTokens = [...contents, '[PAD]', '<pad>']
  const idOf = (token: unknown) =>
    addedTokens.find(({ content }) => content === token)?.id ?? idInVocabulary(model, token)
  const paddingIds = [...paddingTokens.map(idOf), asObject(padding).pad_id, 0]
  return {
    path,
    tokenizer,
    model,
    addedTokens,
    config: asObject(config),
    paddingId: paddingIds.find(isTokenId) as number,
  }
}

export function isTokenId(id: unknown): id is number {
  return Number.isInteger(id) && (id as number) >= 0 && (id as number) <= maxId
}

export function damagedTokenizer(path: string, why: string, cause?: unknown): RagError {
  return new RagError('INTEGRITY', `The model file "${path}" cannot be used: ${why}.`, {
    cause,
    data: { file: path },
    hint: 'Delete the file and fetch the model again ("ufrag pull MODEL").',
  })
}

function isAddedToken(token: unknown): token is AddedTokenEntry {
  return isObject(token) && typeof token.content === 'string' && isTokenId(token.id)
}

/** Vocabularies are objects of ids, or lists whose places are the ids. */
function idInVocabulary({ vocab }: Json, token: unknown): unknown {
  if (typeof token !== 'string') return undefined
  if (!Array.isArray(vocab)) return Object.hasOwn(asObject(vocab), token) ? asObject(vocab)[token] : undefined
  const place = vocab.findIndex((entry) => Array.isArray(entry) && entry[0] === token)
  return place < 0 ? undefined : place
}
