import { describe, expect, it } from 'vitest'
import { sha256Hex } from '../../../src/util/hash.js'
import { documentOf, pipelineOf } from './support.js'

describe('a document that is stored already', () => {
  it('is told by its hash, and nothing is read of it', async () => {
    const hashes: (string | undefined)[] = []
    const { ingest, preparing } = pipelineOf({
      beforePreparing: async ({ storedHash }) => void hashes.push(storedHash),
    })
    const document = documentOf('a', 3)
    expect(await ingest([document])).toMatchObject({ documents: 1, unchanged: 0 })
    expect(await ingest([document])).toMatchObject({ documents: 0, unchanged: 1 })
    expect(preparing).toMatchObject({ pieces: 1, open: 0 })
    expect(await ingest([documentOf('a', 4)])).toMatchObject({ documents: 1, unchanged: 0 })
    const known = sha256Hex(document.text)
    expect(hashes).toEqual([undefined, known, known])
  })

  it('is written when another version of it was stored while it was looked at', async () => {
    const document = documentOf('a', 3)
    const other = pipelineOf({})
    await other.ingest([document])
    let asked = 0
    const { ingest, preparing } = pipelineOf({
      namespace: other.namespace,
      beforePreparing: async () => {
        if (asked++ === 0) await other.ingest([documentOf('a', 5)])
      },
    })
    expect(await ingest([document])).toMatchObject({ documents: 1, unchanged: 0 })
    expect(asked, 'it is looked at again').toBe(2)
    expect(preparing).toMatchObject({ pieces: 1, open: 0 })
    expect(other.namespace.get('a')?.contentHash).toBe(sha256Hex(document.text))
  })
})
