import { rounded, svgText } from '../../src/util/svg.js'

/** One figure of every subject, drawn as a panel of bars. */
interface Panel {
  readonly title: string
  /** One for each name. */
  readonly values: readonly number[]
  readonly format: (value: number) => string
}

const bar = { height: 16, gap: 5, width: 190, label: 96, panel: 330, top: 56, title: 26 }
const colours = ['#1b6ca8', '#c4572b', '#2e8b57', '#7b4ea3', '#8a6d1d', '#3a3a3a']

/** Panels of horizontal bars, two beside each other, as SVG; each panel has its own scale, from nothing to its largest value. */
export function barPicture(title: string, names: readonly string[], panels: readonly Panel[]): string {
  const panelHeight = bar.title + names.length * (bar.height + bar.gap) + 24
  const [width, height] = [2 * bar.panel + 40, bar.top + Math.ceil(panels.length / 2) * panelHeight]
  const lines = panels.flatMap(({ format, title: heading, values }, place) => {
    const x = 24 + (place % 2) * bar.panel
    const y = bar.top + Math.floor(place / 2) * panelHeight
    const most = Math.max(...values, Number.MIN_VALUE)
    const rows = names.flatMap((name, row) => {
      const value = values[row] ?? 0
      const top = y + bar.title - 12 + row * (bar.height + bar.gap)
      const length = rounded((Math.max(0, value) / most) * bar.width * 0.7)
      return [
        svgText(name, { x: x + bar.label - 6, y: top + 12, more: 'text-anchor="end"' }),
        `<rect x="${x + bar.label}" y="${top}" width="${length}" height="${bar.height}" fill="${colours[place % colours.length]}"/>`,
        svgText(format(value), { x: x + bar.label + length + 4, y: top + 12, more: 'fill="#444444"' }),
      ]
    })
    return [svgText(heading, { x, y: y - 4, more: 'font-weight="bold"' }), ...rows]
  })
  return wrap({ title, width, height }, lines)
}

/** One line of a plot whose two axes are logarithmic. */
interface Curve {
  readonly name: string
  readonly points: readonly { readonly x: number; readonly y: number }[]
}

const plot = { width: 640, height: 420, left: 70, right: 620, top: 56, bottom: 370 }

/** Curves on two logarithmic axes, as SVG, with a legend at the top; points whose value is not above 0 are left out. */
export function curvePicture(title: string, xLabel: string, curves: readonly Curve[]): string {
  const points = curves.flatMap((curve) => curve.points.filter(({ y }) => y > 0))
  const [fromX, toX] = powers(points.map(({ x }) => x))
  const [fromY, toY] = powers(points.map(({ y }) => y))
  const placeX = (x: number) =>
    rounded(plot.left + ((Math.log10(x) - fromX) / (toX - fromX)) * (plot.right - plot.left))
  const placeY = (y: number) =>
    rounded(plot.bottom - ((Math.log10(y) - fromY) / (toY - fromY)) * (plot.bottom - plot.top))
  const lines: string[] = []
  for (let power = fromX; power <= toX; power++) {
    const x = placeX(10 ** power)
    lines.push(`<line x1="${x}" x2="${x}" y1="${plot.top}" y2="${plot.bottom}" stroke="#eeeeee"/>`)
    lines.push(svgText((10 ** power).toLocaleString('en'), { x, y: plot.bottom + 18, more: 'text-anchor="middle"' }))
  }
  for (let power = fromY; power <= toY; power++) {
    const y = placeY(10 ** power)
    lines.push(`<line x1="${plot.left}" x2="${plot.right}" y1="${y}" y2="${y}" stroke="#e3e3e3"/>`)
    lines.push(svgText(String(10 ** power), { x: plot.left - 8, y: y + 4, more: 'text-anchor="end"' }))
  }
  for (const [place, { name, points: all }] of curves.entries()) {
    const colour = colours[place % colours.length]
    const seen = all.filter(({ y }) => y > 0)
    const path = seen.map(({ x, y }, i) => `${i === 0 ? 'M' : 'L'}${placeX(x)} ${placeY(y)}`).join('')
    lines.push(`<path d="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`)
    for (const { x, y } of seen) lines.push(`<circle cx="${placeX(x)}" cy="${placeY(y)}" r="4" fill="${colour}"/>`)
    lines.push(
      svgText(name, {
        x: plot.left + 10 + (place % 3) * 180,
        y: 40 + Math.floor(place / 3) * 14,
        more: `fill="${colour}"`,
      }),
    )
  }
  lines.push(svgText(xLabel, { x: (plot.left + plot.right) / 2, y: plot.bottom + 38, more: 'text-anchor="middle"' }))
  return wrap({ title, ...plot }, lines)
}

/** The whole powers of ten around the values. */
function powers(values: readonly number[]): [number, number] {
  const from = Math.floor(Math.log10(Math.min(...values)))
  return [from, Math.max(from + 1, Math.ceil(Math.log10(Math.max(...values))))]
}

function wrap(
  { height, title, width }: { readonly title: string; readonly width: number; readonly height: number },
  lines: readonly string[],
): string {
  const all = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    '<rect width="100%" height="100%" fill="#ffffff"/>',
    svgText(title, { x: 24, y: 24, more: 'font-size="15" font-weight="bold"' }),
    ...lines,
    '</svg>',
  ]
  return `${all.join('\n')}\n`
}
