import { describe, expect, it } from 'vitest'
import { openEntry, sealEntry } from '../../../src/cache/envelope.js'
import { randomNumbers } from '../../../src/testing/support.js'

const value = Uint8Array.of(1, 2, 3, 4, 5)

describe('a sealed entry', () => {
  it('opens as it was closed, wherever its bytes lie', () => {
    const sealed = sealEntry({ key: 'a', value, expiresAt: 1_700_000_000_123 })
    const pool = new Uint8Array(sealed.length + 7)
    pool.set(sealed, 7)
    expect(openEntry('a', pool.subarray(7))).toEqual({ value, expiresAt: 1_700_000_000_123 })
    expect(openEntry('a', sealEntry({ key: 'a', value }))).toEqual({ value })
    expect(openEntry('', sealEntry({ key: '', value: new Uint8Array(0) }))).toEqual({ value: new Uint8Array(0) })
  })

  it('does not open under another key', () => {
    expect(openEntry('b', sealEntry({ key: 'a', value }))).toBeUndefined()
  })

  it('does not open with any bit changed, any byte missing, or anything behind it', () => {
    const sealed = sealEntry({ key: 'a', value, expiresAt: 17 })
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const bad = sealed.slice()
      bad[bit >> 3] = (bad[bit >> 3] as number) ^ (1 << (bit & 7))
      expect(openEntry('a', bad)).toBeUndefined()
    }
    for (let length = 0; length < sealed.length; length++) {
      expect(openEntry('a', sealed.subarray(0, length))).toBeUndefined()
    }
    expect(openEntry('a', Uint8Array.of(...sealed, 0))).toBeUndefined()
  })

  it('is told from 10,000 strings of random bytes', () => {
    const random = randomNumbers(4)
    for (let round = 0; round < 10_000; round++) {
      const bytes = Uint8Array.from({ length: Math.floor(random() * 64) }, () => Math.floor(random() * 256))
      expect(openEntry('a', bytes)).toBeUndefined()
    }
  })
})
