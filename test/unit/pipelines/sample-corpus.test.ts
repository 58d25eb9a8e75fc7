import { describe, expect, it } from 'vitest'
import { decodePiece, pieceChunkText } from '../../../src/core/piece.js'
import type { SamplePart } from '../../../src/embed/types.js'
import { type SampleOptions, sampleCorpus } from '../../../src/pipelines/steps/sample-corpus.js'
import type { StoreNamespace } from '../../../src/store/types.js'
import { pipelineOf } from './support.js'

const all = { maxChunks: 20_000, maxCharacters: 1 << 24, signal: new AbortController().signal }

async function sampled(namespace: StoreNamespace, options: Partial<SampleOptions> = {}): Promise<string[]> {
  const texts: string[] = []
  for await (const parts of sampleCorpus(namespace, { ...all, ...options }))
    for (const part of parts) texts.push(...chunksOf(part))
  return texts
}

function chunksOf({ pieces, from, to }: SamplePart): string[] {
  return pieces.flatMap((bytes) => {
    const piece = decodePiece(bytes)
    return piece.chunks
      .filter((_, place) => piece.firstOrdinal + place >= from && piece.firstOrdinal + place < to)
      .map((chunk) => pieceChunkText(piece, chunk))
  })
}

/** Documents of as many lines as told, a chunk each. */
const documents = (lines: readonly number[]) =>
  lines.map((count, d) => ({
    id: `d${String(d).padStart(3, '0')}`,
    text: Array.from({ length: count }, (_, line) => `document ${d} line ${line}`).join('\n'),
  }))

async function corpusOf(given: readonly { readonly id: string; readonly text: string }[], linesPerPiece = 10) {
  const { ingest, namespace } = pipelineOf({ linesPerPiece })
  await ingest(given)
  return namespace
}

describe('the sample of a corpus', () => {
  it('is every chunk, once and in order, when there are few enough', async () => {
    const given = documents([1, 130, 64, 3])
    const namespace = await corpusOf(given)
    expect(await sampled(namespace)).toEqual(given.flatMap(({ text }) => text.split('\n')))
    expect(await sampled(await corpusOf([]))).toEqual([])
  })

  it('is a part of it that holds no more than it may, whole runs of chunks', async () => {
    const namespace = await corpusOf(documents(Array.from({ length: 40 }, () => 100)))
    const texts = await sampled(namespace, { maxChunks: 1_000 })
    expect(texts.length).toBeLessThanOrEqual(1_000)
    expect(texts.length).toBeGreaterThan(500)
    expect(new Set(texts).size).toBe(texts.length)
    const beginnings = texts.filter((text) => text.endsWith(' line 0')).length
    expect(texts.filter((text) => text.endsWith(' line 63')).length).toBe(beginnings)
  })

  it('is bounded by characters where chunks are large', async () => {
    const namespace = await corpusOf(documents(Array.from({ length: 40 }, () => 100)))
    const characters = (await sampled(namespace, { maxCharacters: 20_000 })).join('').length
    expect(characters).toBeLessThan(25_000)
    expect(characters).toBeGreaterThan(10_000)
    expect((await sampled(namespace, { maxCharacters: 1 })).length).toBeGreaterThan(0)
  })

  it('depends on what there is, not on how it came there', async () => {
    const given = documents(Array.from({ length: 60 }, (_, d) => (d * 7) % 90))
    const one = await corpusOf(given.filter(({ text }) => text !== ''))
    const other = await corpusOf(given.filter(({ text }) => text !== '').toReversed(), 25)
    const [a, b] = [await sampled(one, { maxChunks: 500 }), await sampled(other, { maxChunks: 500 })]
    expect(a).toEqual(b)
    expect(a.length).toBeGreaterThan(300)
  })

  it('stops when it is aborted', async () => {
    const namespace = await corpusOf(documents(Array.from({ length: 20 }, () => 30)))
    const reason = new Error('enough')
    await expect(sampled(namespace, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })
})
