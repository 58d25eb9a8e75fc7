import { join } from 'node:path'
import { RagError } from '../core/errors.js'
import { contentHashOf } from '../models/content-hash.js'
import { isFile } from '../models/files.js'
import { openTokenizer } from '../models/tokenizer.js'
import type { Tokenizer } from '../models/types.js'
import { sentenceSpans } from '../text/sentences.js'
import { memoizeAsync } from '../util/memoize-async.js'
import { cutStretch } from './cut.js'
import { checkedChunkOptions, fillChunks, fingerprint, joinShortChunks } from './pack.js'
import type { Chunker, ChunkOptions, Section, SectionSpan } from './types.js'
import { unitsOf } from './units.js'

/** Options of {@link createTokenChunker}. */
export interface TokenChunkerOptions extends ChunkOptions {
  /** Folder of `tokenizer.json`: that of the embedding model. */
  readonly tokenizer: string
  /**
   * Tokens of what is embedded for a chunk at most, 16 to 8,192: special tokens, title and heading path, and the chunk's own. The latter
   * may always take half of it, however long the title is. Default 128.
   */
  readonly maxTokens?: number
  /** What the embedder puts before each passage, counted with it. Default none. */
  readonly prefix?: string
}

/**
 * Packs whole sentences into chunks by the tokens of a model, as its own tokenizer counts them, so that a chunk fills what the model
 * sees and nothing of it is cut off. `chunkSize` holds as well. A sentence with more tokens than a chunk is cut like one that is too
 * long. Counts of sentences are added up, and each chunk is counted once more as a whole, for tokens can depend on what is before them.
 *
 * Rejects with `BAD_OPTION`, and with `NOT_FOUND` when the folder holds no `tokenizer.json`; what else {@link openTokenizer} says comes
 * with the first section.
 */
export async function createTokenChunker({
  maxTokens = 128,
  prefix = '',
  tokenizer: directory,
  ...sizes
}: TokenChunkerOptions): Promise<Chunker> {
  const checked = checkedChunkOptions(sizes)
  if (!Number.isInteger(maxTokens) || maxTokens < 16 || maxTokens > 8_192) throw badMaxTokens(maxTokens)
  const file = join(directory, 'tokenizer.json')
  // Opening it says best what is missing.
  if (!(await isFile(file))) await openTokenizer(directory)
  const hash = await contentHashOf({ whole: [file], sampled: [], settings: prefix }, undefined)
  const id = 'token'
  // Not before there is text to cut: it takes longer than a thread that only wants the fingerprint may be held up.
  const counter = memoizeAsync(async () => new TokenCounter(await openTokenizer(directory), prefix))
  return {
    id,
    fingerprint: `${fingerprint(id, checked)}:${maxTokens}:${hash}`,
    chunk: async (section) => new TokenCut(section, await counter(), { ...checked, maxTokens }).chunks(),
  }
}

function badMaxTokens(value: number): RagError {
  return new RagError('BAD_OPTION', `maxTokens must be a whole number from 16 to 8192, not ${value}.`, {
    data: { option: 'maxTokens', value },
    hint: 'Take what the embedding model sees, or less: 128 to 512.',
  })
}

/** Counts tokens of texts that are embedded. */
class TokenCounter {
  readonly #tokenizer: Tokenizer
  readonly #prefix: string
  #known: { readonly context: string; readonly tokens: number } | undefined

  constructor(tokenizer: Tokenizer, prefix: string) {
    this.#tokenizer = tokenizer
    this.#prefix = prefix
  }

  /** Tokens of each text by itself. */
  count(texts: readonly string[]): Int32Array {
    const { offsets } = this.#tokenizer.encode(texts, { maxTokens: Number.POSITIVE_INFINITY, special: false })
    return Int32Array.from(texts, (_, i) => (offsets[i + 1] as number) - (offsets[i] as number))
  }

  /** Special tokens and those of what stands before each chunk of a section. */
  overhead(context: string): number {
    // Sections of one document share their title, and most their headings.
    if (this.#known?.context !== context) this.#known = { context, tokens: this.whole(context, '') }
    return this.#known.tokens
  }

  /** Tokens of a chunk as it is embedded. */
  whole(context: string, text: string): number {
    const maxTokens = Number.POSITIVE_INFINITY
    return this.#tokenizer.encode([context === '' ? text : `${context}\n${text}`], { maxTokens, prefix: this.#prefix })
      .offsets[1] as number
  }
}

class TokenCut {
  readonly #section: Section
  readonly #counter: TokenCounter
  readonly #options: ChunkOptions
  /** Tokens of a chunk's own text. */
  readonly #room: number

