import { describe, expect, it } from 'vitest'
import { randomNumbers } from '../../../src/testing/support.js'
import { createProjection, principalComponents, type Rows } from '../../../src/util/principal-components.js'

function rowsOf(list: readonly (readonly number[])[]): Rows {
  return { values: Float32Array.from(list.flat()), count: list.length, dimensions: list[0]!.length }
}

function random(count: number, dimensions: number, seed: number): number[][] {
  const next = randomNumbers(seed)
  return Array.from({ length: count }, () => Array.from({ length: dimensions }, (_, i) => (next() - 0.5) / (i + 1) + i))
}

function projected(rows: Rows, components: number): number[][] {
  const project = createProjection(principalComponents(rows, components))
  return Array.from({ length: rows.count }, (_, row) => {
    const target = new Float32Array(components + 2).fill(5)
    project(rows.values, row * rows.dimensions, target, 1)
    expect([target[0], target.at(-1)]).toEqual([5, 5])
    return [...target.subarray(1, -1)]
  })
}

const squared = (a: readonly number[], b: readonly number[]) => a.reduce((sum, x, i) => sum + (x - b[i]!) ** 2, 0)

describe('principal components', () => {
  it('find the line that points lie on', () => {
    const rows = rowsOf(Array.from({ length: 11 }, (_, i) => [3 * (i - 5) + 1, 4 * (i - 5) - 2, 7]))
    const { mean, components, explainedVariance } = principalComponents(rows, 1)
    expect([...mean]).toEqual([1, -2, 7])
    expect(components[0]).toBeCloseTo(0.6, 12)
    expect(components[1]).toBeCloseTo(0.8, 12)
    expect(components[2]).toBeCloseTo(0, 12)
    expect(explainedVariance).toBeCloseTo(1, 12)
    expect(projected(rows, 1).map(([value]) => value)).toEqual(Array.from({ length: 11 }, (_, i) => 5 * (i - 5)))
  })

  it('keep all distances when none is left out', () => {
    const list = random(33, 13, 1)
    const rows = rowsOf(list)
    const coordinates = projected(rows, 13)
    for (let i = 0; i < 33; i++) {
      for (let j = 0; j < i; j++) {
        expect(squared(coordinates[i]!, coordinates[j]!)).toBeCloseTo(squared(list[i]!, list[j]!), 4)
      }
    }
    expect(principalComponents(rows, 13).explainedVariance).toBeCloseTo(1, 12)
  })

  it('give coordinates that are uncorrelated, in the order of their variance', () => {
    const coordinates = projected(rowsOf(random(200, 9, 2)), 9)
    const covariance = (i: number, j: number) => coordinates.reduce((sum, row) => sum + row[i]! * row[j]!, 0) / 199
    for (let i = 0; i < 9; i++) {
      for (let j = 0; j < i; j++) expect(Math.abs(covariance(i, j))).toBeLessThan(1e-6)
      if (i > 0) expect(covariance(i, i)).toBeLessThanOrEqual(covariance(i - 1, i - 1))
    }
    const total = Array.from({ length: 9 }, (_, i) => covariance(i, i)).reduce((a, b) => a + b)
    const first = covariance(0, 0) + covariance(1, 1)
    expect(principalComponents(rowsOf(random(200, 9, 2)), 2).explainedVariance).toBeCloseTo(first / total, 5)
  })

  it('are defined for fewer rows than components, equal rows, and one', () => {
    for (const list of [random(3, 8, 3), Array.from({ length: 5 }, () => [1, 2, 3]), [[1, 2]]]) {
      const dimensions = list[0]!.length
      const { components, explainedVariance } = principalComponents(rowsOf(list), dimensions)
      expect([...components].every(Number.isFinite)).toBe(true)
      expect(explainedVariance).toBeCloseTo(1, 12)
    }
  })
})
