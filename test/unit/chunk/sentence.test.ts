import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createSentenceChunker } from '../../../src/chunk/sentence.js'
import type { ChunkOptions, Section, SectionSpan } from '../../../src/chunk/types.js'
import { countReads } from '../../lib/count-reads.js'
import { hostileTexts } from '../../lib/texts.js'
import { anyOptions, anySection } from './support.js'

const defaults: ChunkOptions = { chunkSize: 400, chunkOverlap: 0, minChunkSize: 0 }

function chunksOf(section: Section, options: Partial<ChunkOptions> = {}): readonly SectionSpan[] {
  const chunks = createSentenceChunker({ ...defaults, ...options }).chunk(section)
  if (chunks instanceof Promise) throw new Error('The sentence chunker is synchronous.')
  return chunks
}

function textsOf(text: string, options: Partial<ChunkOptions> = {}, whole: readonly SectionSpan[] = []): string[] {
  return chunksOf({ text, whole }, options).map(({ start, end }) => text.slice(start, end))
}

/** Where `part` stands in `text`. */
function spanOf(text: string, part: string): SectionSpan {
  const start = text.indexOf(part)
  return { start, end: start + part.length }
}

describe('createSentenceChunker', () => {
  it('packs as many whole sentences into a chunk as fit', () => {
    const text = 'One two three. Four five six. Seven eight nine. Ten.'
    expect(textsOf(text, { chunkSize: 30 })).toEqual(['One two three. Four five six.', 'Seven eight nine. Ten.'])
    expect(textsOf(text, { chunkSize: 29 })).toEqual(['One two three. Four five six.', 'Seven eight nine. Ten.'])
    expect(textsOf(text, { chunkSize: 28 })).toEqual(['One two three.', 'Four five six.', 'Seven eight nine. Ten.'])
  })

  it('agrees with packing sentence by sentence', () => {
    const sentence = fc.integer({ min: 3, max: 38 }).map((length) => `X${'y'.repeat(length)}.`)
    fc.assert(
      fc.property(fc.array(sentence, { maxLength: 60 }), fc.integer({ min: 40, max: 200 }), (sentences, chunkSize) => {
        const expected: string[] = []
        for (const next of sentences) {
          const longer = `${expected.at(-1) ?? ''} ${next}`.trim()
          if (expected.length > 0 && longer.length <= chunkSize) expected[expected.length - 1] = longer
          else expected.push(next)
        }
        expect(textsOf(sentences.join(' '), { chunkSize })).toEqual(expected)
      }),
      { seed: 1, numRuns: 300 },
    )
  })

  it('ends with the paragraph when the chunk is full enough', () => {
    const paragraph = 'Alpha beta gamma. Delta epsilon zeta.'
    expect(textsOf(`${paragraph}\n\nEta. ${paragraph}`, { chunkSize: 50 })).toEqual([paragraph, `Eta. ${paragraph}`])
    expect(textsOf(`Alpha.\n\n${paragraph}`, { chunkSize: 30 })).toEqual([
      'Alpha.\n\nAlpha beta gamma.',
      'Delta epsilon zeta.',
    ])
  })

  it('cuts a long sentence at the end of a clause, else between words', () => {
    expect(textsOf('alpha beta gamma delta, epsilon zeta eta theta', { chunkSize: 30 })).toEqual([
      'alpha beta gamma delta,',
      'epsilon zeta eta theta',
    ])
    expect(textsOf('alpha beta gamma delta epsilon zeta eta theta', { chunkSize: 30 })).toEqual([
      'alpha beta gamma delta epsilon',
      'zeta eta theta',
    ])
    expect(textsOf('今天天气很好所以我们决定去公园散步，然后再一起回家吃晚饭看电视', { chunkSize: 25 })).toEqual([
      '今天天气很好所以我们决定去公园散步，',
      '然后再一起回家吃晚饭看电视',
    ])
  })

  it('keeps a word whole that fits, and cuts one that does not', () => {
    const word = 'x'.repeat(25)
    expect(textsOf(`ab ${word} cd`, { chunkSize: 25 })).toEqual(['ab', word, 'cd'])
    expect(textsOf(`ab ${word}x cd`, { chunkSize: 25 })).toEqual([`ab ${'x'.repeat(22)}`, 'xxxx cd'])
  })

  it('cuts between words where a script has no spaces', () => {
    const parts = textsOf('私は昨日東京の大学図書館で新しい日本語の教科書を読みました', { chunkSize: 20 })
    expect(parts.join('')).toBe('私は昨日東京の大学図書館で新しい日本語の教科書を読みました')
    expect(parts.length).toBe(2)
    const words = [...new Intl.Segmenter('ja', { granularity: 'word' }).segment(parts.join(''))].map(
      ({ index }) => index,
    )
    expect(words).toContain(parts[0]?.length)
  })

  it('never cuts inside a grapheme cluster, but in one longer than a chunk', () => {
    for (const cluster of ['👩‍👩‍👧‍👦', 'e\u0301\u0302', '🇩🇪', '각', 'क्षि', '👍🏽', '1️⃣', '𠮷']) {
      for (const part of textsOf(cluster.repeat(40), { chunkSize: 29 })) {
        expect(part.length % cluster.length).toBe(0)
      }
    }
    const zalgo = `e${'\u0301'.repeat(50)}`
    expect(textsOf(zalgo, { chunkSize: 20 }).map((part) => part.length)).toEqual([20, 20, 11])
    const joined = textsOf('👩\u200d'.repeat(50), { chunkSize: 20 })
    expect(joined.join('')).toBe('👩\u200d'.repeat(50))
    for (const part of joined) expect(part.isWellFormed()).toBe(true)
  })

  it('keeps stretches whole that fit, and cuts others at line ends', () => {
    const code = 'let a = 1. Then\nlet b = 2. Then\nlet c = 3'
    const text = `Some words here. Look:\n${code}\nMore words. The end.`
    expect(textsOf(text, { chunkSize: 45 }, [spanOf(text, code)])).toEqual([
      'Some words here. Look:',
      code,
      'More words. The end.',
    ])
    expect(textsOf(text, { chunkSize: 35 }, [spanOf(text, code)])).toEqual([
      'Some words here. Look:',
      'let a = 1. Then\nlet b = 2. Then',
      'let c = 3\nMore words. The end.',
    ])
    expect(textsOf(text, { chunkSize: 400 }, [spanOf(text, code)])).toEqual([text])
  })

  it('repeats whole sentences that fit into the overlap', () => {
    const text = 'Alpha one. Beta two. Gamma three. Delta four. Epsilon five.'
    expect(textsOf(text, { chunkSize: 33, chunkOverlap: 14 })).toEqual([
      'Alpha one. Beta two. Gamma three.',
      'Gamma three. Delta four.',
      'Delta four. Epsilon five.',
    ])
  })

  it('joins a short chunk with the one before, or with the one behind', () => {
    const long = `X${'y'.repeat(38)}.`
    expect(textsOf(`${long} Short.`, { chunkSize: 40 })).toEqual([long, 'Short.'])
    expect(textsOf(`${long} Short.`, { chunkSize: 40, minChunkSize: 10 })).toEqual([`${long} Short.`])
    expect(textsOf(`Short. ${long}`, { chunkSize: 40, minChunkSize: 10 })).toEqual([`Short. ${long}`])
    expect(textsOf('Short.', { minChunkSize: 10 })).toEqual(['Short.'])
  })

  it('covers everything once, in trimmed, ascending chunks within the size', () => {
    fc.assert(
      fc.property(anySection, anyOptions, (section, options) => {
        const { text } = section
        const chunks = chunksOf(section, options)
        let covered = 0
        let previous = { start: -1, end: -1 }
        for (const { start, end } of chunks) {
          const part = text.slice(start, end)
          expect(part).toBe(part.trim())
          expect(part).not.toBe('')
          expect(part.isWellFormed()).toBe(true)
          expect(part.length).toBeLessThanOrEqual(options.chunkSize + options.minChunkSize)
          expect(start).toBeGreaterThan(previous.start)
          expect(end).toBeGreaterThan(previous.end)
          expect(text.slice(covered, start).trim()).toBe('')
          expect(Math.max(0, covered - start)).toBeLessThanOrEqual(options.chunkOverlap)
          covered = end
          previous = { start, end }
        }
        expect(text.slice(covered).trim()).toBe('')
      }),
      { seed: 2, numRuns: 3_000 },
    )
  })

  it('cuts between grapheme clusters only', () => {
    fc.assert(
      fc.property(anySection, anyOptions, (section, options) => {
        const { text } = section
        const clusters = [...new Intl.Segmenter('en').segment(text)]
        const longest = Math.max(0, ...clusters.map(({ segment }) => segment.length))
        fc.pre(longest <= options.chunkSize)
        const borders = new Set(clusters.map(({ index }) => index)).add(text.length)
        // White space before the first chunk is cut off even where a combining mark stands on it.
        borders.add(text.length - text.trimStart().length)
        for (const { start, end } of chunksOf(section, options)) {
          expect(borders).toContain(start)
          expect(borders).toContain(end)
        }
      }),
      { seed: 3, numRuns: 2_000 },
    )
  })

  it('cuts between words where every word fits', () => {
    const word = fc.stringMatching(/^[a-zäéа-яא-ת,;:.!?()"'-]{1,20}$/u)
    const space = fc.constantFrom(' ', '  ', '\n', '\n\n', '\r\n', '\u00a0')
    fc.assert(
      fc.property(
        fc.array(fc.tuple(word, space), { maxLength: 60 }),
        fc.integer({ min: 20, max: 60 }),
        (parts, chunkSize) => {
          const text = parts.flat().join('')
          for (const { start, end } of chunksOf({ text, whole: [] }, { chunkSize })) {
            expect(text.slice(0, start)).toMatch(/(^|\s)$/)
            expect(text.slice(end)).toMatch(/^(\s|$)/)
          }
        },
      ),
      { seed: 4, numRuns: 500 },
    )
  })

  it('gives no chunk shorter than minChunkSize where a neighbour has room', () => {
    fc.assert(
      fc.property(anySection, anyOptions, (section, options) => {
        const chunks = chunksOf(section, options)
        const most = options.chunkSize + options.minChunkSize
        chunks.forEach(({ start, end }, i) => {
          if (end - start >= options.minChunkSize) return
          const [before, behind] = [chunks[i - 1], chunks[i + 1]]
          if (before !== undefined) expect(end - before.start).toBeGreaterThan(most)
          if (behind !== undefined) expect(behind.end - start).toBeGreaterThan(most)
        })
      }),
      { seed: 5, numRuns: 1_000 },
    )
  })

  it('repeats at the beginning of a chunk only what begins a sentence, and the rest is what it would be', () => {
    const sentence = fc.integer({ min: 3, max: 30 }).map((length) => `X${'y'.repeat(length)}.`)
    fc.assert(
      fc.property(fc.array(sentence, { maxLength: 60 }), anyOptions, (sentences, options) => {
        const text = sentences.join(' ')
        const starts = new Set<number>()
        for (let i = 0, start = 0; i < sentences.length; i++) {
          starts.add(start)
          start += (sentences[i]?.length ?? 0) + 1
        }
        for (const { start } of chunksOf(
          { text, whole: [] },
          { ...options, chunkSize: Math.max(options.chunkSize, 40) },
        )) {
          expect(starts).toContain(start)
        }
      }),
      { seed: 6, numRuns: 300 },
    )
  })

  it.each(hostileTexts)('reads %s a bounded number of times, whatever the size', (_, repeat) => {
    for (const chunkSize of [20, 400, 30_000]) {
      const reads = (length: number): number => {
        const text = repeat(length)
        const whole = [{ start: text.length >> 1, end: text.length }]
        return countReads(() => chunksOf({ text, whole }, { chunkSize })) / text.length
      }
      expect(reads(32_000)).toBeLessThan(150)
      expect(reads(32_000)).toBeLessThan(1.2 * reads(8_000) + 10)
    }
  })
})
