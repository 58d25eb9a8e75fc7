import { describe, expect, it } from 'vitest'
import { markdownTable } from '../../../bench/lib/markdown.js'
import { barPicture, curvePicture } from '../../../bench/lib/picture.js'

describe('pictures of benches', () => {
  it('draw a bar as long as its value, and write the value beside it', () => {
    const panel = { title: 'ms', values: [10, 5], format: (value: number) => `${value} ms` }
    const svg = barPicture('A & B', ['one', 'two'], [panel])
    const [first, second] = [...svg.matchAll(/<rect x="\d+" y="[\d.]+" width="([\d.]+)"/g)].map(([, width]) =>
      Number(width),
    )
    expect(first).toBeGreaterThan(0)
    expect((first ?? 0) / (second ?? 1)).toBeCloseTo(2, 1)
    expect(svg).toContain('5 ms')
    expect(svg).toContain('A &amp; B')
  })

  it('place tenfold values at equal distances on logarithmic axes, and leave out what is not above 0', () => {
    const points = [10, 100, 1_000].map((x) => ({ x, y: x }))
    const svg = curvePicture('growth', 'chunks', [{ name: 'one', points: [...points, { x: 500, y: 0 }] }])
    const xs = [...svg.matchAll(/<circle cx="([\d.]+)"/g)].map(([, x]) => Number(x))
    expect(xs).toHaveLength(3)
    expect((xs[1] ?? 0) - (xs[0] ?? 0)).toBeCloseTo((xs[2] ?? 0) - (xs[1] ?? 0), 0)
  })
})

describe('a Markdown table', () => {
  it('has a rule beneath its heading and escapes what would end a cell', () => {
    expect(
      markdownTable([
        ['a', 'b'],
        ['x|y', 2],
      ]),
    ).toBe('| a | b |\n|---|---|\n| x\\|y | 2 |\n')
  })
})
