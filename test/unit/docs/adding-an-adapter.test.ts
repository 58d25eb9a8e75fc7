import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import type { Embedder } from '../../../src/embed/types.js'

const folder = mkdtempSync(join(tmpdir(), 'ufrag-docs-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('the example of docs/adding-an-adapter.md', () => {
  it('embeds into unit vectors and reports what it cannot embed', async () => {
    const page = readFileSync(new URL('../../../docs/adding-an-adapter.md', import.meta.url), 'utf8')
    const source = /```ts\n(.*?)```/s.exec(page)?.[1] ?? ''
    const file = join(folder, 'word.ts')
    writeFileSync(
      file,
      source.replace('../core/errors.js', new URL('../../../src/core/errors.ts', import.meta.url).href),
    )
    const { createWordEmbedder } = (await import(pathToFileURL(file).href)) as { createWordEmbedder: () => Embedder }
    const embedder = createWordEmbedder()
    const { vectors, failed } = await embedder.embed(['one two two', '…'], { kind: 'passage' })
    expect(Math.hypot(...vectors.subarray(0, embedder.dimensions))).toBeCloseTo(1, 5)
    expect(failed).toEqual([{ index: 1, error: expect.objectContaining({ code: 'EMPTY' }) }])
  })
})
