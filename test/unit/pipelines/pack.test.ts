import { describe, expect, it } from 'vitest'
import type { Source } from '../../../src/core/answer.js'
import type { Hit } from '../../../src/core/search.js'
import { citationOf } from '../../../src/pipelines/steps/cite.js'
import { type PackOptions, packSources, shownText } from '../../../src/pipelines/steps/pack.js'
import { sentenceSpans } from '../../../src/text/sentences.js'
import { randomNumbers } from '../../../src/util/random.js'

/** Three letters are a token. */
const countTokens = (text: string): number => Math.ceil(text.length / 3)

/** Documents by id; a hit is a stretch of one. */
function corpusOf(texts: Readonly<Record<string, string>>) {
  const reads: string[] = []
  const tools = {
    namespace: {
      text(documentId: string, start: number, end: number): string {
        reads.push(documentId)
        return (texts[documentId] ?? '').slice(start, end)
      },
    },
    countTokens,
    turn: async () => {},
  }
  const hit = (
    documentId: string,
    part: { start: number; end: number; ordinal: number; page?: number },
    title = 'A title',
  ): Hit => {
    const { ordinal, ...span } = part
    const text = (texts[documentId] ?? '').slice(span.start, span.end)
    return {
      score: 1,
      scores: {},
      chunk: {
        id: `${documentId}#${ordinal}`,
        documentId,
        ordinal,
        text,
        span,
        title,
        headings: [],
        language: 'english',
        metadata: {},
      },
    }
  }
  const pack = (hits: readonly Hit[], options: Partial<PackOptions> = {}): Promise<Source[]> =>
    packSources(hits, { maxContextChars: 4_000, ...options }, tools)
  return { hit, pack, reads, texts }
}

const text = 'One is first. Two is second.\n\nThree is third. Four is fourth. Five is fifth.'
const parts = {
  one: { start: 0, end: 28, ordinal: 0, page: 1 },
  three: { start: 30, end: 61, ordinal: 1, page: 2 },
  five: { start: 62, end: 76, ordinal: 2, page: 3 },
}
const shown = (sources: readonly Source[]) => sources.map((source) => shownText(source).text)

