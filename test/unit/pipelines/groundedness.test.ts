import { describe, expect, it } from 'vitest'
import type { Citation, Source } from '../../../src/core/answer.js'
import { createCitationParser } from '../../../src/pipelines/steps/cite.js'
import { measureGroundedness } from '../../../src/pipelines/steps/groundedness.js'
import { createAnalyzers } from '../../../src/text/analyzers.js'

const source = (marker: number, text: string, title = ''): Source => ({
  marker,
  score: 1,
  scores: {},
  chunk: {
    id: `${marker}`,
    documentId: `${marker}`,
    ordinal: 0,
    text,
    span: { start: 0, end: text.length },
    title,
    headings: [],
    language: 'english',
    metadata: {},
  },
})
const sources = [
  source(1, 'The tower is 330 metres tall.', 'Eiffel'),
  source(2, 'It was painted brown in Paris.'),
  source(3, 'Nobody sings.'),
]
const tools = { analyzerFor: createAnalyzers(), turn: async () => {} }

/** As the pipeline measures what a model writes. */
async function measure(written: string) {
  const parser = createCitationParser(sources)
  const parts = [...parser.push(written), ...parser.end()]
  const text = parts.map((part) => (part.type === 'answer-delta' ? part.text : '')).join('')
  const citations = parts.flatMap((part): Citation[] => (part.type === 'citation' ? [part.citation] : []))
  const grounded = await measureGroundedness({ text, citations }, sources, tools)
  return {
    score: grounded?.score,
    sentences: grounded?.sentences.map(({ start, end, ...rest }) => ({ ...rest, text: text.slice(start, end) })),
  }
}

describe('groundedness', () => {
  it('is the share of the content words of a sentence that its sources hold, whatever their endings', async () => {
    expect(await measure('The towers are 330 metres tall [1].')).toEqual({
      score: 1,
      sentences: [{ score: 1, citations: [1], text: expect.stringMatching(/^The towers .* tall/) }],
    })
    // tower, stands, green: one of three.
    expect((await measure('The tower stands green [1].')).score).toBeCloseTo(1 / 3)
  })

  it('counts title and headings, and all sources that are cited together', async () => {
    expect((await measure('Eiffel [1].')).score).toBe(1)
    expect((await measure('The tower was painted [1].')).score).toBe(0.5)
    expect((await measure('The tower was painted [1][2].')).score).toBe(1)
  })

  it('compares with the one source that holds most where none is cited', async () => {
    // tower and tall stand in the first, brown in the second: no source holds all three.
    expect(await measure('A tall brown tower.')).toMatchObject({ score: 2 / 3, sentences: [{ citations: [] }] })
  })

  it('weighs sentences by their words, and gives a marker to the sentence before it', async () => {
    const { score, sentences } = await measure('The tower is tall. [1] Elephants juggle purple lamps. [3][2]')
    expect(sentences).toEqual([
      { score: 1, citations: [1], text: 'The tower is tall.' },
      { score: 0, citations: [2, 3], text: 'Elephants juggle purple lamps.' },
    ])
    expect(score).toBeCloseTo(2 / 6)
  })

  it('is not there for what has no content words', async () => {
    expect(await measure('It is, and so are they. [1]')).toEqual({ score: undefined, sentences: undefined })
    expect(await measure('')).toEqual({ score: undefined, sentences: undefined })
  })
})
