import { statfs } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { isMissingFile } from './system-error.js'

/**
 * File systems of other machines, by the type that Linux gives them (`man 2 statfs`, and `linux/magic.h`). Not FUSE, which most often is
 * local, nor 9P, which virtual machines and containers use for folders of their own host.
 */
const networkFileSystems: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x5346414f, 'AFS'],
  [0x6b414653, 'AFS'],
  [0x73757245, 'Coda'],
  [0x564c, 'NCP'],
  [0x00c36400, 'Ceph'],
  [0x0bd00bd0, 'Lustre'],
  [0x01161970, 'GFS2'],
  [0x7461636f, 'OCFS2'],
  [0x47504653, 'GPFS'],
  [0x19830326, 'BeeGFS'],
])

/** What is asked of the file system; tests bring their own. */
export type FileSystemType = (folder: string) => Promise<number>

/**
 * Name of the network file system that a folder, or the place where it would be made, is on; `undefined` for a local one. They are told on Linux, and
 * shares by their names on Windows. Rejects as the file system does.
 */
export async function networkFileSystem(
  folder: string,
  typeOf: FileSystemType = fileSystemType,
): Promise<string | undefined> {
  return process.platform === 'win32' ? shareName(folder) : networkName(resolve(folder), typeOf)
}

async function networkName(folder: string, typeOf: FileSystemType): Promise<string | undefined> {
  try {
    // The types are 32 bits; those above 2^31 come with a sign on some platforms.
    return networkFileSystems.get((await typeOf(folder)) >>> 0)
  } catch (error) {
    const parent = dirname(folder)
    if (isMissingFile(error) && parent !== folder) return networkName(parent, typeOf)
    throw error
  }
}

async function fileSystemType(folder: string): Promise<number> {
  const { type } = await statfs(folder)
  return process.platform === 'linux' ? type : 0
}

function shareName(folder: string): string | undefined {
  return /^(?:\\\\|\/\/)(?![?.][\\/])/.test(folder) ? 'a share' : undefined
}
