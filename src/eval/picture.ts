import { rounded, svgText } from '../util/svg.js'

/** A point with an interval, and its name. */
export interface PicturePoint {
  readonly name: string
  /** Above 0: the axis is logarithmic. */
  readonly x: number
  readonly y: number
  /** Ends of the interval of `y`. */
  readonly low: number
  readonly high: number
}

export interface PictureLabels {
  readonly title: string
  readonly x: string
  readonly y: string
}

const size = { width: 640, height: 400, left: 64, right: 24, top: 40, bottom: 56 }
const colours = ['#1b6ca8', '#c4572b', '#2e8b57', '#7b4ea3', '#8a6d1d', '#a8325e', '#3a3a3a', '#4f9da6']
/** No time is shown shorter: a clock does not tell more. */
const leastX = 0.01

/** A scatter plot as SVG: `x` on a logarithmic axis, `y` with its interval as a bar, a legend beneath the title. */
export function pictureOf(points: readonly PicturePoint[], { title, x: xLabel, y: yLabel }: PictureLabels): string {
  const xs = points.map(({ x }) => Math.max(leastX, x))
  const horizontal = logarithmic(Math.min(...xs), Math.max(...xs))
  const vertical = linear(Math.min(...points.map(({ low }) => low)), Math.max(...points.map(({ high }) => high)))
  const { bottom, height, left, right, top, width } = size
  const legend = points.length * 18
  const plot = { left, right: width - right, top: top + legend, bottom: height + legend - bottom }
  const toX = (value: number) => plot.left + horizontal.share(Math.max(leastX, value)) * (plot.right - plot.left)
  const toY = (value: number) => plot.bottom - vertical.share(value) * (plot.bottom - plot.top)
  const colourOf = (place: number) => colours[place % colours.length] as string

  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height + legend}" viewBox="0 0 ${width} ${height + legend}" font-family="sans-serif" font-size="12">`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    svgText(title, { x: plot.left, y: 22, more: 'font-size="15" font-weight="bold"' }),
    ...points.map(({ name }, place) => {
      const y = top + place * 18
      return `<circle cx="${plot.left + 5}" cy="${y - 4}" r="4" fill="${colourOf(place)}"/>${svgText(name, { x: plot.left + 16, y })}`
    }),
    ...vertical.ticks.map((value) => {
      const y = rounded(toY(value))
      const label = svgText(vertical.label(value), { x: plot.left - 8, y: y + 4, more: 'text-anchor="end"' })
      return `<line x1="${plot.left}" x2="${plot.right}" y1="${y}" y2="${y}" stroke="#e3e3e3"/>${label}`
    }),
    ...horizontal.ticks.map((value) => {
      const x = rounded(toX(value))
      const label = svgText(horizontal.label(value), { x, y: plot.bottom + 18, more: 'text-anchor="middle"' })
      return `<line x1="${x}" x2="${x}" y1="${plot.top}" y2="${plot.bottom}" stroke="#eeeeee"/>${label}`
    }),
    `<path d="M${plot.left} ${plot.top}V${plot.bottom}H${plot.right}" fill="none" stroke="#555555"/>`,
    svgText(xLabel, { x: (plot.left + plot.right) / 2, y: plot.bottom + 40, more: 'text-anchor="middle"' }),
    svgText(yLabel, {
      x: 0,
      y: 0,
      more: `text-anchor="middle" transform="translate(18 ${(plot.top + plot.bottom) / 2}) rotate(-90)"`,
    }),
    ...points.map(({ high, low, x, y }, place) => {
      const [cx, colour] = [rounded(toX(x)), colourOf(place)]
      const bar = `<line x1="${cx}" x2="${cx}" y1="${rounded(toY(low))}" y2="${rounded(toY(high))}" stroke="${colour}" stroke-width="2" opacity="0.5"/>`
      return `${bar}<circle cx="${cx}" cy="${rounded(toY(y))}" r="5" fill="${colour}"/>`
    }),
    '</svg>',
  ]
  return `${lines.join('\n')}\n`
}

interface Axis {
  readonly ticks: readonly number[]
  /** Where a value lies between the ends, 0 to 1. */
  share(value: number): number
  label(value: number): string
}

/** Whole powers of ten around the values. */
function logarithmic(least: number, most: number): Axis {
  const first = Math.floor(Math.log10(least))
  const last = Math.max(first + 1, Math.ceil(Math.log10(most)))
  const ticks = Array.from({ length: last - first + 1 }, (_, place) => 10 ** (first + place))
  return { ticks, share: (value) => (Math.log10(value) - first) / (last - first), label: (value) => String(value) }
}

/** Steps of 1, 2 or 5 times a power of ten, about five of them. */
function linear(least: number, most: number): Axis {
  const range = most - least > 0 ? most - least : 0.1
  const power = 10 ** Math.floor(Math.log10(range / 5))
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => range / one <= 6) ?? 10 * power
  const [first, last] = [Math.floor(least / step), Math.max(Math.ceil(most / step), Math.floor(least / step) + 1)]
  const ticks = Array.from({ length: last - first + 1 }, (_, place) => (first + place) * step)
  const digits = Math.max(0, -Math.floor(Math.log10(step)))
  const share = (value: number) => (value / step - first) / (last - first)
  return { ticks, share, label: (value) => value.toFixed(digits) }
}
