import { readFileSync } from 'node:fs'
import { totalmem } from 'node:os'

/** What a process may hold, and how much of its usual work it should have under way so that it stays below. */
export interface MemoryBudget {
  readonly maxBytes: number
  /** 1 while there is memory; halved with every look that finds it short, to 1/16 at least, doubled again when there is. */
  share(): number
  report(): MemoryReport
}

/** How memory stands. */
export interface MemoryReport {
  /** Anonymous memory of the process at the last look: heaps, native memory and threads, without mapped files; 0 before the first. */
  readonly usedBytes: number
  readonly maxBytes: number
  /** `usedBytes` of `maxBytes`. */
  readonly pressure: number
  readonly share: number
  /** How often the share was halved. */
  readonly halved: number
}

export interface MemoryBudgetOptions {
  readonly maxBytes: number
  /** Default: what the system says of this process. */
  readonly usedBytes?: () => number
  /** Milliseconds. Default `performance.now`. */
  readonly now?: () => number
}

/** Milliseconds between two looks at least: what was let go takes its time to be given back. */
const lookEveryMs = 100
/** Pressure above which less is begun, and below which more is. */
const shortAbove = 0.9
const plentyBelow = 0.75
const leastShare = 1 / 16

/** Makes a {@link MemoryBudget}. It looks when it is asked, at most ten times a second, and has no timer. */
export function createMemoryBudget({
  maxBytes,
  usedBytes = anonymousBytes,
  now = () => performance.now(),
}: MemoryBudgetOptions): MemoryBudget {
  let lookedAt = Number.NEGATIVE_INFINITY
  let used = 0
  let share = 1
  let halved = 0

  const look = (): void => {
    if (now() - lookedAt < lookEveryMs) return
    lookedAt = now()
    used = usedBytes()
    const pressure = used / maxBytes
    if (pressure > shortAbove && share > leastShare) {
      share /= 2
      halved++
    } else if (pressure < plentyBelow) share = Math.min(1, share * 2)
  }

  return {
    maxBytes,
    share: () => {
      look()
      return share
    },
    report: () => ({ usedBytes: used, maxBytes, pressure: used / maxBytes, share, halved }),
  }
}

/** Half of what the machine, or the container around this process, has. */
export function defaultMaxMemoryBytes(): number {
  const constrained = process.constrainedMemory()
  // Without a limit it is 0, or a number beyond any machine.
  return (constrained > 0 ? Math.min(constrained, totalmem()) : totalmem()) / 2
}

/**
 * Anonymous resident memory of this process in bytes (`RssAnon`). Mapped files, the store among them, are not counted: the system takes
 * their pages back whenever it wants them. Elsewhere than on Linux the resident set, mapped files included.
 */
function anonymousBytes(): number {
  if (process.platform !== 'linux') return process.memoryUsage.rss()
  try {
    const [, kilobytes] = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
    return kilobytes === undefined ? process.memoryUsage.rss() : Number(kilobytes) * 1024
  } catch {
    // No /proc in this container.
    return process.memoryUsage.rss()
  }
}
