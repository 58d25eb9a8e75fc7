/**
 * Counts the characters that `work` reads from strings: what a clock would show, without the noise. Every way the text code reads
 * a string counts, a slice as many as it is long.
 */
export function countReads(work: () => void): number {
  const prototype = String.prototype as unknown as Record<string, (...args: never[]) => unknown>
  let reads = 0
  const restore = Object.entries(costs).map(([name, cost]) => {
    const original = prototype[name] as (...args: never[]) => unknown
    prototype[name] = function (this: string, ...args: never[]): unknown {
      const result = original.apply(this, args)
      reads += cost(this, result)
      return result
    }
    return () => {
      prototype[name] = original
    }
  })
  try {
    work()
  } finally {
    for (const undo of restore) undo()
  }
  return reads
}

const one = (): number => 1
const ofText = (text: string): number => text.length
const ofResult = (_: string, result: unknown): number => (result as string).length + 1

const costs: Record<string, (text: string, result: unknown) => number> = {
  charCodeAt: one,
  charAt: one,
  codePointAt: one,
  startsWith: one,
  slice: ofResult,
  substring: ofResult,
  toLowerCase: ofText,
  toUpperCase: ofText,
  indexOf: ofText,
  trim: ofText,
  match: ofText,
  split: ofText,
}
