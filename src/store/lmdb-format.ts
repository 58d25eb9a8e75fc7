import { randomBytes } from 'node:crypto'
import { RagError } from '../core/errors.js'
import { type Environment, getBytes } from '../lmdb/environment.js'
import { type FormatRow, formatVersion, keys, rows } from './lmdb-layout.js'

/**
 * The id of the store in this environment, or `undefined` where none was made yet. Throws `UNSUPPORTED_VERSION` for one of a newer
 * version of this library and `CORRUPT` for somebody else's environment.
 */
export function storeId(environment: Environment, directory: string): string | undefined {
  const row = getBytes(environment, keys.format)
  if (row === undefined) {
    const { entryCount } = environment.getStats() as { readonly entryCount: number }
    if (entryCount > 0) throw noStore(directory)
    return undefined
  }
  const { version, id } = rows.format(row)
  if (version <= formatVersion) return id
  throw new RagError('UNSUPPORTED_VERSION', 'The store was written by a newer version of this library.', {
    data: { directory, version, supported: formatVersion },
    hint: 'Upgrade ultrafast-rag, or choose another folder.',
  })
}

/** Makes the store, inside a write transaction, unless somebody else was first. */
export function createStore(environment: Environment, directory: string): void {
  if (storeId(environment, directory) !== undefined) return
  const row: FormatRow = { version: formatVersion, id: randomBytes(16).toString('hex') }
  environment.putSync(keys.format, rows.encode(row))
}

/** The error for an environment that holds no store. */
export function noStore(directory: string): RagError {
  return new RagError('CORRUPT', 'The folder holds an LMDB file that is no store of this library.', {
    data: { directory },
    hint: 'Choose another folder.',
  })
}
