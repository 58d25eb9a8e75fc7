/** `y = factor * x ^ exponent`. */
interface PowerLaw {
  readonly factor: number
  readonly exponent: number
}

/** The straight line through the logarithms by least squares. `NaN` for less than two points above 0. */
export function fitPowerLaw(points: readonly { readonly x: number; readonly y: number }[]): PowerLaw {
  const logs = points.filter(({ x, y }) => x > 0 && y > 0).map(({ x, y }) => ({ x: Math.log(x), y: Math.log(y) }))
  if (logs.length < 2) return { factor: Number.NaN, exponent: Number.NaN }
  const meanX = logs.reduce((sum, { x }) => sum + x, 0) / logs.length
  const meanY = logs.reduce((sum, { y }) => sum + y, 0) / logs.length
  const covariance = logs.reduce((sum, { x, y }) => sum + (x - meanX) * (y - meanY), 0)
  const exponent = covariance / logs.reduce((sum, { x }) => sum + (x - meanX) ** 2, 0)
  return { factor: Math.exp(meanY - exponent * meanX), exponent }
}
