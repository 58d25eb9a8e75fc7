import { describe, expect, it } from 'vitest'
import type { DroppedStage } from '../../../src/core/answer.js'
import { Budget, type BudgetOptions } from '../../../src/pipelines/steps/budget.js'
import { rerankInTime } from '../../../src/pipelines/steps/rerank-in-time.js'
import { StageEstimates } from '../../../src/pipelines/steps/stage-estimates.js'
import { createFakeReranker } from '../../../src/testing/fakes.js'

function create({ budgetMs = 100, until = 'first-token' as BudgetOptions['until'] } = {}) {
  let time = 1_000
  const now = () => time
  const estimates = new StageEstimates({ now })
  const told: DroppedStage[] = []
  const budget = new Budget({ budgetMs, began: time, until, estimates, now, onDrop: (stage) => told.push(stage) })
  const pass = (milliseconds: number): void => {
    time += milliseconds
  }
  return { budget, estimates, now, pass, told }
}

describe('a budget', () => {
  it('leaves a stage what is left of it, less what must come behind the stage', () => {
    const { budget, estimates, pass } = create()
    for (const [stage, took] of [['retrieve', 8] as const, ['pack', 1] as const, ['firstToken', 40] as const])
      estimates.note(stage, took)
    pass(11)
    expect(budget.room('hyde')).toBe(100 - 11 - 8 - 1 - 40)
    expect(budget.room('rerank')).toBe(100 - 11 - 1 - 40)
    expect(budget.room('expand')).toBe(100 - 11 - 1 - 40)
  })

  it('waits for no model where only hits are wanted', () => {
    const { budget, estimates } = create({ until: 'hits' })
    for (const stage of ['retrieve', 'pack', 'firstToken']) estimates.note(stage, 30)
    expect([budget.room('multiQuery'), budget.room('rerank')]).toEqual([70, 100])
  })

  it('drops what takes longer, once, and tells of it', () => {
    const { budget, estimates, told } = create()
    estimates.note('slow', 101)
    estimates.note('fast', 100)
    expect(budget.admit('hyde', 'fast')).toBe(100)
    expect([budget.admit('rerank', 'slow'), budget.admit('rerank', 'slow')]).toEqual([undefined, undefined])
    expect([budget.dropped, told]).toEqual([['rerank'], ['rerank']])
  })

  it('tries what was never measured, while there is any time', () => {
    const { budget, pass } = create()
    pass(99)
    expect(budget.admit('hyde', 'new')).toBe(1)
    pass(1)
    expect(budget.admit('rerank', 'new')).toBeUndefined()
  })

  it('tries a slow stage again after five seconds, for one question', () => {
    const { budget, estimates, pass } = create()
    estimates.note('slow', 500)
    pass(5_000)
    const later = budget.anew()
    expect([later.admit('rerank', 'slow'), later.anew().admit('rerank', 'slow')]).toEqual([100, undefined])
  })

  it('is spared for the next question, and not told of what is done beside one', () => {
    const { budget, pass, told } = create()
    pass(100)
    expect(budget.apart().admit('rerank', 'new')).toBeUndefined()
    expect([budget.dropped, told]).toEqual([[], []])
    expect(budget.anew().admit('rerank', 'new')).toBe(100)
  })
})

describe('reranking in time', () => {
  const hits = ['a fox', 'a red fox', 'a dog'].map((text, number) => {
    const span = { start: 0, end: text.length }
    const chunk = {
      id: text,
      documentId: text,
      title: '',
      headings: [],
      ordinal: 0,
      text,
      span,
      language: 'en',
      metadata: {},
    }
    return { number, hit: { chunk, score: 1 - number / 10, scores: {} } }
  })
  const question = { text: 'red fox', topK: 3, embedder: undefined, signal: undefined }
  const numbers = (ranked: readonly { readonly number: number }[]) => ranked.map(({ number }) => number)

  function tools(created: ReturnType<typeof create>) {
    const { budget, estimates, now } = created
    const reranker = createFakeReranker()
    const begun: string[] = []
    const given = {
      budget,
      estimates,
      now,
      onBegin: () => void begun.push('begun'),
      namespace: undefined as never,
      turn: async () => {},
      recorder: { stage() {}, count() {} },
      logger: { debug() {}, info() {}, warn() {}, error() {} },
    }
    const reranking = { id: 'fake', fingerprint: 'fake', open: async () => reranker, candidates: 20 }
    return { begun, given, reranker, reranking }
  }

  it('does not ask a reranker that took longer for as many hits than there is time', async () => {
    const created = create()
    const { begun, given, reranker, reranking } = tools(created)
    created.estimates.note('rerank.fake.2', 101)
    const { hits: ranked, isDropped } = await rerankInTime(hits, question, reranking, given)
    expect([numbers(ranked), isDropped, begun, reranker.requests]).toEqual([[0, 1, 2], true, [], []])
  })

  it('asks it for fewer hits, and remembers how long that took', async () => {
    const created = create()
    const { begun, given, reranking } = tools(created)
    created.estimates.note('rerank.fake.2', 101)
    const { hits: ranked, isDropped } = await rerankInTime(hits.slice(0, 2), question, reranking, given)
    expect([numbers(ranked), isDropped, begun]).toEqual([[1, 0], false, ['begun']])
    expect(created.estimates.estimate('rerank.fake.1')).toBe(0)
  })

  it('drops nothing where there is one hit, which has no order', async () => {
    const created = create()
    created.pass(500)
    const { given, reranking } = tools(created)
    const { isDropped } = await rerankInTime(hits.slice(0, 1), question, reranking, given)
    expect([isDropped, created.budget.dropped]).toEqual([false, []])
  })
})
