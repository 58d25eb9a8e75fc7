import { RagError } from '../core/errors.js'
import { type FileSystemType, networkFileSystem } from '../util/network-file-system.js'

/**
 * Rejects with `UNSUPPORTED` when a folder, or where it would be made, is on another machine: the store's lock files and memory maps hold
 * for the processes of one machine. Network file systems are told on Linux, and shares by their names on Windows.
 */
export async function requireLocalStorage(folder: string, typeOf?: FileSystemType): Promise<void> {
  const name = await networkFileSystem(folder, typeOf).catch((cause: unknown) => {
    throw new RagError('STORAGE', `The storage "${folder}" cannot be looked at.`, {
      cause,
      data: { storage: folder },
      hint: 'Check that the folder exists and that this process may read it.',
    })
  })
  if (name === undefined) return
  throw new RagError('UNSUPPORTED', `The storage "${folder}" is on a network file system (${name}).`, {
    data: { storage: folder, fileSystem: name },
    hint: 'Keep the storage on a disk of the machine that runs the workers; the queue itself may be anywhere. Workers of several machines would need a database as their store, which there is not yet.',
  })
}
