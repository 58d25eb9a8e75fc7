import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { BatchProcessor } from '../../../src/util/batch-processor.js'

const turn = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)))

/** Batches that end when they are told to. */
function setUp(options: { maxItems?: number; concurrency?: number; timeoutMs?: number } = {}) {
  const begun: { items: readonly string[]; signal: AbortSignal; end(): void; fail(error: unknown): void }[] = []
  const processor = new BatchProcessor<string, string>({
    maxItems: 4,
    concurrency: 1,
    ...options,
    process: (items, signal) =>
      new Promise((resolve, reject) => {
        begun.push({ items, signal, end: () => resolve(items.map((item) => item.toUpperCase())), fail: reject })
        signal.addEventListener('abort', () => reject(signal.reason))
      }),
  })
  const batches = () => begun.map(({ items }) => items)
  return { processor, begun, batches }
}

describe('a batch processor', () => {
  it('sends a lone item on at once, also where items may wait for others', async () => {
    const { batches, begun, processor } = setUp({ timeoutMs: 60_000 })
    const result = processor.run('a')
    await turn()
    expect(batches()).toEqual([['a']])
    begun[0]?.end()
    expect(await result).toBe('A')
  })

  it('gives each caller the result of its item, in batches of what came meanwhile, as large as they may be', async () => {
    const { batches, begun, processor } = setUp()
    const results = [...'abcdefg'].map((item) => processor.run(item))
    await turn()
    results.push(processor.run('h'), processor.run('i'))
    await turn()
    expect(batches()).toEqual([['a', 'b', 'c', 'd']])
    expect(processor.queued).toBe(5)
    for (const place of [0, 1, 2]) {
      begun[place]?.end()
      await turn()
    }
    expect(batches().slice(1)).toEqual([['e', 'f', 'g', 'h'], ['i']])
    expect(await Promise.all(results)).toEqual([...'ABCDEFGHI'])
  })

  it('has no more batches at work than it may', async () => {
    const { begun, batches, processor } = setUp({ concurrency: 2, maxItems: 1 })
    const results = [...'abcd'].map((item) => processor.run(item))
    await turn()
    expect(batches()).toEqual([['a'], ['b']])
    begun[1]?.end()
    await turn()
    expect(batches()).toEqual([['a'], ['b'], ['c']])
    begun[0]?.end()
    begun[2]?.end()
    await turn()
    begun[3]?.end()
    expect(await Promise.all(results)).toEqual([...'ABCD'])
  })

  it('waits for others while a batch is at work, until the time is over or the batch is full', async () => {
    const { begun, batches, processor } = setUp({ concurrency: 3, maxItems: 2, timeoutMs: 50 })
    const results = [processor.run('a')]
    await turn()
    results.push(processor.run('b'))
    await turn()
    expect(batches()).toEqual([['a']])
    results.push(processor.run('c'))
    await turn()
    expect(batches()).toEqual([['a'], ['b', 'c']])
    results.push(processor.run('d'))
    await turn()
    expect(batches()).toHaveLength(2)
    await wait(80)
    expect(batches()).toEqual([['a'], ['b', 'c'], ['d']])
    for (const { end } of begun) end()
    expect(await Promise.all(results)).toEqual([...'ABCD'])
  })

  it('gives up what is aborted: before it is in a batch, or the batch when nobody waits for it', async () => {
    const { begun, batches, processor } = setUp()
    const [first, second, third] = [new AbortController(), new AbortController(), new AbortController()]
    const results = [processor.run('a', first.signal), processor.run('b', second.signal)]
    await turn()
    results.push(processor.run('c', third.signal))
    const settled = Promise.allSettled(results)
    third.abort('third')
    first.abort('first')
    await turn()
    expect(begun[0]?.signal.aborted).toBe(false)
    second.abort('second')
    await turn()
    expect(begun[0]?.signal.aborted).toBe(true)
    expect(await settled).toEqual(['first', 'second', 'third'].map((reason) => ({ status: 'rejected', reason })))
    expect(batches()).toEqual([['a', 'b']])
    await expect(processor.run('d', third.signal)).rejects.toBe('third')
  })

  it('fails the items of the batch that failed, and goes on with the next', async () => {
    const { begun, processor } = setUp({ maxItems: 2 })
    const results = Promise.allSettled([...'abc'].map((item) => processor.run(item)))
    await turn()
    begun[0]?.fail('broken')
    await turn()
    begun[1]?.end()
    expect((await results).map((result) => (result.status === 'rejected' ? result.reason : result.value))).toEqual([
      'broken',
      'broken',
      'C',
    ])
  })

  it('fails the items when what processes them throws at once', async () => {
    const processor = new BatchProcessor<string, string>({
      maxItems: 2,
      concurrency: 1,
      process: () => {
        throw new Error('broken')
      },
    })
    await expect(processor.run('a')).rejects.toThrow('broken')
    await expect(processor.run('b')).rejects.toThrow('broken')
  })
})
