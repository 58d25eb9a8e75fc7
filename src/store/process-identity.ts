import { readFileSync } from 'node:fs'
import { errorCode } from '../util/system-error.js'

/**
 * A process as others of the same machine can recognise it: the pid alone is not enough, because pids are used again.
 * `processStart` is the boot id and the kernel's start time of the process on Linux, elsewhere empty: then a pid that was used
 * again is taken for the old process, and what it claimed is freed later than it could be.
 */
export interface ProcessIdentity {
  readonly pid: number
  readonly processStart: string
}

/** This process. */
export function ownIdentity(): ProcessIdentity {
  return { pid: process.pid, processStart: startOf(process.pid) ?? '' }
}

/** Whether the process still runs. Processes that share a store must be able to see each other: one machine, one PID namespace. */
export function isAlive({ pid, processStart }: ProcessIdentity): boolean {
  if (processStart !== '') return startOf(pid) === processStart
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: it runs, as somebody else.
    return errorCode(error) === 'EPERM'
  }
}

/** When a process started, on Linux; `undefined` for one that is gone (or waits to be reaped) and on other systems. */
function startOf(pid: number): string | undefined {
  if (process.platform !== 'linux') return undefined
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The second field is the program's name in parentheses and may hold spaces and parentheses itself.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const [state] = fields
    return state === 'Z' || state === 'X' ? undefined : `${bootId()}:${fields[19]}`
  } catch {
    // The process is gone, or /proc is not to be read: then nobody has a start and `isAlive` asks the kernel by pid.
    return undefined
  }
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
}
