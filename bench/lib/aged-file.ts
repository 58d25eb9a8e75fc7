import { utimesSync, writeFileSync } from 'node:fs'

/** Writes a file as old as files are that were not changed: of one that was written a moment ago the time tells nothing, and its content is read again. */
export function writeAgedFile(path: string, content: string): void {
  const aMinuteAgo = new Date(Date.now() - 60_000)
  writeFileSync(path, content)
  utimesSync(path, aMinuteAgo, aMinuteAgo)
}
