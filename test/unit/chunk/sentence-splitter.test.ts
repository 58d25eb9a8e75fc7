import { describe, expect, it } from 'vitest'
import { createSentenceChunker } from '../../../src/chunk/sentence.js'
import { createSentenceSplitterChunker, type SentenceSplitterModule } from '../../../src/chunk/sentence-splitter.js'

const options = { chunkSize: 40, chunkOverlap: 0, minChunkSize: 0 }

async function textsOf(text: string, module?: SentenceSplitterModule): Promise<string[]> {
  const chunker = createSentenceSplitterChunker({ ...options, ...(module === undefined ? {} : { module }) })
  const chunks = await chunker.chunk({ text, whole: [] })
  return chunks.map(({ start, end }) => text.slice(start, end))
}

describe('createSentenceSplitterChunker', () => {
  it('packs the sentences of the package', async () => {
    expect(await textsOf('  Hello there. How are you today? I am fine.\n\nA new paragraph is here.')).toEqual([
      'Hello there. How are you today?',
      'I am fine.\n\nA new paragraph is here.',
    ])
    expect(await textsOf('He cried "Stop. Go back." and then he left them.')).toEqual([
      'He cried "Stop. Go back." and then he',
      'left them.',
    ])
  })

  it('differs from the default where the package does', async () => {
    const text = 'He met Roe of the U.S. Army on a rainy day in May.'
    expect(await textsOf(text)).toEqual(['He met Roe of the U.S.', 'Army on a rainy day in May.'])
    expect(createSentenceChunker(options).chunk({ text, whole: [] })).toEqual([
      { start: 0, end: 38 },
      { start: 39, end: 50 },
    ])
  })

  it('gives the package a paragraph at a time and keeps what it leaves out', async () => {
    const seen: string[] = []
    const module: SentenceSplitterModule = {
      split: (text) => {
        seen.push(text)
        const middle = text.indexOf('Middle')
        return [
          { type: 'Punctuation', range: [0, 1] },
          { type: 'Sentence', range: [middle, middle + 6] },
        ]
      },
    }
    expect(await textsOf('\n… Middle !\n \nA Middle\nB\n', module)).toEqual(['… Middle !\n \nA Middle\nB'])
    expect(seen).toEqual(['… Middle !', 'A Middle\nB'])
  })

  it('has a fingerprint of its own, and names itself as the package', () => {
    const chunker = createSentenceSplitterChunker(options)
    expect(chunker.id).toBe('sentence-splitter')
    expect(chunker.fingerprint).not.toBe(createSentenceChunker(options).fingerprint)
  })
})