describe('packing', () => {
  it('leaves hits that stand alone as they are, and reads nothing for them', async () => {
    const { hit, pack, reads } = corpusOf({ a: text, b: 'Another document.' })
    const hits = [hit('a', parts.one), hit('b', { start: 0, end: 17, ordinal: 0 }), hit('a', parts.five)]
    expect(await pack(hits)).toEqual(hits.map((one, place) => ({ ...one, marker: place + 1 })))
    expect(reads).toEqual([])
  })

  it('joins neighbours of a document, with what lies between them, in the place of the better one', async () => {
    const { hit, pack } = corpusOf({ a: text, b: 'Another document.' })
    const [three, other, one] = [
      hit('a', parts.three),
      hit('b', { start: 0, end: 17, ordinal: 0 }),
      hit('a', parts.one),
    ]
    const sources = await pack([three, other, one])
    expect(shown(sources)).toEqual([text.slice(0, 61), 'Another document.'])
    expect(sources[0]).toEqual({
      ...three,
      context: { text: text.slice(0, 61), span: { start: 0, end: 61, page: 1 } },
      passages: [one, three],
      marker: 1,
    })
  })

  it('joins two blocks when a hit closes the gap between them', async () => {
    const { hit, pack } = corpusOf({ a: text })
    const sources = await pack([hit('a', parts.five), hit('a', parts.one), hit('a', parts.three)])
    expect(shown(sources)).toEqual([text])
    expect(sources[0]?.passages?.map(({ chunk }) => chunk.ordinal)).toEqual([0, 1, 2])
  })

  it('merges overlaps, and needs no reading where one passage holds the other', async () => {
    const { hit, pack, reads } = corpusOf({ a: text })
    const inner = hit('a', { start: 14, end: 28, ordinal: 7 })
    expect(shown(await pack([hit('a', parts.one), inner]))).toEqual([text.slice(0, 28)])
    expect(shown(await pack([inner, hit('a', parts.one)]))).toEqual([text.slice(0, 28)])
    expect(reads).toEqual([])
    const across = hit('a', { start: 14, end: 45, ordinal: 7 })
    expect(shown(await pack([hit('a', parts.one), across]))).toEqual([text.slice(0, 45)])
  })

  it('takes no passage along that was not found', async () => {
    const { hit, pack } = corpusOf({ a: text })
    expect(shown(await pack([hit('a', parts.one), hit('a', parts.five)]))).toEqual([
      text.slice(0, 28),
      text.slice(62, 76),
    ])
  })

  it('does not join across a wide gap', async () => {
    const wide = `First.${' '.repeat(300)}Second.`
    const { hit, pack } = corpusOf({ a: wide })
    const hits = [hit('a', { start: 0, end: 6, ordinal: 0 }), hit('a', { start: 306, end: 313, ordinal: 1 })]
    expect(shown(await pack(hits))).toEqual(['First.', 'Second.'])
  })

  it('joins nothing of a document that has another version by now', async () => {
    const { hit, pack, texts } = corpusOf({ a: text })
    const hits = [hit('a', parts.one), hit('a', parts.three)]
    Object.assign(texts, { a: text.toUpperCase() })
    expect(shown(await pack(hits))).toEqual([text.slice(0, 28), text.slice(30, 61)])
    Object.assign(texts, { a: '' })
    expect(await pack(hits)).toHaveLength(2)
  })

  it('shows the same words again under another title, and what only begins a longer word', async () => {
    const { hit, pack } = corpusOf({ one: 'It costs 50 EUR.', other: 'It costs 50 EUR.', less: 'It costs 5' })
    const whole = { start: 0, end: 16, ordinal: 0 }
    const hits = [
      hit('one', whole, 'Berlin'),
      hit('other', whole, 'Paris'),
      hit('less', { ...whole, end: 10 }, 'Berlin'),
    ]
    expect(await pack(hits)).toHaveLength(3)
  })

  it('shows copies once, also where they are parts of a longer text or set otherwise', async () => {
    const { hit, pack } = corpusOf({ a: text, copy: 'TWO  is\nsecond.', other: 'Two is not second.' })
    const sources = await pack([
      hit('a', parts.one),
      hit('copy', { start: 0, end: 15, ordinal: 0 }),
      hit('other', { start: 0, end: 18, ordinal: 0 }),
    ])
    expect(sources.map(({ chunk, marker }) => [chunk.documentId, marker])).toEqual([
      ['a', 1],
      ['other', 2],
    ])
  })

  it('cuts the first source that does not fit to whole sentences and leaves out the rest', async () => {
    const { hit, pack } = corpusOf({ a: text, b: 'Six is sixth. Seven is seventh. Eight.', c: 'Nine.' })
    const hits = [
      hit('a', parts.one),
      hit('b', { start: 0, end: 38, ordinal: 0, page: 9 }),
      hit('c', { start: 0, end: 5, ordinal: 0 }),
    ]
    const sources = await pack(hits, { maxContextChars: 60 })
    expect(shown(sources)).toEqual([text.slice(0, 28), 'Six is sixth. Seven is seventh.'])
    expect(sources[1]?.context?.span).toEqual({ start: 0, end: 31, page: 9 })
    expect(shown(await pack(hits, { maxContextChars: 59 }))).toEqual([
      text.slice(0, 28),
      'Six is sixth. Seven is seventh.',
    ])
    expect(shown(await pack(hits, { maxContextChars: 58 }))).toEqual([text.slice(0, 28), 'Six is sixth.'])
    expect(shown(await pack(hits, { maxContextChars: 40 }))).toEqual([text.slice(0, 28)])
  })

  it('grows a source by the whole sentences that fit, to either side', async () => {
    const { hit, pack } = corpusOf({ a: text })
    const behind = [hit('a', parts.one), hit('a', parts.three)]
    expect(shown(await pack(behind, { maxContextChars: 50 }))).toEqual([text.slice(0, 45)])
    const before = [hit('a', parts.three), hit('a', parts.one)]
    const [source] = await pack(before, { maxContextChars: 50 })
    expect(shownText(source as Source)).toEqual({ text: text.slice(14, 61), span: { start: 14, end: 61, page: 1 } })
    expect(shown(await pack(before, { maxContextChars: 35 }))).toEqual([text.slice(30, 61)])
  })

  it('counts tokens where it is told to, alone or beside characters', async () => {
    const { hit, pack } = corpusOf({ a: text, b: 'Six is sixth. Seven is seventh.' })
    const hits = [hit('a', parts.one), hit('b', { start: 0, end: 31, ordinal: 0 })]
    const tokens = { maxContextChars: Number.POSITIVE_INFINITY, maxContextTokens: 15 }
    expect(shown(await pack(hits, tokens))).toEqual([text.slice(0, 28), 'Six is sixth.'])
    expect(shown(await pack(hits, { ...tokens, maxContextChars: 40 }))).toEqual([text.slice(0, 28)])
  })

  it('cuts at a word where not even the first sentence fits, but shows nothing that is too long', async () => {
    const { hit, pack } = corpusOf({ a: 'A sentence that never ends and goes on and on', b: `${'x'.repeat(60)}` })
    const long = hit('a', { start: 0, end: 45, ordinal: 0 })
    expect(shown(await pack([long], { maxContextChars: 20 }))).toEqual(['A sentence that'])
    expect(shown(await pack([hit('b', { start: 0, end: 60, ordinal: 0 })], { maxContextChars: 20 }))).toEqual([
      'x'.repeat(20),
    ])
  })

  it('cites the passage of a joined source that holds the sentence, with its page', async () => {
    const { hit, pack } = corpusOf({ a: text })
    const [source] = (await pack([hit('a', parts.three), hit('a', parts.one)])) as [Source]
    const cited = (start: number, end: number) => citationOf(source, { start: 0, end: 3 }, { start, end })
    expect(cited(0, 13)).toMatchObject({ chunkId: 'a#0', page: 1, quote: 'One is first.', span: { start: 0, end: 13 } })
    expect(cited(30, 45)).toMatchObject({ chunkId: 'a#1', page: 2, quote: 'Three is third.' })
  })
})

