import { describe, expect, it } from 'vitest'
import { hashSeed, hashUnit, TokenTable } from '../../../src/text/token-table.js'

/** Looks a token up in the middle of a buffer. */
function find(table: TokenTable, token: string): number {
  const buffer = Uint16Array.from(`x${token}x`, (unit) => unit.charCodeAt(0))
  const end = token.length + 1
  return table.find(buffer, 1, end, buffer.subarray(1, end).reduce(hashUnit, hashSeed))
}

describe('a token table', () => {
  it('finds its tokens and no others', () => {
    const tokens = Array.from({ length: 5000 }, (_, i) => `t${i.toString(36)}é中`)
    const table = new TokenTable(tokens, [...tokens.keys()])
    expect(tokens.map((token) => find(table, token))).toEqual([...tokens.keys()])
    for (const other of ['', 't', 't0é', 't0é中x', 'T0é中', '\0']) expect(find(table, other)).toBe(-1)
  })

  it('tells tokens of one hash and length apart', () => {
    // FNV-1a of both is the same.
    const [one, other] = ['rjlizpsq', 'ekaweyun'] as const
    const hashOf = (token: string) => [...token].map((unit) => unit.charCodeAt(0)).reduce(hashUnit, hashSeed)
    expect(hashOf(one)).toBe(hashOf(other))
    expect(find(new TokenTable([one], [1]), other)).toBe(-1)
    const both = new TokenTable([one, other], [1, 2])
    expect([find(both, one), find(both, other)]).toEqual([1, 2])
  })

  it('gives equal tokens the last id', () => {
    const table = new TokenTable(['a', 'b', 'a'], [1, 2, 3])
    expect([find(table, 'a'), find(table, 'b')]).toEqual([3, 2])
    expect([...table.entries()].sort()).toEqual([
      ['a', 3],
      ['b', 2],
    ])
  })

  it('lists its tokens in their order', () => {
    const tokens = ['z', '', 'y\0', '\ud83d\ude00', 'a']
    expect([...new TokenTable(tokens, [9, 8, 7, 6, 5]).entries()]).toEqual(tokens.map((token, i) => [token, 9 - i]))
  })

  it('may be empty', () => {
    const table = new TokenTable([], [])
    expect(find(table, 'a')).toBe(-1)
    expect(find(table, '')).toBe(-1)
    expect(table.longest).toBe(0)
    expect([...table.entries()]).toEqual([])
  })
})
