import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { copyJson } from '../../../src/util/copy-json.js'

describe('copyJson', () => {
  it('gives an equal value in which every object is another one', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
        const copy = copyJson(value)
        expect(JSON.stringify(copy)).toBe(JSON.stringify(value))
        expect(objectsOf(copy).some((inner) => objectsOf(value).includes(inner))).toBe(false)
      }),
      { seed: 4, numRuns: 200 },
    )
  })

  it('keeps a key that is called __proto__, and no prototype comes of it', () => {
    const value = JSON.parse('{"__proto__":{"polluted":true}}') as object
    const copy = copyJson(value)
    expect(JSON.stringify(copy)).toBe('{"__proto__":{"polluted":true}}')
    expect('polluted' in copy).toBe(false)
  })
})

function objectsOf(value: unknown): object[] {
  if (typeof value !== 'object' || value === null) return []
  return [value, ...Object.values(value).flatMap(objectsOf)]
}
