import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, it } from 'vitest'
import { vectorIndexConformance } from '../../src/testing/index.js'
import { createAutoIndex } from '../../src/vector-index/auto.js'
import { createFlatIndex, openFlatIndex } from '../../src/vector-index/flat.js'
import { createHnswlibIndex } from '../../src/vector-index/hnswlib.js'
import { createLancedbIndex } from '../../src/vector-index/lancedb.js'
import { createShardedIndex } from '../../src/vector-index/sharded.js'
import type { VectorIndex } from '../../src/vector-index/types.js'
import { createUsearchIndex } from '../../src/vector-index/usearch.js'
import { inSoak } from '../lib/soak.js'

const fingerprint = 'test'

describe.each([
  ['accelerated', true],
  ['plain', false],
])('flat vector index, %s', (_name, accelerate) => {
  vectorIndexConformance(it, {
    create: async ({ dimensions }) => createFlatIndex({ dimensions, fingerprint, accelerate }),
    reopen: { skip: 'it lives in memory' },
  })
})

const root = mkdtempSync(join(tmpdir(), 'ufrag-conformance-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** So small that the few vectors of the suite become segments, are joined and get graphs. */
const sizes = { tailRows: 100, graphRows: 200, maxRows: 1_000, rowsPerCandidate: 0.01 }

type Create = (options: { dimensions: number; directory?: string }) => Promise<VectorIndex>

describe.each<[string, Parameters<typeof vectorIndexConformance>[0], Create]>([
  ['flat, in a folder', it, (options) => openFlatIndex({ ...options, fingerprint })],
  ['auto', it, (options) => createAutoIndex({ ...options, fingerprint })],
  ['usearch, f16', inSoak, (options) => createUsearchIndex({ ...options, fingerprint, sizes, quantization: 'f16' })],
  ['usearch, i8', it, (options) => createUsearchIndex({ ...options, fingerprint, sizes, quantization: 'i8' })],
  ['usearch, f32', inSoak, (options) => createUsearchIndex({ ...options, fingerprint, sizes, quantization: 'f32' })],
  [
    'sharded flat',
    inSoak,
    (options) => createShardedIndex({ ...options, fingerprint, shards: 3, open: async (one) => openFlatIndex(one) }),
  ],
  [
    'sharded usearch',
    inSoak,
    (options) =>
      createShardedIndex({
        ...options,
        fingerprint,
        shards: 2,
        open: (one) => createUsearchIndex({ ...one, sizes }),
      }),
  ],
  ['hnswlib', it, (options) => createHnswlibIndex({ ...options, fingerprint, sizes })],
  [
    'lancedb',
    it,
    (options) =>
      createLancedbIndex({
        ...options,
        fingerprint,
        sizes: { tailRows: 400, indexRows: 400, maxRows: 1_000, scannedRows: 0 },
      }),
  ],
])('%s vector index', (_name, test, create) => {
  const directories = new WeakMap<VectorIndex, { dimensions: number; directory: string }>()
  const open = async (options: { dimensions: number; directory: string }) => {
    const index = await create(options)
    directories.set(index, options)
    return index
  }
  let made = 0
  vectorIndexConformance(test, {
    create: ({ dimensions }) => open({ dimensions, directory: join(root, `${_name}-${made++}`) }),
    reopen: (closed) => open(directories.get(closed) as { dimensions: number; directory: string }),
  })
})
