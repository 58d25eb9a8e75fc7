import { RagError } from '../core/errors.js'
import type { Embedder } from '../embed/types.js'
import type { ExtractSource } from '../extract/types.js'
import type { Llm, Prompt, PromptSource } from '../llm/types.js'
import type { Reranker, RerankRequest } from '../rerank/types.js'

/** Options of {@link createFakeEmbedder}. */
export interface FakeEmbedderOptions {
  /** Values per vector. Default 64. */
  readonly dimensions?: number
  /** Texts that fail with this error; their rows are zero. Default: none but the empty text, with `EMPTY`. */
  readonly failure?: (text: string) => Error | undefined
}

/**
 * An embedder for tests of what uses one: the vector of a text counts its words by hash, so the same words are near and the same
 * text is equal, on every machine and at once. It knows no meaning.
 */
export function createFakeEmbedder({ dimensions = 64, failure = () => undefined }: FakeEmbedderOptions = {}): Embedder {
  return {
    id: 'fake',
    fingerprint: `fake/1/${dimensions}`,
    dimensions,
    capabilities: { fitted: false, batchSize: 8 },
    async embed(texts, { signal }) {
      signal?.throwIfAborted()
      const vectors = new Float32Array(texts.length * dimensions)
      const failed: { readonly index: number; readonly error: Error }[] = []
      for (const [index, text] of texts.entries()) {
        const counts = countWords(text, dimensions)
        const length = Math.hypot(...counts)
        const error = failure(text) ?? (length === 0 ? new RagError('EMPTY', 'The text has no words.') : undefined)
        if (error !== undefined) failed.push({ index, error })
        else
          vectors.set(
            counts.map((count) => count / length),
            index * dimensions,
          )
      }
      return { vectors, failed, tokens: 0 }
    },
    async close() {},
  }
}

function countWords(text: string, dimensions: number): Float32Array {
  const counts = new Float32Array(dimensions)
  for (const word of text.toLowerCase().match(/\S+/g) ?? []) {
    let hash = 0
    for (const character of word) hash = (Math.imul(hash, 31) + (character.codePointAt(0) as number)) >>> 0
    counts[hash % dimensions] = (counts[hash % dimensions] as number) + 1
  }
  return counts
}

/**
 * A reranker for tests of what uses one: a passage's score is the share of the question's words that it holds. It keeps every request.
 */
export function createFakeReranker(): FakeReranker {
  const requests: RerankRequest[] = []
  return {
    id: 'fake',
    capabilities: { vectors: false },
    requests,
    async rerank(request, { signal }) {
      signal?.throwIfAborted()
      requests.push(request)
      const asked = new Set(wordsOf(request.question))
      const scored = request.candidates.map(({ number, text }) => {
        const held = new Set(wordsOf(text))
        const shared = [...asked].filter((word) => held.has(word)).length
        return { number, score: asked.size === 0 ? 0 : shared / asked.size }
      })
      return scored.sort((a, b) => b.score - a.score)
    },
    async close() {},
  }
}

/** A reranker that keeps what it was asked. */
export interface FakeReranker extends Reranker {
  /** Every request so far, in the order of the calls. */
  readonly requests: readonly RerankRequest[]
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []
}

/** What a {@link createScriptedLlm} is to say, in parts; an `Error` is thrown in its place. */
export type LlmScript = readonly (string | Error)[]

/** A model that keeps what it was asked. */
export interface ScriptedLlm extends Llm {
  /** Every prompt so far, in the order of the calls. */
  readonly prompts: readonly Prompt[]
}

/**
 * A model for tests of what uses one: says what the script says, part by part, a turn of the event loop before each. A list of parts
 * is said to everybody; a function is asked for the parts with each prompt.
 */
export function createScriptedLlm(script: LlmScript | ((prompt: Prompt) => LlmScript)): ScriptedLlm {
  const prompts: Prompt[] = []
  return {
    id: 'scripted',
    prompts,
    async *generate(prompt, { signal }) {
      prompts.push(prompt)
      for (const part of typeof script === 'function' ? script(prompt) : script) {
        await new Promise((resolve) => setImmediate(resolve))
        signal?.throwIfAborted()
        if (typeof part !== 'string') throw part
        yield part
      }
    },
    async close() {},
  }
}

/** A prompt of plain texts, numbered from 1, best first; `text` is simpler than what the library writes, and holds the same. */
export function fakePrompt(question: string, texts: readonly string[]): Prompt {
  const sources = texts.map((text, rank): PromptSource => {
    return { marker: rank + 1, title: '', headings: [], language: 'en', score: 1 / (rank + 1), text }
  })
  const system = 'Answer from the sources and cite them as [n]. If they do not answer, say nothing.'
  const text = [system, ...sources.map((source) => `[${source.marker}] ${source.text}`), question].join('\n\n')
  return { question, system, sources, terms: [], text }
}

/** Options of {@link fakeSource}. */
export interface FakeSourceOptions {
  /** Default `document`. */
  readonly name?: string
  /** What the extractor is told it is. */
  readonly mediaType: string
  /** Bytes of a part of the stream, at most 65,536 (the default). */
  readonly partBytes?: number
  /** Given with the document. Default: none. */
  readonly password?: string
  /** Thrown by the stream after its last part, and by `bytes()`. Default: nothing. */
  readonly failure?: Error
}

/** A document to extract, with a count of what has become of it. */
export interface FakeSource extends ExtractSource {
  /** Streams that were begun, and those of them that were ended, by whom ever. */
  readonly streams: { readonly begun: number; readonly ended: number }
  /** Bytes handed out by streams so far. */
  readonly delivered: number
}

/** A document of these bytes. */
export function fakeSource(content: Uint8Array | string, options: FakeSourceOptions): FakeSource {
  const { name = 'document', mediaType, partBytes = 65_536, password, failure } = options
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content
  const streams = { begun: 0, ended: 0 }
  let delivered = 0
  return {
    name,
    mediaType,
    size: bytes.length,
    ...(password === undefined ? {} : { password }),
    streams,
    get delivered() {
      return delivered
    },
    async bytes(maxBytes) {
      if (failure !== undefined) throw failure
      if (bytes.length > maxBytes) throw new RagError('LIMIT', `"${name}" is larger than is allowed.`)
      return bytes
    },
    async *stream() {
      streams.begun++
      try {
        for (let start = 0; start < bytes.length; start += partBytes) {
          const part = bytes.subarray(start, start + partBytes)
          delivered += part.length
          yield part
        }
        if (failure !== undefined) throw failure
      } finally {
        streams.ended++
      }
    },
  }
}
