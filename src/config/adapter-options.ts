import * as z from 'zod/mini'

const whole = (least: number, most: number) => z.int().check(z.minimum(least), z.maximum(most))
const between = (least: number, most: number) => z.number().check(z.minimum(least), z.maximum(most))
const weight = between(0, 1_000)

/**
 * What the caller may set of each adapter, with defaults where they are the library's and not the adapter's. An adapter of the
 * catalogue that is missing here has no options.
 */
export const adapterOptions = {
  chunkers: {
    sentence: chunkSizes(),
    'sentence-splitter': chunkSizes(),
  },
  embedders: {
    hashing: { dimensions: z._default(whole(1, 65_536), 256) },
  },
  lexicalIndexes: {
    bm25: {
      k1: z.optional(between(0, 10)),
      b: z.optional(between(0, 1)),
      documentWeight: z._default(between(0, 10), 0.5),
    },
  },
  vectorIndexes: { flat: {} },
  fusions: {
    rrf: { k: z._default(between(1, 10_000), 60) },
    weighted: {
      weights: z._default(
        z
          .strictObject({ lexical: weight, vector: weight })
          .check(z.refine(({ lexical, vector }) => lexical + vector > 0, 'must have a weight above 0')),
        { lexical: 0.7, vector: 0.3 },
      ),
    },
  },
  llms: {
    extractive: { maxSentences: z._default(whole(1, 20), 3) },
  },
} satisfies Record<string, Record<string, z.core.$ZodLooseShape>>

/** Sizes of chunks, as top-level options and as options of a chunker. */
export function chunkSizes() {
  return {
    chunkSize: z.optional(whole(20, 60_000)),
    chunkOverlap: z.optional(whole(0, 30_000)),
    minChunkSize: z.optional(whole(0, 60_000)),
    maxChunksPerPage: z.optional(whole(0, 1_000_000)),
  }
}
