import { afterEach, describe, expect, it } from 'vitest'
import { UltraFastRAG, type UltraFastRAGOptions } from '../../../src/index.js'
import { createFakeEmbedder } from '../../../src/testing/index.js'

const opened: UltraFastRAG[] = []
afterEach(() => Promise.all(opened.splice(0).map((rag) => rag.close())))

async function open(options: UltraFastRAGOptions): Promise<UltraFastRAG> {
  const rag = new UltraFastRAG({ embedder: createFakeEmbedder(), ...options })
  opened.push(rag)
  await rag.ingest(
    Array.from({ length: 40 }, (_, place) => ({ id: `d${place}`, text: `document ${place} of fox ${place % 7}` })),
  )
  return rag
}

const recallOf = (rag: UltraFastRAG) => rag.tracker.summary().gauges.recall

async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; !holds() && turn < 2_000; turn++) await new Promise((resolve) => setTimeout(resolve, 1))
  expect(holds()).toBe(true)
}

describe('recallSampleRate', () => {
  it('tells the recall of an approximate index once questions were asked', async () => {
    const rag = await open({ vectorIndex: 'usearch', recallSampleRate: 1 })
    expect(recallOf(rag)).toEqual({ samples: 0, stale: 0 })
    await rag.retrieve('fox 3')
    await until(() => (recallOf(rag)?.samples ?? 0) > 0)
    expect(recallOf(rag)).toEqual({ recall10: 1, least: 1, samples: 1, stale: 0 })
    await rag.query('fox 4', { filter: { $id: 'd4' } })
    await until(() => recallOf(rag)?.samples === 2)
    expect(rag.tracker.summary().counters).not.toHaveProperty('recall.failed')
  })

  it('is for indexes that are not exact, and off unless it is asked for', async () => {
    const exact = await open({ vectorIndex: 'flat', recallSampleRate: 1 })
    await exact.retrieve('fox 3')
    const unasked = await open({ vectorIndex: 'usearch' })
    await unasked.retrieve('fox 3')
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(recallOf(exact)).toEqual({ samples: 0, stale: 0 })
    expect(recallOf(unasked)).toBeUndefined()
  })

  it('does not hold up close()', async () => {
    const rag = await open({ vectorIndex: 'usearch', recallSampleRate: 1 })
    await rag.retrieve('fox 3')
    await rag.close()
    await expect(rag.retrieve('fox 3')).rejects.toMatchObject({ code: 'CLOSED' })
  })

  it.each([-0.1, 1.1, Number.NaN, '1'])('of %s is refused', (recallSampleRate) => {
    expect(() => new UltraFastRAG({ recallSampleRate: recallSampleRate as never })).toThrow(
      expect.objectContaining({ code: 'BAD_OPTION' }),
    )
  })
})
