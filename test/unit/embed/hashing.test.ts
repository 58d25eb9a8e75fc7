import { describe, expect, it } from 'vitest'
import { createHashingEmbedder } from '../../../src/embed/hashing.js'

const passage = { kind: 'passage' } as const

async function similarity(a: string, b: string): Promise<number> {
  const { vectors } = await createHashingEmbedder().embed([a, b], passage)
  return vectors.subarray(0, 256).reduce((sum, value, i) => sum + value * (vectors[256 + i] as number), 0)
}

describe('the hashing embedder', () => {
  it('puts inflections and typing errors nearer than other words', async () => {
    expect(await similarity('embedding vectors', 'embeddings vector')).toBeGreaterThan(0.5)
    expect(await similarity('retrieval', 'retreival')).toBeGreaterThan(await similarity('retrieval', 'generation'))
    expect(await similarity('Größe ﬁnden', 'GRÖSSE finden')).toBeGreaterThan(0.5)
  })

  it('reports texts without words as EMPTY, with a row of zeros', async () => {
    const { vectors, failed } = await createHashingEmbedder({ dimensions: 4 }).embed(['', 'word', ' … \n'], passage)
    expect(failed.map(({ index }) => index)).toEqual([0, 2])
    expect(failed[0]?.error).toMatchObject({ code: 'EMPTY' })
    expect([...vectors.subarray(0, 4), ...vectors.subarray(8)]).toEqual(Array(8).fill(0))
  })

  it('changes its fingerprint with the dimensions, and refuses impossible ones', () => {
    expect(createHashingEmbedder({ dimensions: 64 }).fingerprint).not.toBe(createHashingEmbedder().fingerprint)
    for (const dimensions of [0, 1.5, Number.NaN, 70_000]) {
      expect(() => createHashingEmbedder({ dimensions })).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }))
    }
  })
})
