import { describe, expect, it } from 'vitest'
import { createOwnedParts } from '../../../src/compose/owned-parts.js'

interface Made {
  close(): Promise<void>
}

function setUp() {
  const events: string[] = []
  const parts = createOwnedParts(() => new Error('closed'))
  const made = (name: string, close: () => Promise<void> = async () => {}): Made => ({
    async close() {
      events.push(name)
      await close()
    },
  })
  return { events, parts, made }
}

describe('parts', () => {
  it('are opened once, again after a failure, and closed in the opposite order', async () => {
    const { events, made, parts } = setUp()
    let attempts = 0
    const first = parts.part(async () => {
      if (attempts++ === 0) throw new Error('not yet')
      return made('first')
    })
    const second = parts.part(async () => made('second'))
    await expect(first()).rejects.toThrow('not yet')
    expect(await first()).toBe(await first())
    await second()
    await parts.close()
    expect([attempts, ...events]).toEqual([2, 'second', 'first'])
  })

  it('are all closed where one of them fails to, and its failure is told', async () => {
    const { events, made, parts } = setUp()
    await parts.part(async () => made('first'))()
    await parts.part(async () => made('second', () => Promise.reject(new Error('stuck'))))()
    await expect(parts.close()).rejects.toThrow('stuck')
    expect(events).toEqual(['second', 'first'])
  })

  it('are closed that are still being opened when all are, and are not opened afterwards', async () => {
    const { events, made, parts } = setUp()
    const slow = deferred<Made>()
    const opening = parts.part(() => slow.promise)()
    opening.catch(() => {})
    const closing = parts.close()
    slow.resolve(made('late'))
    await closing
    await expect(opening).rejects.toThrow('closed')
    expect(events).toEqual(['late'])
    await expect(parts.part(async () => made('never'))()).rejects.toThrow('closed')
    expect(events).toEqual(['late'])
  })

  it('that take long to open keep nobody from closing, and are closed when they are there', async () => {
    const { events, made, parts } = setUp()
    const slow = deferred<Made>()
    const opening = parts.part(() => slow.promise)()
    opening.catch(() => {})
    await parts.close()
    expect(events).toEqual([])
    slow.resolve(made('late'))
    await expect(opening).rejects.toThrow('closed')
    expect(events).toEqual(['late'])
  })
})

function deferred<Value>() {
  let resolve: (value: Value) => void = () => {}
  const promise = new Promise<Value>((done) => {
    resolve = done
  })
  return { promise, resolve }
}
