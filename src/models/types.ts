/** Precision of a model's weights. */
export type Quantization = 'fp32' | 'fp16' | 'int8' | 'int4'

/** How the vectors of tokens become the vector of a text. `'none'`: the model's graph does it. */
export type Pooling = 'mean' | 'cls' | 'last-token' | 'none'

/** A model on this machine, and all that must be known to embed texts with it. Plain data: it crosses threads. */
export interface EmbeddingModel {
  /** Hub id, or the name of the folder. */
  readonly name: string
  /** Absolute folder of `config.json` and `tokenizer.json`. */
  readonly directory: string
  /** Absolute path of the weights. */
  readonly weights: string
  /** Absolute paths of all files that the weights consist of, `weights` first. */
  readonly weightsFiles: readonly string[]
  /** Precision of the file at `weights`, which may be another than was asked for. */
  readonly quantization: Quantization
  /** Hash over weights, tokenizer and settings: two folders with the same content have the same. */
  readonly contentHash: string
  readonly pooling: Pooling
  /** Put before every question and before every passage. May be empty. */
  readonly prefixes: { readonly query: string; readonly passage: string }
  /** Values per vector of the whole model. */
  readonly dimensions: number
  /** Tokens of a text that the model sees, the special ones included; the rest is cut off. */
  readonly maxTokens: number
}

/** A model on this machine that scores pairs of texts, and all that must be known to use it. Plain data: it crosses threads. */
export interface RerankingModel
  extends Pick<
    EmbeddingModel,
    'name' | 'directory' | 'weights' | 'weightsFiles' | 'quantization' | 'contentHash' | 'maxTokens'
  > {}

/** A model on this machine that writes text, and all that must be known to use it. Plain data: it crosses threads. */
export interface TextModel
  extends Pick<EmbeddingModel, 'name' | 'directory' | 'weights' | 'quantization' | 'contentHash'> {
  /** Tokens of prompt and answer together; `Infinity` where the model does not say. */
  readonly contextTokens: number
}

/** Texts as token ids: those of text `i` are `ids[offsets[i]]` to `ids[offsets[i + 1] - 1]`. Both arrays have buffers of their own. */
export interface TokenizedTexts {
  readonly ids: Int32Array<ArrayBuffer>
  /** One more than there are texts; the first is 0. */
  readonly offsets: Int32Array<ArrayBuffer>
}

/** Pairs of texts as token ids. */
export interface TokenizedPairs extends TokenizedTexts {
  /** For each row, the place in it from which its tokens have type 1; the length of the row where the model has no types. */
  readonly seconds: Int32Array<ArrayBuffer>
}

/** Turns texts into the token ids of one model. Pure and synchronous; one per thread. */
export interface Tokenizer {
  /**
   * Encodes texts. Accepts any string: unpaired surrogates, control characters, no characters at all. What the model calls special
   * tokens are found in texts, too: `[SEP]` in a document is the separator. Throws `BAD_OPTION` when `maxTokens` has no room for the
   * special tokens.
   */
  encode(texts: readonly string[], options: EncodeOptions): TokenizedTexts
  /**
   * Encodes a text together with each of others, as a row each. So that a row has `maxTokens` at most, the second text is cut; the first
   * one only where it takes more than half of the room. An empty second text is none, as for `@huggingface/transformers`.
   * Throws `BAD_OPTION` when there is no room for the special tokens, `UNSUPPORTED` when the tokenizer does not say what stands
   * between two texts.
   */
  encodePairs(first: string, seconds: readonly string[], options: { readonly maxTokens: number }): TokenizedPairs
  /** The id that fills rows of a batch; masked out. */
  readonly paddingId: number
  /** The id of what the vocabulary cannot spell; absent where it can spell everything. */
  readonly unknownId?: number
  /** The token of each id, special ones included; empty where an id has none. Made anew by each call. */
  vocabulary(): string[]
}

/** Options of {@link Tokenizer.encode}. */
export interface EncodeOptions {
  /**
   * Tokens of a text at most, the special ones included; the rest is cut off, the closing special token stays. `Infinity`: all.
   */
  readonly maxTokens: number
  /** Put before each text. Default none. */
  readonly prefix?: string
  /** Whether the model's special tokens are put around each text. Default true; static models and vocabularies do without. */
  readonly special?: boolean
}
