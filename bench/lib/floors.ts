import type { Metrics } from './bench.js'

/** The least that each ratio may be. */
export type Floors = Readonly<Record<string, number>>

/** Throws when a ratio is below its floor, was not measured, or has none, and says which. */
export function checkFloors(metrics: Metrics, floors: Floors): void {
  const problems = [
    ...Object.entries(floors).flatMap(([key, floor]) => {
      const value = metrics[key]
      if (value === undefined || Number.isNaN(value)) return [`${key} was not measured`]
      return value < floor ? [`${key} is ${value.toFixed(2)}, its floor is ${floor}`] : []
    }),
    ...Object.keys(metrics).flatMap((key) => (key in floors ? [] : [`${key} has no floor`])),
  ]
  if (problems.length > 0) throw new Error(`What was fast is not (bench/floors.json): ${problems.join('; ')}.`)
}
