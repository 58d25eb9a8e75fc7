import { closeSync, openSync, truncateSync, writeSync } from 'node:fs'
import { type Environment, environmentFile, fileSize, transact } from './environment.js'

/** Asks for room for so many bytes more. Throws the file system's error (`ENOSPC`, `EDQUOT`) when it is not to be had. */
export type Reserve = (bytes: number) => void

/** A row that is put or removed changes the page it lies on, and at times others beside and above that. */
export const rowRoom = 4 * 4096

/** What the value of a row takes: pages of its own when it is long. */
export function valueRoom(bytes: number): number {
  return bytes + 2 * 4096
}

/** Left beside what is reserved, so that there is room to remove something when there is none for anything else. */
const margin = 1 << 20
/** What is left of it in the file of an environment that is closed. */
const closedMargin = 1 << 17
/** A file grows by an eighth, and by so much at most: a flush that need not make it longer is faster. */
const maxStep = 8 << 20
const zeros = Buffer.alloc(1 << 20)

/**
 * Made inside a write transaction, for it alone: reserves room in the file for what it writes. A write of the library that fails
 * for want of space ends the process every few times (`mdb_page_flush` leaves the list of changed pages half freed, and the heap
 * is corrupted); so what it is about to write is written as zeros before, where to fail is an ordinary error. File systems that
 * write in another place what they overwrite (btrfs, ZFS) promise nothing by that.
 */
export function createReserve(environment: Environment, directory: string): Reserve {
  // There, the library itself makes the file longer, and a mapped one can hardly be changed.
  if (process.platform === 'win32') return () => undefined
  const path = environmentFile(directory)
  const used = usedBytes(environment)
  let length = fileSize(path)
  let reserved = margin
  return (bytes) => {
    reserved += bytes
    const needed = used + reserved
    if (length >= needed) return
    try {
      lengthen(path, length, needed, needed + Math.min(maxStep, Math.floor(used / 8)))
      length = fileSize(path)
    } catch (error) {
      // A part of that is in use by readers, or in pieces too small.
      if (freeBytes(environment) < 4 * reserved) throw error
    }
  }
}

/** To `wanted` bytes, or at least `needed`; or throws, and leaves the file as long as it was. */
function lengthen(path: string, length: number, needed: number, wanted: number): void {
  const file = openSync(path, 'r+')
  try {
    for (let end = length; end < wanted; ) end += writeSync(file, zeros, 0, Math.min(zeros.length, wanted - end), end)
  } catch (error) {
    if (fileSize(path) >= needed) return
    truncateSync(path, length)
    throw error
  } finally {
    closeSync(file)
  }
}

/**
 * Makes the file as long as its contents say, if it is not. The library may leave the last pages unwritten when it frees them in
 * the same transaction; a reader that met such a hole in a file that was cut off would end the process (SIGBUS), while zeros are
 * an ordinary error. Call it before anything is read.
 */
export function completeFile(environment: Environment, directory: string): void {
  setLength(environment, directory, Number.POSITIVE_INFINITY)
}

/** {@link completeFile}, and gives back what was reserved and not needed. Call it before closing. */
export function trimFile(environment: Environment, directory: string): void {
  setLength(environment, directory, process.platform === 'win32' ? Number.POSITIVE_INFINITY : closedMargin)
}

/** So that the file is not shorter than its contents, nor longer by more than `most` bytes. */
function setLength(environment: Environment, directory: string, most: number): void {
  const path = environmentFile(directory)
  const surplus = () => fileSize(path) - usedBytes(environment)
  const fits = () => surplus() >= 0 && surplus() <= most
  if (fits()) return
  transact(environment, () => {
    // Nobody writes meanwhile.
    if (!fits()) truncateSync(path, usedBytes(environment) + Math.min(Math.max(surplus(), 0), most))
  })
}

interface Stats extends TreeStats {
  readonly lastPageNumber: number
  readonly pageSize: number
  /** The tree that lists the free pages. */
  readonly free: TreeStats
}

interface TreeStats {
  readonly treeBranchPageCount: number
  readonly treeLeafPageCount: number
  readonly overflowPages: number
}

/** Up to the last page that was ever needed. */
function usedBytes(environment: Environment): number {
  const { lastPageNumber, pageSize } = environment.getStats() as Stats
  return (lastPageNumber + 1) * pageSize
}

/** Of these, the pages that hold nothing any more. */
function freeBytes(environment: Environment): number {
  const stats = environment.getStats() as Stats
  return (stats.lastPageNumber + 1 - metaPages - pagesOf(stats) - pagesOf(stats.free)) * stats.pageSize
}

const metaPages = 2

function pagesOf({ treeBranchPageCount, treeLeafPageCount, overflowPages }: TreeStats): number {
  return treeBranchPageCount + treeLeafPageCount + overflowPages
}
