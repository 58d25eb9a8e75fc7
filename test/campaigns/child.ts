import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export { randomNumbers as createRandom } from '../../src/testing/support.js'

/** A process that runs one of the scripts beside this file on the built package; its standard output is read line by line. */
export interface Child {
  readonly process: ChildProcess
  /** Lines so far. */
  readonly lines: string[]
  /** Resolves when a line is printed for which `test` holds; rejects when the process ends first. */
  line(test: (line: string) => boolean): Promise<string>
  /** Resolves with the exit code, or the signal's name. */
  readonly ended: Promise<number | string>
  readonly errors: () => string
}

export function startChild(script: string, argument: unknown): Child {
  const file = fileURLToPath(new URL(script, import.meta.url))
  // What loads TypeScript holds 90 MB, which would count as memory of what is tested.
  const loader = file.endsWith('.ts') ? ['--import', 'tsx'] : []
  const process = spawn('node', [...loader, file, JSON.stringify(argument)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: string[] = []
  const watchers = new Set<(line: string) => void>()
  let errors = ''
  process.stderr?.on('data', (data) => {
    errors += String(data)
  })
  createInterface({ input: process.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    lines.push(line)
    for (const watcher of watchers) watcher(line)
  })
  const ended = once(process, 'close').then(([code, signal]) => (signal ?? code) as number | string)
  return {
    process,
    lines,
    errors: () => errors,
    ended,
    line: (test) =>
      new Promise((resolve, reject) => {
        const known = lines.find(test)
        if (known !== undefined) return resolve(known)
        const watcher = (line: string) => {
          if (!test(line)) return
          watchers.delete(watcher)
          resolve(line)
        }
        watchers.add(watcher)
        void ended.then((how) => reject(new Error(`The child ended (${how}) before it said so:\n${errors}`)))
      }),
  }
}
