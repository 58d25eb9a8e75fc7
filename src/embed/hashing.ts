import { RagError } from '../core/errors.js'
import { normalise } from '../util/vector-math.js'
import type { Embedder, EmbedOptions } from './types.js'

/** Options of {@link createHashingEmbedder}. */
export interface HashingEmbedderOptions {
  /** Values per vector, 1 to 65,536. Default 256. More means fewer words that share a value. */
  readonly dimensions?: number
}

const maxDimensions = 65_536
/** A shared word says more than a shared trigram, of which a word has several. */
const wordWeight = 1
const trigramWeight = 0.4
/** Texts between two turns of the event loop: a few milliseconds for passages of usual length. */
const textsPerSlice = 64

/**
 * Embeds without any model: each word and each three letters of a word are hashed to one of the dimensions and a sign
 * (feature hashing, Weinberger et al. 2009), counted as 1 + ln(count) and scaled to length 1. It knows no synonyms; it
 * bridges inflections and typing errors. The same text gives the same vector on every machine. A text without letters
 * and digits is reported in `failed` with `EMPTY`. Throws `BAD_OPTION` for dimensions out of range.
 */
export function createHashingEmbedder({ dimensions = 256 }: HashingEmbedderOptions = {}): Embedder {
  if (!Number.isInteger(dimensions) || dimensions < 1 || dimensions > maxDimensions) {
    throw new RagError('BAD_OPTION', `dimensions is a whole number from 1 to ${maxDimensions}.`, {
      data: { dimensions },
    })
  }
  return {
    id: 'hashing',
    fingerprint: `hashing/1/${dimensions}`,
    dimensions,
    capabilities: { fitted: false, batchSize: textsPerSlice },

    async embed(texts: readonly string[], { signal }: EmbedOptions) {
      const vectors = new Float32Array(texts.length * dimensions)
      const failed: { index: number; error: unknown }[] = []
      for (const [index, text] of texts.entries()) {
        if (index % textsPerSlice === 0 && index > 0) await new Promise((resolve) => setImmediate(resolve))
        signal?.throwIfAborted()
        const row = vectors.subarray(index * dimensions, (index + 1) * dimensions)
        for (const [feature, { count, weight }] of features(text)) {
          const hash = hash32(feature)
          const place = (hash >>> 1) % dimensions
          row[place] = (row[place] as number) + (hash & 1 ? weight : -weight) * (1 + Math.log(count))
        }
        if (normalise(row, 0, dimensions) === 0) failed.push({ index, error: nothingToEmbed() })
      }
      return { vectors, failed, tokens: 0 }
    },

    async close() {},
  }
}

/**
 * Words, and the trigrams of each word with its borders marked, so that `#ca` begins a word and `ca` in the middle does
 * not.
 */
function features(text: string): Map<string, { count: number; weight: number }> {
  const counts = new Map<string, { count: number; weight: number }>()
  const count = (feature: string, weight: number): void => {
    const entry = counts.get(feature)
    if (entry === undefined) counts.set(feature, { count: 1, weight })
    else entry.count++
  }
  for (const [word] of text
    .normalize('NFKC')
    .toLowerCase()
    .matchAll(/[\p{L}\p{M}\p{N}]+/gu)) {
    count(word, wordWeight)
    const characters = [...`#${word}#`]
    for (let i = 0; i + 2 < characters.length; i++) count(`#${characters.slice(i, i + 3).join('')}`, trigramWeight)
  }
  return counts
}

/**
 * FNV-1a over UTF-16 code units, finished as in MurmurHash3 so that the low bits (place and sign) depend on all of
 * them.
 */
function hash32(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

function nothingToEmbed(): RagError {
  return new RagError('EMPTY', 'The text has no letters or digits to embed.')
}
