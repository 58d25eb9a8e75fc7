import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode } from '../util/system-error.js'
import { isAlive, ownIdentity, type ProcessIdentity } from './process-identity.js'

/** A file without an owner this long after it was made is one whose maker died before it could sign it. */
const signMs = 10_000

/**
 * Becomes the only maintainer of a folder, or returns `undefined` at once while another living process is. Call the result to
 * step back.
 *
 * The lock is the file `maintainer-N.lock` with the highest N. It is never removed by anyone but the owner of a higher one, so
 * the highest N only grows: whoever finds the highest lock free creates N + 1, which succeeds for one only, and keeps it if it is
 * still the highest afterwards. A lock taken over by renaming or deleting the dead one's file would let two be second at once.
 */
export async function acquireMaintenanceLock(directory: string): Promise<(() => Promise<void>) | undefined> {
  const highest = await highestLock(directory)
  if (highest > 0 && (await isHeld(lockFile(directory, highest)))) return undefined

  const mine = highest + 1
  const file = lockFile(directory, mine)
  try {
    await writeFile(file, JSON.stringify(ownIdentity()), { flag: 'wx' })
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return undefined
    // A full disk lets the file be made but not signed: left behind, it would look held.
    await rm(file, { force: true })
    throw error
  }
  if ((await highestLock(directory)) !== mine) {
    // We had looked before others came and went.
    await rm(file, { force: true })
    return undefined
  }
  for (const number of await lockNumbers(directory)) {
    if (number < mine) await rm(lockFile(directory, number), { force: true })
  }
  return async () => {
    // A released lock stays, for its number.
    await writeFile(file, released)
  }
}

const released = 'released'

async function isHeld(file: string): Promise<boolean> {
  try {
    const text = await readFile(file, 'utf8')
    if (text === released) return false
    const owner = parseOwner(text)
    return owner === undefined ? Date.now() - (await stat(file)).mtimeMs < signMs : isAlive(owner)
  } catch (error) {
    // The owner of a higher lock has just deleted it.
    if (errorCode(error) === 'ENOENT') return true
    throw error
  }
}

function parseOwner(text: string): ProcessIdentity | undefined {
  try {
    return JSON.parse(text) as ProcessIdentity
  } catch {
    // Created but not written yet, or never: `isHeld` decides by its age.
    return undefined
  }
}

async function highestLock(directory: string): Promise<number> {
  return Math.max(0, ...(await lockNumbers(directory)))
}

async function lockNumbers(directory: string): Promise<number[]> {
  const names = await readdir(directory)
  return names.flatMap((name) => {
    const found = /^maintainer-(\d+)\.lock$/.exec(name)
    return found === null ? [] : [Number(found[1])]
  })
}

function lockFile(directory: string, number: number): string {
  return join(directory, `maintainer-${number}.lock`)
}
