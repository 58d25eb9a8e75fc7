import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Llm, type PrecomputeProgress, UltraFastRAG, type UltraFastRAGOptions } from '../../../src/index.js'

const open: UltraFastRAG[] = []
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ufrag-'))
})
afterEach(async () => {
  for (const rag of open.splice(0)) await rag.close()
  rmSync(folder, { recursive: true, force: true })
})

const questions = ['How tall is the tower?', 'Where is the tower?', 'Who built the tower?']

async function createRag(options: UltraFastRAGOptions = {}) {
  const asked: string[] = []
  const llm: Llm = {
    id: 'model',
    async *generate({ question }) {
      asked.push(question)
      if (question.includes('fail')) throw new Error('down')
      if (!question.includes('silent')) yield `About ${question} [1].`
    },
    async close() {},
  }
  const rag = new UltraFastRAG({ embedder: false, llm, ...options })
  open.push(rag)
  await rag.ingest([{ id: 'a', text: 'The tower of the town is 30 metres tall.' }])
  return { rag, asked }
}

describe('precompute()', () => {
  it('answers questions ahead of time: whoever asks finds the answer', async () => {
    const { asked, rag } = await createRag()
    const seen: PrecomputeProgress[] = []
    const report = await rag.precompute(questions, { onProgress: (progress) => seen.push(progress) })
    expect(report).toMatchObject({ questions: 3, computed: 3, cached: 0, unanswered: 0, failed: [] })
    expect(seen.map(({ questions }) => questions)).toEqual([1, 2, 3])
    for (const question of questions) expect((await rag.query(question)).cache.answer).toBe('hit')
    expect(asked).toHaveLength(3)
    expect(await rag.precompute(questions)).toMatchObject({ computed: 0, cached: 3 })
  })

  it('reads a file, relative to root, one question a line', async () => {
    writeFileSync(join(folder, 'questions.txt'), `\r\n${questions.join('\r\n')}\n\n  \n`)
    const { asked, rag } = await createRag({ root: folder })
    expect(await rag.precompute('questions.txt', { concurrency: 1 })).toMatchObject({ questions: 3, computed: 3 })
    expect(asked).toEqual(questions)
    await expect(rag.precompute('missing.txt')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  it('takes an async source no faster than it answers, and ends it', async () => {
    const { rag } = await createRag()
    let given = 0
    let ended = false
    async function* source() {
      try {
        for (const question of Array.from({ length: 50 }, (_, i) => `Question ${i} of the tower?`)) {
          given++
          yield question
        }
      } finally {
        ended = true
      }
    }
    const controller = new AbortController()
    const call = rag.precompute(source(), {
      concurrency: 2,
      signal: controller.signal,
      onProgress: ({ questions }) => {
        if (questions === 5) controller.abort('enough')
      },
    })
    await expect(call).rejects.toBe('enough')
    await new Promise((resolve) => setTimeout(resolve, 10))
    expect(given).toBeLessThan(10)
    expect(ended).toBe(true)
  })

  it('lists what failed by its place, and goes on', async () => {
    const { rag } = await createRag()
    const report = await rag.precompute(['What is the tower?', ' ', 'fail the tower', 'silent tower', 'Which tower?'])
    expect(report).toMatchObject({ questions: 4, computed: 3, unanswered: 1 })
    expect(report.failed.map(({ place }) => place)).toEqual([2])
  })

  it('keeps answers for as long as it is told', async () => {
    const { rag } = await createRag({ cacheTtlMs: 1 })
    await rag.precompute([questions[0] as string], { ttlMs: 60_000 })
    await rag.precompute([questions[1] as string])
    await new Promise((resolve) => setTimeout(resolve, 10))
    expect((await rag.query(questions[0] as string)).cache.answer).toBe('hit')
    expect((await rag.query(questions[1] as string)).cache.answer).toBe('miss')
  })

  it('ends with what onProgress throws', async () => {
    const { rag } = await createRag()
    const call = rag.precompute(questions, {
      onProgress: () => {
        throw new Error('stop')
      },
    })
    await expect(call).rejects.toThrow('stop')
  })

  it('ends when it is told to, though its source waits', async () => {
    const { rag } = await createRag()
    const controller = new AbortController()
    async function* source() {
      yield questions[0] as string
      await new Promise(() => {})
    }
    const options = { signal: controller.signal, onProgress: () => controller.abort('enough') }
    await expect(rag.precompute(source(), options)).rejects.toBe('enough')
  })

  it('refuses what it cannot use', async () => {
    const { rag } = await createRag()
    await expect(rag.precompute([7 as never])).rejects.toMatchObject({ code: 'BAD_INPUT' })
    await expect(rag.precompute(questions, { concurrency: 0 })).rejects.toMatchObject({ code: 'BAD_OPTION' })
    const off = await createRag({ cacheAnswers: false })
    await expect(off.rag.precompute(questions)).rejects.toMatchObject({ code: 'BAD_OPTION' })
  })
})

describe('the cache as a whole', () => {
  it('tells what it holds, forgets it, and removes what has expired', async () => {
    const { rag, asked } = await createRag()
    await rag.query(questions[0] as string)
    expect(await rag.cacheStats()).toMatchObject({ kind: 'memory', entries: 2 })
    expect(await rag.pruneCache()).toBe(0)
    await rag.clearCache()
    expect(await rag.cacheStats()).toMatchObject({ entries: 0 })
    await rag.query(questions[0] as string)
    expect(asked).toHaveLength(2)
  })

  it('is on disk what every process of the store sees', async () => {
    const storage = join(folder, 'store')
    const { rag } = await createRag({ storage })
    await rag.precompute(questions)
    await rag.close()
    const other = await createRag({ storage })
    expect((await other.rag.cacheStats()).kind).toBe('disk')
    expect((await other.rag.cacheStats()).entries).toBe(3)
    await other.rag.clearCache()
    expect((await other.rag.cacheStats()).entries).toBe(0)
  })

  it('is none where there is none', async () => {
    const { rag } = await createRag({ cache: false })
    expect(await rag.cacheStats()).toMatchObject({ kind: 'none', entries: 0 })
    await rag.clearCache()
  })
})
