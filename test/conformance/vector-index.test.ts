import { describe, it } from 'vitest'
import { vectorIndexConformance } from '../../src/testing/index.js'
import { createFlatIndex } from '../../src/vector-index/flat.js'

describe.each([
  ['accelerated', true],
  ['plain', false],
])('flat vector index, %s', (_name, accelerate) => {
  vectorIndexConformance(it, {
    create: async ({ dimensions }) => createFlatIndex({ dimensions, fingerprint: 'test', accelerate }),
    reopen: { skip: 'it lives in memory' },
  })
})