  constructor(section: Section, counter: TokenCounter, options: ChunkOptions & { readonly maxTokens: number }) {
    this.#section = section
    this.#counter = counter
    this.#options = options
    this.#room = Math.max(options.maxTokens - counter.overhead(section.context ?? ''), options.maxTokens >> 1)
  }

  chunks(): SectionSpan[] {
    const { text } = this.#section
    const { chunkOverlap, chunkSize } = this.#options
    const { units, sums } = this.#cutUnits(unitsOf(this.#section, chunkSize, sentenceSpans))
    const startOf = (unit: number): number => units[2 * unit] as number
    const endOf = (unit: number): number => units[2 * unit + 1] as number
    // How full a chunk is, by whichever of the two sizes it fills more.
    const measure = (first: number, last: number): number =>
      Math.max(
        (endOf(last) - startOf(first)) / chunkSize,
        ((sums[last + 1] as number) - (sums[first] as number)) / this.#room,
      )
    const filled = fillChunks(text, units, { chunkOverlap, limit: 1, measure })
    const checked = this.#halveTooLong(filled, units)
    return joinShortChunks(checked, this.#options, (both) => this.#fits(both))
  }

  /** Cuts units with more tokens than a chunk, and adds up the tokens before each. */
  #cutUnits(units: readonly number[]): { readonly units: readonly number[]; readonly sums: Float64Array } {
    const { text } = this.#section
    const spans: number[] = []
    const counts: number[] = []
    const add = (candidates: readonly number[]): void => {
      const texts = Array.from({ length: candidates.length / 2 }, (_, i) =>
        text.slice(candidates[2 * i], candidates[2 * i + 1]),
      )
      for (const [i, count] of this.#counter.count(texts).entries()) {
        const start = candidates[2 * i] as number
        const end = candidates[2 * i + 1] as number
        const parts: number[] = []
        // Tokens are spread evenly enough for the second try to do; each further one halves at least.
        const size = Math.max(2, Math.min((end - start) >> 1, Math.floor((0.9 * (end - start) * this.#room) / count)))
        if (count > this.#room && end - start > 2) cutStretch(text, { start, end, byLines: false }, size, parts)
        if (parts.length > 2) add(parts)
        else {
          spans.push(start, end)
          counts.push(count)
        }
      }
    }
    add(units)
    const sums = new Float64Array(counts.length + 1)
    for (const [i, count] of counts.entries()) sums[i + 1] = (sums[i] as number) + count
    return { units: spans, sums }
  }

  /** Counts each chunk as a whole; one above the limit is cut at the unit in its middle, and a unit in its own middle. */
  #halveTooLong(chunks: readonly SectionSpan[], units: readonly number[]): SectionSpan[] {
    const { text } = this.#section
    const fitting: SectionSpan[] = []
    let first = 0
    let lastFirst = -1
    const cutUnit = (start: number, end: number): void => {
      const parts: number[] = []
      if (end - start > 2 && !this.#fits({ start, end })) {
        cutStretch(text, { start, end, byLines: false }, Math.max(2, (end - start) >> 1), parts)
      }
      if (parts.length <= 2) fitting.push({ start, end })
      else for (let i = 0; i < parts.length; i += 2) cutUnit(parts[i] as number, parts[i + 1] as number)
    }
    const check = (from: number, to: number): void => {
      const span = { start: units[2 * from] as number, end: units[2 * to + 1] as number }
      lastFirst = from
      if (from === to) cutUnit(span.start, span.end)
      else if (this.#fits(span)) fitting.push(span)
      else {
        const middle = (from + to) >> 1
        check(from, middle)
        check(middle + 1, to)
      }
    }
    for (const { start, end } of chunks) {
      while ((units[2 * first] as number) < start) first++
      // What a chunk repeats does not reach back beyond the beginning of a half.
      first = Math.max(first, lastFirst + 1)
      let last = first
      while ((units[2 * last + 1] as number) < end) last++
      check(first, last)
    }
    return fitting
  }

  /** Whether a chunk is within its limit as it will be embedded. */
  #fits({ start, end }: SectionSpan): boolean {
    const { context = '', text } = this.#section
    return this.#counter.whole(context, text.slice(start, end)) <= this.#counter.overhead(context) + this.#room
  }
}
