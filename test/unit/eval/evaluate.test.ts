import { describe, expect, it } from 'vitest'
import type { LabelledSet } from '../../../src/eval/dataset.js'
import { compareEvaluations, documentsOf, type EvaluatedRag, evaluate } from '../../../src/eval/evaluate.js'
import { mean } from '../../../src/eval/metrics.js'
import { reportOf } from '../../../src/eval/report.js'
import { type Hit, type RetrieveOptions, UltraFastRAG } from '../../../src/index.js'

const topics = ['fox', 'bread', 'tide', 'tower', 'moon']
const set: LabelledSet = {
  name: 'small',
  documents: topics.map((topic) => ({ id: topic, title: '', text: `All about the ${topic}, and nothing else.` })),
  queries: topics.map((topic) => ({ id: `q-${topic}`, text: `what of the ${topic}`, relevant: new Map([[topic, 1]]) })),
}

/** Finds the given documents, whatever is asked. */
function finding(
  idsFor: (question: string) => readonly string[],
  asked: [string, RetrieveOptions][] = [],
): EvaluatedRag {
  return {
    async retrieve(question, options = {}) {
      asked.push([question as string, options])
      return idsFor(question as string).map(
        (documentId) => ({ chunk: { documentId }, score: 1, scores: {} }) as unknown as Hit,
      )
    },
  }
}
const topicOf = (question: string) => question.split(' ').at(-1) as string

describe('an evaluation', () => {
  it('asks every question and measures documents in the order they are found', async () => {
    const asked: [string, RetrieveOptions][] = []
    const rag = finding((question) => (topicOf(question) === 'moon' ? ['fox'] : ['x', topicOf(question), 'y']), asked)
    const { means, values, questions, k, name } = await evaluate(rag, set, { k: 3, retrieve: { rerank: false } })
    expect(questions).toEqual(topics.map((topic) => `q-${topic}`))
    expect([name, k]).toEqual(['default', 3])
    const second = 1 / Math.log2(3)
    expect(values.ndcg).toEqual([second, second, second, second, 0])
    expect(values.reciprocalRank).toEqual([0.5, 0.5, 0.5, 0.5, 0])
    expect(means.recall).toBeCloseTo(0.8, 12)
    expect(means.precision).toBeCloseTo(mean([1 / 3, 1 / 3, 1 / 3, 1 / 3, 0]), 12)
    // One more to begin with, which is not measured.
    expect(asked).toHaveLength(6)
    expect(asked[1]?.[1]).toMatchObject({ topK: 3, groupBy: 'document', rerank: false })
  })

  it('keeps values with their questions when several are asked at a time', async () => {
    const rag: EvaluatedRag = {
      async retrieve(question) {
        await new Promise((resolve) => setTimeout(resolve, topicOf(question as string).length % 3))
        return finding((one) => (topicOf(one) === 'tide' ? [] : [topicOf(one)])).retrieve(question)
      },
    }
    const { values } = await evaluate(rag, set, { concurrency: 4 })
    expect(values.ndcg).toEqual([1, 1, 0, 1, 1])
  })

  it('stops when it is aborted, and with the error of the search', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    const onProgress = ({ done }: { done: number }) => done === 2 && controller.abort(reason)
    await expect(
      evaluate(
        finding(() => []),
        set,
        { signal: controller.signal, onProgress },
      ),
    ).rejects.toBe(reason)
    const broken: EvaluatedRag = { retrieve: async () => Promise.reject(reason) }
    await expect(evaluate(broken, set)).rejects.toBe(reason)
  })

  it('of a library that has the documents finds them', async () => {
    const rag = new UltraFastRAG()
    const untitled = { ...set, documents: [...set.documents, { id: 'bare', title: 'A bare title', text: ' ' }] }
    expect(await rag.ingest(documentsOf(untitled))).toMatchObject({ documents: 6, failed: [] })
    const { means, latency } = await evaluate(rag, set)
    expect(means).toMatchObject({ ndcg: 1, recall: 1, reciprocalRank: 1, averagePrecision: 1 })
    expect(latency.p50Ms).toBeGreaterThan(0)
    expect((await rag.retrieve('bare title'))[0]?.chunk.documentId).toBe('bare')
    await rag.close()
  })
})

describe('a report', () => {
  const good = () =>
    evaluate(
      finding((question) => [topicOf(question)]),
      set,
      { name: 'good <one> & "all"' },
    )
  const bad = () =>
    evaluate(
      finding(() => []),
      set,
      { name: 'bad | worse' },
    )

  it('compares systems with the first one, as a table, as Markdown and as data', async () => {
    const [baseline, candidate] = [await bad(), await good()]
    expect(compareEvaluations(baseline, candidate)).toMatchObject({ difference: 1, low: 1, high: 1 })
    const { rows, text, data } = reportOf([baseline, candidate], { pictureFile: 'small.svg' })
    expect(rows).toHaveLength(3)
    expect(new Set(rows.map(({ length }) => length)).size).toBe(1)
    expect(rows[2]?.slice(0, 2)).toEqual([candidate.name, '1.0000'])
    expect(rows[2]).toContain('+1.0000 (+1.0000 to +1.0000)')
    expect(text).toContain('![nDCG against latency](small.svg)')
    expect(text).toContain('bad \\| worse')
    const copy = JSON.parse(JSON.stringify(data))
    expect(copy.systems[1].values.ndcg).toEqual([1, 1, 1, 1, 1])
  })

  it('has a picture that is well-formed, with a point for each system', async () => {
    const { picture } = reportOf([await bad(), await good()], { pictureFile: 'x.svg' })
    expect(picture.match(/r="5"/g)).toHaveLength(2)
    expect(picture).toContain('good &lt;one&gt; &amp; &quot;all&quot;')
    expect(picture).not.toMatch(/NaN|Infinity|undefined/)
    const open: string[] = []
    for (const [, close, name, alone] of picture.matchAll(/<(\/?)(\w+)[^>]*?(\/?)>/g)) {
      if (close === '/') expect(open.pop()).toBe(name)
      else if (alone !== '/') open.push(name as string)
    }
    expect(open).toEqual([])
  })
})
