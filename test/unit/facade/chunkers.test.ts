import { afterEach, describe, expect, it } from 'vitest'
import type { ChunkerOptions } from '../../../src/config/options.js'
import { UltraFastRAG, type UltraFastRAGOptions } from '../../../src/index.js'
import { openTokenizer } from '../../../src/models/tokenizer.js'
import { staticModelFolder } from '../../fixtures/models/static-model-folder.js'

const text = `# Gardens\n\n${'The old garden has a wall. Roses grow on the wall of the garden. '.repeat(12)}\n\n# Houses\n\nA house.`
const open: UltraFastRAG[] = []

function openRag(options: UltraFastRAGOptions): UltraFastRAG {
  const rag = new UltraFastRAG({ embedder: false, maxWorkers: 1, ...options })
  open.push(rag)
  return rag
}

afterEach(async () => {
  for (const rag of open.splice(0)) await rag.close()
})

describe('the chunker option', () => {
  const tokenizer = staticModelFolder()
  const choices: readonly ChunkerOptions[] = [
    { kind: 'recursive', chunkSize: 100 },
    { kind: 'markdown', chunkSize: 100 },
    { kind: 'semantic', chunkSize: 100 },
    { kind: 'token', maxTokens: 32, tokenizer },
  ]

  it.each(choices)('cuts documents in a thread: $kind', async (chunker) => {
    const rag = openRag({ chunker })
    await rag.ingestDocument({ id: 'one', text, mediaType: 'text/markdown' })
    const hits = await rag.retrieve('garden wall roses', { topK: 50 })
    expect(hits.length).toBeGreaterThan(4)
    for (const { chunk } of hits) {
      expect(text.slice(chunk.span.start, chunk.span.end)).toBe(chunk.text)
      expect(chunk.text.length).toBeLessThanOrEqual(200)
    }
  })

  it('counts what is embedded with the tokenizer of the embedder', async () => {
    const rag = openRag({ chunker: { kind: 'token', maxTokens: 24 }, embedder: { kind: 'static', model: tokenizer } })
    await rag.ingestDocument({ id: 'one', text, mediaType: 'text/markdown' })
    const { encode } = await openTokenizer(tokenizer)
    const hits = await rag.retrieve('garden wall roses', { topK: 50 })
    const counts = hits.map(
      ({ chunk }) => encode([`Gardens\n${chunk.text}`], { maxTokens: Number.POSITIVE_INFINITY }).offsets[1] as number,
    )
    expect(Math.max(...counts)).toBeLessThanOrEqual(24)
    expect(Math.max(...counts)).toBeGreaterThan(12)
  })

  it('refuses the token chunker where there is nothing to count with', () => {
    expect(() => openRag({ chunker: 'token' })).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }))
    expect(() => openRag({ chunker: { kind: 'token', maxTokens: 3, tokenizer } })).toThrow(/at least 16/)
  })
})
