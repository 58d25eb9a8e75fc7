import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createContentHash, sha256Hex } from '../../../src/util/hash.js'

const sha256 = (content: string | Uint8Array): string => createHash('sha256').update(content).digest('hex')

describe('sha256Hex', () => {
  it('is SHA-256 over decimal length, colon and field, in UTF-8', () => {
    expect(sha256Hex('ab', 'é')).toBe(sha256('2:ab2:é'))
    expect(sha256Hex()).toBe(sha256(''))
  })

  it('treats text and its UTF-8 bytes alike', () => {
    const halves = fc.string({ unit: fc.constantFrom('a', 'ß', '👍', '\ud83d', '\udc4d'), maxLength: 4 })
    fc.assert(
      fc.property(fc.array(halves, { maxLength: 4 }), (texts) => {
        const encoded = texts.map((text) => new TextEncoder().encode(text))
        expect(sha256Hex(...texts)).toBe(sha256Hex(...encoded))
      }),
      { seed: 3 },
    )
  })

  it('differs whenever the lists of fields differ', () => {
    const fields = fc.array(fc.string({ unit: fc.constantFrom('a', '1', ':', '') }), { maxLength: 4 })
    fc.assert(
      fc.property(fields, fields, (left, right) => {
        expect(sha256Hex(...left) === sha256Hex(...right)).toBe(JSON.stringify(left) === JSON.stringify(right))
      }),
      { seed: 1, numRuns: 500 },
    )
  })
})

describe('createContentHash', () => {
  it('does not depend on how the content is cut', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.array(fc.nat(200)), (bytes, cuts) => {
        const hash = createContentHash()
        const places = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length]
        for (let i = 1; i < places.length; i++) hash.update(bytes.subarray(places[i - 1], places[i]))
        expect(hash.digest()).toBe(sha256(bytes))
      }),
      { seed: 2 },
    )
  })

  it('hashes text as UTF-8', () => {
    const hash = createContentHash()
    hash.update('grü')
    hash.update('ße')
    expect(hash.digest()).toBe(sha256('grüße'))
  })
})