/** The same, plainly: all hits so far, put together from scratch; as many as fit. Nothing is cut, no copies are looked for. */
function packPlainly(hits: readonly Hit[], maxContextChars: number) {
  let packed: { documentId: string; start: number; end: number }[] = []
  for (let count = 1; count <= hits.length; count++) {
    let groups = hits.slice(0, count).map((hit, place) => ({ place, hits: [hit] }))
    for (let changed = true; changed; ) {
      changed = false
      for (const [one, other] of pairs(groups)) {
        const meet = one.hits.some((a) => other.hits.some((b) => touch(a, b)))
        if (!meet) continue
        const place = Math.min(one.place, other.place)
        groups = groups.filter((group) => group !== one && group !== other)
        groups.push({ place, hits: [...one.hits, ...other.hits] })
        changed = true
        break
      }
    }
    groups.sort((one, other) => one.place - other.place)
    const stretches = groups.map((group) => ({
      documentId: group.hits[0]?.chunk.documentId as string,
      start: Math.min(...group.hits.map(({ chunk }) => chunk.span.start)),
      end: Math.max(...group.hits.map(({ chunk }) => chunk.span.end)),
    }))
    if (stretches.reduce((sum, { start, end }) => sum + end - start, 0) > maxContextChars) return packed
    packed = stretches
  }
  return packed
}

function pairs<Value>(values: readonly Value[]): [Value, Value][] {
  return values.flatMap((one, place) => values.slice(place + 1).map((other): [Value, Value] => [one, other]))
}

function touch({ chunk: a }: Hit, { chunk: b }: Hit): boolean {
  if (a.documentId !== b.documentId) return false
  return Math.abs(a.ordinal - b.ordinal) === 1 || (a.span.start < b.span.end && b.span.start < a.span.end)
}

describe('packing of random documents', () => {
  it('shows what the plain version shows, then at most part of one hit more, in whole sentences and within the budget', async () => {
    const random = randomNumbers(11)
    const below = (limit: number): number => Math.floor(random() * limit)
    let cut = 0
    for (let round = 0; round < 300; round++) {
      const texts: Record<string, string> = {}
      const all: { documentId: string; start: number; end: number; ordinal: number }[] = []
      for (let document = 0; document < 3; document++) {
        const documentId = `d${document}`
        let written = ''
        for (let ordinal = 0; ordinal < 6; ordinal++) {
          // Overlaps begin at an earlier sentence.
          const bounds = sentenceSpans(written)
          const back = below(3) === 0 ? bounds.at(-2) : undefined
          const start = back ?? written.length
          for (let sentence = 0; sentence <= below(4); sentence++)
            written += `Say${document} ${ordinal} ${sentence} ${'word '.repeat(below(8))}end. `
          written = written.trimEnd()
          all.push({ documentId, start, end: written.length, ordinal })
          written += below(2) === 0 ? '\n\n' : ' '
        }
        texts[documentId] = written
      }
      const corpus = corpusOf(texts)
      const hits = Array.from(
        { length: 1 + below(9) },
        () => all.splice(below(all.length), 1)[0] as (typeof all)[0],
      ).map(({ documentId, ...part }) => corpus.hit(documentId, part))
      const maxContextChars = 100 + below(900)
      const sources = await corpus.pack(hits, { maxContextChars })
      const stretches = sources.map((source) => ({ documentId: source.chunk.documentId, ...shownText(source).span }))

      // True stretches of their documents, within the budget, numbered.
      let total = 0
      for (const [place, source] of sources.entries()) {
        const { span, text } = shownText(source)
        expect(texts[source.chunk.documentId]?.slice(span.start, span.end)).toBe(text)
        expect(source.marker).toBe(place + 1)
        total += text.length
      }
      expect(total).toBeLessThanOrEqual(maxContextChars)

      const plain = packPlainly(hits, maxContextChars)
      const same = stretches.filter((one) => plain.some((other) => isEqual(one, other)))
      const more = stretches.filter((one) => !same.includes(one))
      const missing = plain.filter((one) => !stretches.some((other) => isEqual(one, other)))
      expect(more.length).toBeLessThanOrEqual(1)
      const [grown] = more
      if (grown === undefined) expect(missing).toEqual([])
      else {
        cut++
        // What grew holds what was there, and ends where sentences do.
        for (const one of missing) expect(one.start >= grown.start && one.end <= grown.end).toBe(true)
        const bounds = sentenceSpans(texts[grown.documentId] as string)
        expect(bounds).toContain(grown.start)
        if (sources.length > 1) expect(bounds).toContain(grown.end)
      }
    }
    expect(cut).toBeGreaterThan(50)
  })
})

function isEqual(one: Stretch, other: Stretch): boolean {
  return one.documentId === other.documentId && one.start === other.start && one.end === other.end
}

interface Stretch {
  readonly documentId: string
  readonly start: number
  readonly end: number
}
