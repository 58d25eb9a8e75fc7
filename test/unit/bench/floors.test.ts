import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { checkFloors } from '../../../bench/lib/floors.js'

describe('the guard of ratios', () => {
  const floors = { 'a.b': 2, c: 10 }

  it('passes what lies on its floor or above', () => {
    expect(() => checkFloors({ 'a.b': 2, c: 11 }, floors)).not.toThrow()
  })

  it('fails when one ratio is below its floor, and names it with both figures', () => {
    expect(() => checkFloors({ 'a.b': 1.99, c: 11 }, floors)).toThrow('a.b is 1.99, its floor is 2')
  })

  it('fails when a ratio was not measured, or is no number', () => {
    expect(() => checkFloors({ 'a.b': 3 }, floors)).toThrow('c was not measured')
    expect(() => checkFloors({ 'a.b': 3, c: Number.NaN }, floors)).toThrow('c was not measured')
  })

  it('fails when a ratio has no floor', () => {
    expect(() => checkFloors({ 'a.b': 3, c: 10, d: 1 }, floors)).toThrow('d has no floor')
  })

  it('names every problem, not the first alone', () => {
    expect(() => checkFloors({ 'a.b': 1 }, floors)).toThrow(/a\.b is 1\.00.*c was not measured/)
  })

  it('has floors above 1, below which a ratio would be a loss', () => {
    const kept = JSON.parse(readFileSync(new URL('../../../bench/floors.json', import.meta.url), 'utf8'))
    expect(Object.keys(kept).length).toBeGreaterThan(5)
    for (const floor of Object.values(kept)) expect(floor).toBeGreaterThan(1)
  })
})
