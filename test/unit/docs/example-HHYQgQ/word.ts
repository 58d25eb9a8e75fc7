import { RagError } from 'file:///work/main/src/core/errors.ts'
import type { Embedder } from './types.js'

/** Counts words in `dimensions` hashed places. It knows no meaning: for tests. */
export function createWordEmbedder({ dimensions = 256 }: { readonly dimensions?: number } = {}): Embedder {
  return {
    id: 'word',
    // Whatever changes the vectors is in here. Raise the 1 when the code below changes them.
    fingerprint: `word/1/${dimensions}`,
    dimensions,
    capabilities: { fitted: false, batchSize: 64 },

    async embed(texts, { signal }) {
      const vectors = new Float32Array(texts.length * dimensions)
      const failed: { index: number; error: unknown }[] = []
      for (const [index, text] of texts.entries()) {
        signal?.throwIfAborted()
        const row = vectors.subarray(index * dimensions, (index + 1) * dimensions)
        for (const word of text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []) row[hash(word) % dimensions]! += 1
        const length = Math.hypot(...row)
        if (length === 0) failed.push({ index, error: new RagError('EMPTY', 'The text has no words.') })
        else for (let i = 0; i < dimensions; i++) row[i]! /= length
      }
      return { vectors, failed, tokens: 0 }
    },

    async close() {},
  }
}

function hash(word: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < word.length; i++) value = Math.imul(value ^ word.charCodeAt(i), 0x01000193)
  return value >>> 0
}
