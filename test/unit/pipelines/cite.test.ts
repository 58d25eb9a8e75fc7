import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Citation, Source } from '../../../src/core/answer.js'
import { type CitedPart, createCitationParser } from '../../../src/pipelines/steps/cite.js'
import { inSoak } from '../../lib/soak.js'

const firstText =
  'The tower is 330 m tall. It was built by Gustave Eiffel in 1889. Paint is renewed every seven years, see [12].'
const secondText = 'Visitors pay at the gate. 東京は日本の首都です。富士山は高い。'

const source = (marker: number, text: string, start = 0, page?: number): Source => ({
  marker,
  score: 1,
  scores: {},
  chunk: {
    id: `chunk-${marker}`,
    documentId: `document-${marker}`,
    ordinal: 0,
    text,
    span: { start, end: start + text.length, ...(page === undefined ? {} : { page }) },
    title: `Title ${marker}`,
    headings: [],
    language: 'en',
    metadata: {},
  },
})
const sources = [source(1, firstText, 1_000, 4), source(2, secondText), source(3, 'Third.')]

interface Reading {
  readonly answer: string
  readonly citations: readonly Citation[]
  readonly invented: number
}

function read(deltas: readonly string[]): Reading {
  const parser = createCitationParser(sources)
  const parts: CitedPart[] = [...deltas.flatMap((delta) => parser.push(delta)), ...parser.end()]
  let answer = ''
  const citations: Citation[] = []
  for (const part of parts) {
    if (part.type === 'answer-delta') {
      expect(part.text).not.toBe('')
      answer += part.text
    } else {
      expect(part.citation.position.end).toBe(answer.length)
      citations.push(part.citation)
    }
  }
  return { answer, citations, invented: parser.invented }
}

const quotes = (text: string): string[] => read([text]).citations.map(({ quote }) => quote)

describe('the citation parser', () => {
  it('gives a citation with its document, page, span and sentence', () => {
    const { answer, citations } = read(['It is 330 m tall [1].'])
    expect(answer).toBe('It is 330 m tall [1].')
    expect(citations).toEqual([
      {
        marker: 1,
        position: { start: 17, end: 20 },
        documentId: 'document-1',
        chunkId: 'chunk-1',
        title: 'Title 1',
        page: 4,
        span: { start: 1_000, end: 1_024 },
        quote: 'The tower is 330 m tall.',
      },
    ])
  })

  it.each([
    ['a [1][2]', 'a [1][2]', [1, 2], 0],
    ['a [1, 2]. b', 'a [1][2]. b', [1, 2], 0],
    ['a [1-3]', 'a [1][2][3]', [1, 2, 3], 0],
    ['a [3–1; 2]', 'a [1][2][3]', [1, 2, 3], 0],
    ['a [ 1 , 1 ]', 'a [1]', [1], 0],
    ['a [1, 9]', 'a [1]', [1], 1],
    ['a [9].', 'a.', [], 1],
    ['a [9][1] b [8]', 'a [1] b', [1], 2],
    ['a [9] [1]', 'a [1]', [1], 1],
    ['a[9] [7] b', 'a b', [], 2],
    ['a [2-5]', 'a [2][3]', [2, 3], 2],
    ['a [0]', 'a', [], 1],
    ['a \\[1] b [1]', 'a [1] b [1]', [1], 0],
    ['x[i] [see 1] [12345] [] [ ] [1', 'x[i] [see 1] [12345] [] [ ] [1', [], 0],
    ['a [[1]] b', 'a [[1]] b', [1], 0],
    ['\\ [1] \\\\[1] \\', '\\ [1] \\[1] \\', [1], 0],
    [' [1]', ' [1]', [1], 0],
    ['[9]', '', [], 1],
  ])('reads %j as %j', (text, answer, markers, invented) => {
    const reading = read([text])
    expect(reading.answer).toBe(answer)
    expect(reading.citations.map(({ marker }) => marker)).toEqual(markers)
    expect(reading.invented).toBe(invented)
    for (const { position, marker } of reading.citations) {
      expect(reading.answer.slice(position.start, position.end)).toBe(`[${marker}]`)
    }
  })

  it('gives the same, however the stream is cut', () => {
    const unit = fc.oneof(
      fc.constantFrom('[', ']', '1', '9', ',', '-', ' ', '\\', '.', ' [1]', '[2, 3]', '[1-9]', '\\[1]', '\n', '  '),
      fc.constantFrom('The tower is tall. ', 'Gustave Eiffel built it', '東京', '😀', `${' '.repeat(70)}[`),
    )
    fc.assert(
      fc.property(
        fc.array(unit, { maxLength: 40 }).map((units) => units.join('')),
        fc.array(fc.nat(20)),
        (text, cuts) => {
          const deltas: string[] = []
          let from = 0
          for (const cut of cuts) deltas.push(text.slice(from, (from += cut)))
          deltas.push(text.slice(from))
          const whole = read([text])
          expect(read(deltas)).toEqual(whole)
          expect(read([...text])).toEqual(whole)
          for (const { marker, span, quote } of whole.citations) {
            const { chunk } = sources[marker - 1] as Source
            expect(chunk.text.slice(span.start - chunk.span.start, span.end - chunk.span.start)).toBe(quote)
          }
        },
      ),
      { numRuns: 1_000, seed: 4 },
    )
  })

  it('holds back no more than what may become a marker', () => {
    const parser = createCitationParser(sources)
    expect(parser.push('Some text [')).toEqual([{ type: 'answer-delta', text: 'Some text' }])
    expect(parser.push('see')).toEqual([{ type: 'answer-delta', text: ' [see' }])
    expect(parser.push('] and [1')).toEqual([{ type: 'answer-delta', text: '] and' }])
    expect(parser.push(']').map(({ type }) => type)).toEqual(['answer-delta', 'citation'])
    expect(parser.end()).toEqual([])
  })

  it('points at the sentence that holds the statement word for word, before one that shares more words', () => {
    expect(quotes('built by Gustave Eiffel in 1889 [1]')).toEqual(['It was built by Gustave Eiffel in 1889.'])
    expect(quotes(`${firstText.replace('[12]', '\\[12]')} [1]`)).toEqual([
      'Paint is renewed every seven years, see [12].',
    ])
    expect(
      quotes('In 1889 Eiffel finished it [1]. The renewal of its paint takes place every seven years [1].'),
    ).toEqual(['It was built by Gustave Eiffel in 1889.', 'Paint is renewed every seven years, see [12].'])
    expect(quotes('日本の首都は東京 [2]')).toEqual(['東京は日本の首都です。'])
  })

  it('reads neighbouring markers as citing the same statement', () => {
    expect(quotes('One must pay at the gate [1] [2].')[1]).toBe('Visitors pay at the gate.')
    expect(quotes('One must pay at the gate. [2]')).toEqual(['Visitors pay at the gate.'])
  })

  it('points at the first sentence when nothing is alike', () => {
    expect(quotes('[1] zzz')).toEqual(['The tower is 330 m tall.'])
    expect(quotes('zzz [2]')).toEqual(['Visitors pay at the gate.'])
  })

  inSoak('is linear in hostile answers', () => {
    for (const unit of ['[', '[1', '[1,', ' ', '\\', '\\[', '[1][', '[1-9999]', '1']) {
      const parser = createCitationParser(sources)
      for (const character of unit.repeat(20_000)) parser.push(character)
      parser.end()
      createCitationParser(sources).push(unit.repeat(50_000))
    }
  })
})
