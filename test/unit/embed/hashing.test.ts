import { describe, expect, it } from 'vitest'
import { createHashingEmbedder } from '../../../src/embed/hashing.js'

const passage = { kind: 'passage' } as const

async function similarity(a: string, b: string): Promise<number> {
  const { vectors } = await createHashingEmbedder().embed([a, b], passage)
  return vectors.subarray(0, 256).reduce((sum, value, i) => sum + value * (vectors[256 + i] as number), 0)
}

describe('the hashing embedder', () => {
  it('gives unit vectors that depend on the text alone', async () => {
    const embedder = createHashingEmbedder({ dimensions: 100 })
    const { vectors, failed, tokens } = await embedder.embed(
      ['one two three', 'something else', 'one two three'],
      passage,
    )
    expect(vectors).toHaveLength(300)
    expect([failed, tokens]).toEqual([[], 0])
    for (let row = 0; row < 3; row++)
      expect(Math.hypot(...vectors.subarray(row * 100, row * 100 + 100))).toBeCloseTo(1, 6)
    expect(vectors.subarray(0, 100)).toEqual(vectors.subarray(200, 300))
    expect((await embedder.embed(['one two three'], { kind: 'query' })).vectors).toEqual(vectors.subarray(0, 100))
  })

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

  it('stops when it is aborted', async () => {
    const reason = new Error('enough')
    const work = createHashingEmbedder().embed(['text'], { kind: 'passage', signal: AbortSignal.abort(reason) })
    await expect(work).rejects.toBe(reason)
  })

  it('changes its fingerprint with the dimensions, and refuses impossible ones', () => {
    expect(createHashingEmbedder({ dimensions: 64 }).fingerprint).not.toBe(createHashingEmbedder().fingerprint)
    for (const dimensions of [0, 1.5, Number.NaN, 70_000]) {
      expect(() => createHashingEmbedder({ dimensions })).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }))
    }
  })
})
