import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Channel } from '../../../src/util/channel.js'
import { readAhead } from '../../../src/util/read-ahead.js'
import { stableJson } from '../../../src/util/stable-json.js'

async function collect<Value>(values: AsyncIterable<Value>): Promise<Value[]> {
  const list: Value[] = []
  for await (const value of values) list.push(value)
  return list
}

describe('Channel', () => {
  it('gives the reader everything pushed before and after it began, then ends', async () => {
    const channel = new Channel<number>()
    channel.push(1)
    const reading = collect(channel)
    await Promise.resolve()
    channel.push(2)
    channel.end()
    channel.push(3)
    expect(await reading).toEqual([1, 2])
  })

  it('throws its error after the values before it', async () => {
    const channel = new Channel<number>()
    channel.push(1)
    channel.end(new Error('broken'))
    const seen: number[] = []
    await expect(
      (async () => {
        for await (const value of channel) seen.push(value)
      })(),
    ).rejects.toThrow('broken')
    expect(seen).toEqual([1])
  })
})

describe('readAhead', () => {
  const weighed = { capacity: 3, weigh: () => 1 }

  it('keeps the order and every value', async () => {
    const source = async function* () {
      for (let i = 0; i < 100; i++) yield i
    }
    expect(await collect(readAhead(source(), weighed))).toEqual(Array.from({ length: 100 }, (_, i) => i))
  })

  it('is never further ahead than its capacity', async () => {
    let produced = 0
    let consumed = 0
    const source = async function* () {
      for (;;) {
        produced++
        yield produced
      }
    }
    for await (const _ of readAhead(source(), weighed)) {
      await new Promise(setImmediate)
      consumed++
      expect(produced - consumed).toBeLessThanOrEqual(5)
      if (consumed === 50) break
    }
  })

  it('throws the source’s error after the values before it', async () => {
    const source = async function* () {
      yield 1
      throw new Error('source')
    }
    const seen: number[] = []
    await expect(
      (async () => {
        for await (const value of readAhead(source(), weighed)) seen.push(value)
      })(),
    ).rejects.toThrow('source')
    expect(seen).toEqual([1])
  })

  it('ends the source when its reader stops', async () => {
    let ended = false
    const source = async function* () {
      try {
        for (let i = 0; ; i++) yield i
      } finally {
        ended = true
      }
    }
    for await (const value of readAhead(source(), weighed)) if (value === 2) break
    expect(ended).toBe(true)
  })
})

describe('stableJson', () => {
  it('does not depend on the order of keys, at any depth', () => {
    expect(stableJson({ b: [{ d: 1, c: 2 }], a: null })).toBe('{"a":null,"b":[{"c":2,"d":1}]}')
  })

  it('tells different values apart', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        const equal = JSON.stringify(sorted(a)) === JSON.stringify(sorted(b))
        expect(stableJson(a) === stableJson(b)).toBe(equal)
      }),
      { seed: 4 },
    )
  })
})

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([key, member]) => [key, sorted(member)] as const)
  return { entries: entries.sort(([a], [b]) => (a < b ? -1 : 1)) }
}
