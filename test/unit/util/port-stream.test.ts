import { MessageChannel } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { receiveFrom, sendThrough } from '../../../src/util/port-stream.js'

async function* count(to: number, made: number[] = [], left: { value: boolean } = { value: false }) {
  try {
    for (let i = 0; i < to; i++) {
      made.push(i)
      yield i
    }
  } finally {
    left.value = true
  }
}

async function collect(values: AsyncIterable<unknown>): Promise<unknown[]> {
  const all: unknown[] = []
  for await (const value of values) all.push(value)
  return all
}

describe('a stream through a port', () => {
  it('arrives whole and in order', async () => {
    const { port1, port2 } = new MessageChannel()
    const sent = sendThrough(port1, count(500))
    expect(await collect(receiveFrom(port2))).toEqual(Array.from({ length: 500 }, (_, i) => i))
    await sent
  })

  it('of nothing ends', async () => {
    const { port1, port2 } = new MessageChannel()
    const sent = sendThrough(port1, count(0))
    expect(await collect(receiveFrom(port2))).toEqual([])
    await sent
  })

  it('is not made ahead of its reader', async () => {
    const { port1, port2 } = new MessageChannel()
    const made: number[] = []
    const sent = sendThrough(port1, count(100, made))
    const reading = receiveFrom(port2)
    for (let i = 0; i < 10; i++) {
      await reading.next()
      expect(made.length).toBeLessThanOrEqual(i + 2)
    }
    await reading.return()
    await sent
    expect(made.length).toBeLessThanOrEqual(12)
  })

  it('ends what makes it when its reader leaves', async () => {
    const { port1, port2 } = new MessageChannel()
    const left = { value: false }
    const sent = sendThrough(port1, count(100, [], left))
    for await (const value of receiveFrom(port2)) if (value === 3) break
    await sent
    expect(left.value).toBe(true)
  })

  it('that breaks off rejects for both', async () => {
    const { port1, port2 } = new MessageChannel()
    async function* broken() {
      yield 1
      throw new Error('broken')
    }
    const sent = sendThrough(port1, broken())
    sent.catch(() => {})
    await expect(collect(receiveFrom(port2))).rejects.toMatchObject({ code: 'WORKER', retryable: true })
    await expect(sent).rejects.toThrow('broken')
  })

  it('stops waiting when it is aborted', async () => {
    const { port1, port2 } = new MessageChannel()
    const controller = new AbortController()
    const receiving = collect(receiveFrom(port2, controller.signal))
    setImmediate(() => controller.abort(new Error('enough')))
    await expect(receiving).rejects.toThrow('enough')
    port1.close()
  })
})
