import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, it } from 'vitest'
import { createBm25Index } from '../../src/lexical-index/bm25.js'
import type { LexicalIndex } from '../../src/lexical-index/types.js'
import { lexicalIndexConformance } from '../../src/testing/index.js'

const root = mkdtempSync(join(tmpdir(), 'ufrag-lexical-'))
const directories = new Map<LexicalIndex, string>()

afterAll(() => rmSync(root, { recursive: true, force: true }))

describe('BM25 index in memory', () => {
  lexicalIndexConformance(it, { create: () => createBm25Index(), reopen: { skip: 'it lives in memory' } })
})

describe('BM25 index in a directory', () => {
  const openIn = async (directory: string): Promise<LexicalIndex> => {
    const index = await createBm25Index({ directory })
    directories.set(index, directory)
    return index
  }
  lexicalIndexConformance(it, {
    create: () => openIn(join(root, `index-${directories.size}`)),
    reopen: (closed) => openIn(directories.get(closed) ?? ''),
  })
})
