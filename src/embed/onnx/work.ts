import { RagError } from '../../core/errors.js'
import type { TokenizedTexts } from '../../models/types.js'
import type { Call } from './call.js'
import type { Lane } from './lane.js'

/** One text of a call on its way through the lanes. */
export class Text {
  /** Token ids it shares with the texts it was tokenized with; absent before that. */
  slice: TokenSlice | undefined
  /** Place of its first id. */
  start = 0
  /** In tokens. */
  length = 0

  constructor(
    readonly call: Call,
    readonly index: number,
  ) {}

  get content(): string {
    return this.call.texts[this.index] as string
  }
}

/** What a tokenizer gave, and how many texts of it have no result yet. */
export interface TokenSlice {
  readonly ids: Int32Array
  texts: number
}

/** What a lane does in one call: texts to tokens, tokens to vectors in one pass, or both for one text. */
export interface Work {
  readonly phase: 'tokenize' | 'run' | 'embed'
  /** Of one kind, at least one. */
  readonly texts: readonly Text[]
  /** The lower, the longer they have waited. */
  readonly age: number
  /** Lanes that died of it: not of what they were given before. */
  readonly crashes: number
}

/** What a lane answered. */
export type Done =
  | { readonly phase: 'tokenize'; readonly tokenized: TokenizedTexts }
  | {
      readonly phase: 'run' | 'embed'
      readonly vectors: Float32Array
      readonly unusable: readonly number[]
      readonly tokens: number
    }

/** Has a lane do the work. Rejects with what the lane rejects with, or `INTEGRITY` when its answer has not the shape of one. */
export async function perform(
  work: Work,
  lane: Lane,
  { dimensions, signal }: { readonly dimensions: number; readonly signal: AbortSignal },
): Promise<Done> {
  const { phase, texts } = work
  if (phase === 'run') {
    const tokens = texts.reduce((sum, { length }) => sum + length, 0)
    const { vectors, unusable } = await lane.run(toBatch(texts, tokens), signal)
    return { phase, vectors: checkedVectors(vectors, texts.length, dimensions), unusable, tokens }
  }
  const contents = texts.map(({ content }) => content)
  const options = { kind: (texts[0] as Text).call.kind, signal }
  if (phase === 'tokenize')
    return { phase, tokenized: checkedTokens(await lane.tokenize(contents, options), texts.length) }
  const { vectors, unusable, tokens } = await lane.embed(contents, options)
  return { phase, vectors: checkedVectors(vectors, texts.length, dimensions), unusable, tokens }
}

/** Rows times the longest row. */
export function paddedTokens(texts: readonly Text[]): number {
  return texts.length * Math.max(...texts.map(({ length }) => length))
}

/** The longer and the shorter half; or each text by itself when they are to be told apart. */
export function split(work: Work, parts: 'halves' | 'single'): Work[] {
  const size = parts === 'single' ? 1 : Math.ceil(work.texts.length / 2)
  const works: Work[] = []
  for (let start = 0; start < work.texts.length; start += size) {
    works.push({ ...work, texts: work.texts.slice(start, start + size) })
  }
  return works
}

/** The ids are copied: the lane may move them to its thread, and a pass that fails is made again. */
function toBatch(texts: readonly Text[], tokens: number): TokenizedTexts {
  const ids = new Int32Array(tokens)
  const offsets = new Int32Array(texts.length + 1)
  let end = 0
  for (const [row, { slice, start, length }] of texts.entries()) {
    ids.set((slice as TokenSlice).ids.subarray(start, start + length), end)
    end += length
    offsets[row + 1] = end
  }
  return { ids, offsets }
}

function checkedTokens(tokenized: TokenizedTexts, texts: number): TokenizedTexts {
  if (tokenized.offsets.length === texts + 1) return tokenized
  throw new RagError('INTEGRITY', `A tokenizer gave ${tokenized.offsets.length - 1} texts back for ${texts}.`, {
    data: { texts, offsets: tokenized.offsets.length },
  })
}

function checkedVectors(vectors: Float32Array, texts: number, dimensions: number): Float32Array {
  if (vectors.length === texts * dimensions) return vectors
  throw new RagError('INTEGRITY', `The model gave ${vectors.length} values for ${texts} vectors of ${dimensions}.`, {
    data: { texts, dimensions, values: vectors.length },
    hint: 'The weights and the settings beside them (config.json) are not of one model: download it again.',
  })
}
