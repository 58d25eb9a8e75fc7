import fc from 'fast-check'
import type { Chunker, ChunkOptions, Section, SectionSpan } from '../../../src/chunk/types.js'
import { anyText } from '../../lib/texts.js'

export const defaults: ChunkOptions = { chunkSize: 400, chunkOverlap: 0, minChunkSize: 0 }

/** The chunks of a chunker that does not wait. */
export function spansOf(chunker: Chunker, section: Section): readonly SectionSpan[] {
  const chunks = chunker.chunk(section)
  if (chunks instanceof Promise) throw new Error(`The chunker "${chunker.id}" is synchronous.`)
  return chunks
}

/** The texts of the chunks that `create` makes. */
export function textsWith(create: (options: ChunkOptions) => Chunker) {
  return (text: string, options: Partial<ChunkOptions> = {}, whole: readonly SectionSpan[] = []): string[] =>
    spansOf(create({ ...defaults, ...options }), { text, whole }).map(({ start, end }) => text.slice(start, end))
}

/** A section with stretches to be kept whole at random places between grapheme clusters. */
export const anySection: fc.Arbitrary<Section> = fc
  .tuple(anyText, fc.array(fc.nat(999), { maxLength: 6 }))
  .map(([text, places]) => {
    const clusters = [...new Intl.Segmenter('en').segment(text)].map(({ index }) => index)
    const borders = [...new Set(places.map((place) => clusters[Math.floor((place / 1_000) * clusters.length)] ?? 0))]
    borders.sort((a, b) => a - b)
    const whole: SectionSpan[] = []
    for (let i = 0; i + 1 < borders.length; i += 2) {
      whole.push({ start: borders[i] as number, end: borders[i + 1] as number })
    }
    return { text, whole }
  })

/** Overlap and least size as often absent as not. (Whole percents: random doubles are mostly next to 0.) */
export const anyOptions: fc.Arbitrary<ChunkOptions> = fc
  .record({
    chunkSize: fc.integer({ min: 20, max: 200 }),
    overlap: fc.oneof(fc.constant(0), fc.integer({ min: 5, max: 49 })),
    least: fc.oneof(fc.constant(0), fc.integer({ min: 5, max: 100 })),
  })
  .map(({ chunkSize, overlap, least }) => ({
    chunkSize,
    chunkOverlap: Math.floor((overlap / 100) * chunkSize),
    minChunkSize: Math.floor((least / 100) * chunkSize),
  }))
