import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, it } from 'vitest'
import { openLmdbStore } from '../../src/store/lmdb.js'
import { createMemoryStore } from '../../src/store/memory.js'
import { storeConformance } from '../../src/testing/store-suite.js'

const root = mkdtempSync(join(tmpdir(), 'ufrag-store-'))
let stores = 0

afterAll(() => rmSync(root, { recursive: true, force: true }))

describe('memory store', () => {
  storeConformance(it, { create: async () => createMemoryStore(), reopen: { skip: 'it lives in memory' } })
})

describe('LMDB store', () => {
  storeConformance(it, {
    create: () => openLmdbStore({ directory: join(root, `store.${stores++}`) }),
    reopen: ({ directory = '' }) => openLmdbStore({ directory }),
  })
})
