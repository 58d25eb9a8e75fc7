import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Chunk, type Hit, type RetrieveOptions, UltraFastRAG } from '../../../src/index.js'
import { randomNumbers } from '../../../src/util/random.js'

const numbered = (place: number) =>
  `This is sentence number ${place} of the document, and it has a word${place} of its own.`
const sections = [0, 1, 2].map((section) => {
  const lines = Array.from({ length: 4 }, (_, line) => numbered(section * 4 + line))
  return `# Section ${section}\n\n${lines.join('\n\n')}`
})

let rag: UltraFastRAG
let chunks: readonly Chunk[] = []
beforeAll(async () => {
  rag = new UltraFastRAG({ chunkSize: 120 })
  await rag.ingest([
    { id: 'guide', text: sections.join('\n\n'), mediaType: 'text/markdown' },
    { id: 'other', text: 'Another document with word5 in it.' },
    { id: 'made', chunks: [{ text: 'one apple' }, { text: 'two pears' }, { text: 'three plums' }] },
  ])
  const hits = await rag.retrieve('sentence number document word', { topK: 100, filter: { $id: 'guide' } })
  chunks = hits.map(({ chunk }) => chunk).sort((a, b) => a.ordinal - b.ordinal)
})
afterAll(() => rag.close())

const find = async (words: string, options: RetrieveOptions): Promise<Hit> =>
  (await rag.retrieve(words, { topK: 1, ...options }))[0] as Hit
const wordsIn = (text: string) => [...text.matchAll(/word(\d+)/g)].map(([, number]) => Number(number))

describe('expand', () => {
  it('is off unless it is asked for', async () => {
    expect(chunks).toHaveLength(12)
    expect(await find('word5', { filter: { $id: 'guide' } })).not.toHaveProperty('context')
  })

  it('"neighbours" brings the passage before and the one behind, and the hit stays as it is', async () => {
    const plain = await find('word5', { filter: { $id: 'guide' } })
    const { context, ...hit } = await find('word5', { filter: { $id: 'guide' }, expand: 'neighbours' })
    expect(hit).toEqual(plain)
    expect(wordsIn(context?.text ?? '')).toEqual([4, 5, 6])
    expect(context?.span).toEqual({ start: chunks[4]?.span.start, end: chunks[6]?.span.end })
  })

  it('"section" brings what stands under the same headings, and nothing else', async () => {
    for (const place of [4, 5, 7]) {
      const { context } = await find(`word${place}`, { filter: { $id: 'guide' }, expand: 'section' })
      expect(wordsIn(context?.text ?? '')).toEqual([4, 5, 6, 7])
    }
  })

  it('takes as many before and behind as are asked for, and as fit', async () => {
    const around = async (place: number, expand: object) =>
      wordsIn((await find(`word${place}`, { filter: { $id: 'guide' }, expand })).context?.text ?? '')
    expect(await around(5, { before: 2, after: 0 })).toEqual([3, 4, 5])
    expect(await around(5, { before: 0, after: 0 })).toEqual([5])
    expect(await around(5, { before: 0 })).toEqual([5, 6])
    expect(await around(0, { before: 5, after: 2 })).toEqual([0, 1, 2])
    expect(await around(11, { before: 1, after: 5 })).toEqual([10, 11])
    expect(await around(5, { before: 9, after: 9, maxChars: 200 })).toEqual([5, 6])
    expect(await around(5, { before: 9, after: 9, maxChars: 1 })).toEqual([5])
    expect(await around(5, { before: 1_000, after: 1_000, maxChars: 100_000 })).toEqual([...Array(12).keys()])
  })

  it('gives hits whose contexts meet one context, and others their own', async () => {
    const hits = await rag.retrieve('word1 word3 word10', { topK: 3, expand: 'neighbours', filter: { $id: 'guide' } })
    const contextOf = (word: number) => hits.find(({ chunk }) => wordsIn(chunk.text)[0] === word)?.context
    expect(contextOf(1)).toBe(contextOf(3))
    expect(wordsIn(contextOf(1)?.text ?? '')).toEqual([0, 1, 2, 3, 4])
    expect(wordsIn(contextOf(10)?.text ?? '')).toEqual([9, 10, 11])
  })

  it('never leaves the document, also among chunks that were made elsewhere', async () => {
    expect((await find('word5', { filter: { $id: 'other' }, expand: 'section' })).context?.text).toBe(
      'Another document with word5 in it.',
    )
    expect((await find('pears', { expand: 'neighbours' })).context?.text).toBe('one apple\n\ntwo pears\n\nthree plums')
  })

  it('is the exact text of the document, whatever is asked for', async () => {
    const random = randomNumbers(3)
    const whole = (
      await find('word5', { filter: { $id: 'guide' }, expand: { before: 1_000, after: 1_000, maxChars: 1e6 } })
    ).context as { text: string; span: { start: number } }
    for (let run = 0; run < 60; run++) {
      const pick = (most: number) => Math.floor(random() * most)
      const words = Array.from({ length: 1 + pick(4) }, () => `word${pick(12)}`).join(' ')
      const expand = { before: pick(4), after: pick(4), maxChars: 50 + pick(800) }
      const hits = await rag.retrieve(words, { topK: 1 + pick(6), expand, filter: { $id: 'guide' } })
      for (const { chunk, context } of hits) {
        const { start, end } = context?.span ?? { start: 0, end: 0 }
        expect(context?.text).toBe(whole.text.slice(start - whole.span.start, end - whole.span.start))
        expect(start).toBeLessThanOrEqual(chunk.span.start)
        expect(end).toBeGreaterThanOrEqual(chunk.span.end)
        for (const { context: other } of hits) {
          if (other !== context)
            expect((other?.span.end as number) < start || end < (other?.span.start as number)).toBe(true)
        }
      }
    }
  })

  it('shows a model each context once, and cites sentences of it', async () => {
    const prompts: string[][] = []
    const answering = new UltraFastRAG({
      chunkSize: 120,
      llm: async function* ({ sources }) {
        prompts.push(sources.map(({ text }) => text))
        yield 'It has a word6 of its own [1].'
      },
    })
    await answering.ingest([{ id: 'guide', text: sections.join('\n\n'), mediaType: 'text/markdown' }])
    const { citations, sources } = await answering.query('word5 word7', { expand: 'section' })
    expect(prompts[0]?.map(wordsIn)).toEqual([[4, 5, 6, 7]])
    expect(sources).toHaveLength(1)
    expect(citations[0]).toMatchObject({ marker: 1, documentId: 'guide', quote: numbered(6) })
    const { span } = citations[0] as { span: { start: number; end: number } }
    const text = sources[0]?.context as { text: string; span: { start: number } }
    expect(text.text.slice(span.start - text.span.start, span.end - text.span.start)).toBe(numbered(6))
    await answering.close()
  })

  it('is refused when it is none', async () => {
    for (const expand of ['sections', { before: -1 }, { maxChars: 0 }, { bevore: 1 }, { after: 1.5 }, null, 3]) {
      await expect(rag.retrieve('word5', { expand: expand as never })).rejects.toMatchObject({ code: 'BAD_OPTION' })
    }
  })
})
