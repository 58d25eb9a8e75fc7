import { serveTasks, Transferred } from '../../util/worker-serve.js'
import { TableSearcher } from './search.js'
import {
  dropTables,
  indexTable,
  mergeTables,
  readManifest,
  readNumbers,
  readRows,
  sealTable,
  writeManifest,
} from './tables.js'
import type { TableRef, TableSearch } from './types.js'

const searcher = new TableSearcher()

// Threads that build and threads that search are of different pools: each is asked for its own.
serveTasks({
  seal: sealTable,
  merge: mergeTables,
  index: indexTable,
  'read-manifest': readManifest,
  'write-manifest': writeManifest,
  numbers: readNumbers,
  rows: async (task: Parameters<typeof readRows>[0], context) => {
    const rows = await readRows(task, context)
    return new Transferred(rows, [rows.buffer as ArrayBuffer])
  },
  'drop-tables': dropTables,
  open: (tables: readonly TableRef[], { critical }) => searcher.open(tables, critical),
  search: (search: TableSearch, { critical }) => searcher.search(search, critical),
  drop: (ids: readonly number[]) => searcher.drop(ids),
})
