import type { Pooling } from './types.js'

/** What the model's card says of it, so that its files need not. */
export type KnownModel = KnownEmbeddingModel | KnownStaticModel | KnownReranker

interface KnownModelFacts {
  /** Hub id. */
  readonly id: string
  /** Other hub ids of the same weights: former names, and mirrors that hold ONNX files the original has not. */
  readonly mirrors: readonly string[]
  /** SPDX id of the licence its card names; absent where the card names none. */
  readonly licence?: string
}

/** A transformer that embeds texts. */
export interface KnownEmbeddingModel extends KnownModelFacts {
  readonly kind: 'embedding'
  readonly pooling: Pooling
  readonly prefixes: { readonly query: string; readonly passage: string }
  readonly dimensions: number
  /** Tokens it was trained for, special ones included. */
  readonly maxTokens: number
}

/** A table of token vectors. */
export interface KnownStaticModel extends KnownModelFacts {
  readonly kind: 'static'
  readonly dimensions: number
}

/** A transformer that scores a question and a passage together. */
export interface KnownReranker extends KnownModelFacts {
  readonly kind: 'reranker'
  readonly maxTokens: number
}

const noPrefixes = { query: '', passage: '' }

/** Known models, in no order. Values are those of the models' own cards and configuration files. */
export const knownModels: readonly KnownModel[] = [
  {
    kind: 'embedding',
    id: 'sentence-transformers/all-MiniLM-L6-v2',
    mirrors: ['Xenova/all-MiniLM-L6-v2'],
    pooling: 'mean',
    prefixes: noPrefixes,
    dimensions: 384,
    maxTokens: 256,
    licence: 'Apache-2.0',
  },
  {
    kind: 'embedding',
    id: 'sentence-transformers/multi-qa-MiniLM-L6-cos-v1',
    mirrors: ['Xenova/multi-qa-MiniLM-L6-cos-v1'],
    pooling: 'mean',
    prefixes: noPrefixes,
    dimensions: 384,
    maxTokens: 512,
  },
  {
    kind: 'embedding',
    id: 'sentence-transformers/all-mpnet-base-v2',
    mirrors: ['Xenova/all-mpnet-base-v2'],
    pooling: 'mean',
    prefixes: noPrefixes,
    dimensions: 768,
    maxTokens: 384,
    licence: 'Apache-2.0',
  },
  {
    kind: 'embedding',
    id: 'sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2',
    mirrors: ['Xenova/paraphrase-multilingual-MiniLM-L12-v2'],
    pooling: 'mean',
    prefixes: noPrefixes,
    dimensions: 384,
    maxTokens: 128,
    licence: 'Apache-2.0',
  },
  {
    kind: 'embedding',
    id: 'thenlper/gte-small',
    mirrors: ['Xenova/gte-small'],
    pooling: 'mean',
    prefixes: noPrefixes,
    dimensions: 384,
    maxTokens: 512,
    licence: 'MIT',
  },
  {
    kind: 'embedding',
    id: 'BAAI/bge-small-en-v1.5',
    mirrors: ['Xenova/bge-small-en-v1.5'],
    pooling: 'cls',
    prefixes: { query: 'Represent this sentence for searching relevant passages: ', passage: '' },
    dimensions: 384,
    maxTokens: 512,
    licence: 'MIT',
  },
  {
    kind: 'embedding',
    id: 'intfloat/e5-small-v2',
    mirrors: ['Xenova/e5-small-v2'],
    pooling: 'mean',
    prefixes: { query: 'query: ', passage: 'passage: ' },
    dimensions: 384,
    maxTokens: 512,
    licence: 'MIT',
  },
  { kind: 'static', id: 'minishlab/potion-retrieval-32M', mirrors: [], dimensions: 512, licence: 'MIT' },
  { kind: 'static', id: 'minishlab/potion-base-8M', mirrors: [], dimensions: 256, licence: 'MIT' },
  {
    kind: 'reranker',
    id: 'cross-encoder/ms-marco-MiniLM-L6-v2',
    mirrors: ['cross-encoder/ms-marco-MiniLM-L-6-v2', 'Xenova/ms-marco-MiniLM-L-6-v2'],
    maxTokens: 512,
    licence: 'Apache-2.0',
  },
  {
    kind: 'reranker',
    id: 'cross-encoder/ms-marco-TinyBERT-L2-v2',
    mirrors: ['cross-encoder/ms-marco-TinyBERT-L-2-v2', 'Xenova/ms-marco-TinyBERT-L-2-v2'],
    maxTokens: 512,
    licence: 'Apache-2.0',
  },
]

/**
 * The known model of that name: its hub id, the id of a mirror, or either without the owner (`all-MiniLM-L6-v2`). Letter case is
 * free, as it is on the hub.
 */
export function findKnownModel(name: string): KnownModel | undefined {
  const wanted = name.toLowerCase()
  return knownModels.find(({ id, mirrors }) =>
    [id, ...mirrors].some((one) => one.toLowerCase() === wanted || nameOf(one).toLowerCase() === wanted),
  )
}

/**
 * Hub ids under which a model may be found, the one that was asked for first. Its mirrors follow only when the original was asked
 * for: who names a mirror wants that one.
 */
export function repositoriesOf(name: string): readonly string[] {
  const known = findKnownModel(name)
  if (known === undefined) return [name]
  const mirror = known.mirrors.find((one) => one.toLowerCase() === name.toLowerCase())
  return mirror === undefined ? [known.id, ...known.mirrors] : [mirror]
}

/** `all-MiniLM-L6-v2` of `sentence-transformers/all-MiniLM-L6-v2`. */
export function nameOf(id: string): string {
  return id.slice(id.indexOf('/') + 1)
}
