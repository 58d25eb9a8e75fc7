import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { requireLocalStorage } from '../../../src/queue/local-storage.js'

const missing = () => Promise.reject(Object.assign(new Error('no such folder'), { code: 'ENOENT' }))

describe.skipIf(process.platform === 'win32')('a storage for workers', () => {
  it('is refused on file systems of other machines, with a way out', async () => {
    for (const [type, name] of [
      [0x6969, 'NFS'],
      [0xff534d42, 'CIFS'],
      [0xff534d42 | 0, 'CIFS'],
      [0xfe534d42, 'SMB2'],
      [0x00c36400, 'Ceph'],
    ] as const) {
      await expect(requireLocalStorage('/data', async () => type)).rejects.toMatchObject({
        code: 'UNSUPPORTED',
        data: { storage: '/data', fileSystem: name },
        hint: expect.stringContaining('disk of the machine'),
      })
    }
  })

  it('is judged by the folder it will be made in', async () => {
    const asked: string[] = []
    const typeOf = (folder: string) => {
      asked.push(folder)
      return folder === '/mnt' ? Promise.resolve(0x6969) : missing()
    }
    await expect(requireLocalStorage('/mnt/a/b', typeOf)).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    expect(asked).toEqual(['/mnt/a/b', '/mnt/a', '/mnt'])
  })

  it('is let in on local file systems, and here', async () => {
    for (const type of [0xef53, 0x9123683e, 0x58465342, 0x01021994, 0x65735546, 0x01021997])
      await requireLocalStorage('/data', async () => type)
    await requireLocalStorage(join(tmpdir(), 'ufrag-nothing', 'here'))
  })

  it('is not judged by an error that says something else', async () => {
    const refused = () => Promise.reject(Object.assign(new Error('no'), { code: 'EACCES' }))
    await expect(requireLocalStorage('/data', refused)).rejects.toMatchObject({ code: 'STORAGE' })
  })
})
