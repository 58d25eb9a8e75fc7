import type { Source } from '../../../src/core/answer.js'
import type { AnswerEvent } from '../../../src/core/events.js'

export function sourceOf(marker: number, more: Partial<Source['chunk']> = {}): Source {
  const text = 'It has two moons, Phobos and Deimos.'
  return {
    marker,
    score: 1 / marker,
    scores: {},
    chunk: {
      id: `chunk-${marker}`,
      documentId: `mars-${marker}.md`,
      ordinal: 0,
      text,
      span: { start: 0, end: text.length, page: 2 },
      title: 'Mars',
      headings: [],
      language: 'english',
      metadata: {},
      ...more,
    },
  }
}

/** The events of a small answer. */
export const events: readonly AnswerEvent[] = [
  { type: 'status', stage: 'retrieve' },
  {
    type: 'sources',
    sources: [sourceOf(1), sourceOf(2, { documentId: 'https://mars.example/moons', title: '' })],
  },
  { type: 'answer-delta', text: 'Two:\nPhobos and ' },
  { type: 'answer-delta', text: 'Deimos [1]' },
  {
    type: 'citation',
    citation: {
      marker: 1,
      position: { start: 23, end: 26 },
      documentId: 'mars-1.md',
      chunkId: 'chunk-1',
      title: 'Mars',
      page: 2,
      span: { start: 0, end: 36 },
      quote: 'It has two moons, Phobos and Deimos.',
    },
  },
  { type: 'answer-delta', text: '.' },
  {
    type: 'metadata',
    outcome: 'answered',
    finishReason: 'length',
    timings: { total: 1 },
    cache: { retrieval: 'off', answer: 'off' },
    model: 'm',
    tokens: { input: 9, output: 3, estimated: false },
    inventedCitations: 0,
  },
]

/** Events as a stream has them, then what is thrown, where anything is. */
export async function* streamOf(
  list: readonly AnswerEvent[],
  failure?: unknown,
): AsyncGenerator<AnswerEvent, void, undefined> {
  yield* list
  if (failure !== undefined) throw failure
}

/** All that a body says. */
export const readAll = (body: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> => new Response(body).text()

/** The messages of an event stream, by the rules of the HTML standard (section 9.2.6), as far as they are used here. */
export function parseSse(text: string): { readonly name: string; readonly data: string }[] {
  return text
    .split('\n\n')
    .slice(0, -1)
    .map((message) => {
      const fields = message.split('\n').filter((line) => !line.startsWith(':'))
      const fieldOf = (field: string): string =>
        fields
          .filter((line) => line.startsWith(`${field}:`))
          .map((line) => line.slice(field.length + 1).replace(/^ /, ''))
          .join('\n')
      return { name: fieldOf('event'), data: fieldOf('data') }
    })
    .filter(({ data }) => data !== '')
}
