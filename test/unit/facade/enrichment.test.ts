import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, expectTypeOf, it } from 'vitest'
import type { UltraFastRAGOptions } from '../../../src/config/options.js'
import { RagError } from '../../../src/core/errors.js'
import type { EnrichPassage } from '../../../src/enrich/types.js'
import { createFakeEmbedder } from '../../../src/testing/index.js'
import { UltraFastRAG } from '../../../src/ultra-fast-rag.js'
import { type ChatApi, startChatApi } from '../../lib/chat-api.js'

const open: UltraFastRAG[] = []
let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ufrag-enrich-'))
})

afterEach(async () => {
  for (const rag of open.splice(0)) await rag.close()
  await rm(folder, { recursive: true, force: true })
})

function openRag(options: UltraFastRAGOptions): UltraFastRAG {
  const rag = new UltraFastRAG({ embedder: false, ...options })
  open.push(rag)
  return rag
}

async function withApi(reply: ChatApi['reply'], run: (api: ChatApi) => Promise<void>): Promise<void> {
  const api = await startChatApi(reply)
  try {
    await run(api)
  } finally {
    await api.close()
  }
}

/** A text of so many chunks, each of which has a word of its own. */
const textOf = (words: readonly string[]) => words.map((word) => `The ${word} stands here alone.`).join('\n\n# x\n\n')
const markdown = (id: string, words: readonly string[]) => ({ id, text: textOf(words), mediaType: 'text/markdown' })

describe('enrichment', () => {
  it('finds a passage by what a function adds, and shows the passage as it is', async () => {
    const rag = openRag({ enrich: ({ text }) => (text.includes('lighthouse') ? 'pharology' : undefined) })
    await rag.ingest([markdown('a', ['lighthouse', 'granary'])])
    const [hit, ...others] = await rag.retrieve('pharology')
    expect(others).toEqual([])
    expect(hit?.chunk.text).toBe('The lighthouse stands here alone.')
    expect(JSON.stringify(hit)).not.toContain('pharology')
    const { answer, sources } = await rag.query('pharology')
    expect(answer + JSON.stringify(sources)).not.toContain('pharology')
  })

  it('embeds what is added, beyond the characters of the text that are embedded', async () => {
    const embedded: string[] = []
    const fake = createFakeEmbedder()
    const embedder = {
      ...fake,
      embed: (texts: readonly string[], options: Parameters<typeof fake.embed>[1]) => {
        if (options.kind === 'passage') embedded.push(...texts)
        return fake.embed(texts, options)
      },
    }
    const rag = openRag({ embedder, enrich: ['headings', () => ['one', 'two']], maxTextLength: 15 })
    await rag.ingest([{ id: 'a', text: 'The tower of London.', title: 'Title' }])
    expect(embedded).toEqual(['Title\none\ntwo\nThe tower'])
  })

  it('leaves title and headings out where they are not chosen, and takes them in again', async () => {
    const document = {
      id: 'a',
      text: '# Pharology\n\nThe tower stands.',
      title: 'Buildings',
      mediaType: 'text/markdown',
    }
    const bare = openRag({ storage: folder, enrich: false })
    await bare.ingest([document])
    expect(await bare.retrieve('pharology buildings')).toEqual([])
    const [hit] = await bare.retrieve('tower')
    expect(hit?.chunk).toMatchObject({ title: 'Buildings', headings: ['Pharology'] })
    await bare.close()

    const usual = openRag({ storage: folder })
    expect((await usual.ingest([document])).documents).toBe(1)
    expect(await usual.retrieve('pharology buildings')).toHaveLength(1)
  })

  it('tells functions everything there is about a passage', async () => {
    const seen: EnrichPassage[] = []
    const rag = openRag({
      enrich: (passage) => {
        seen.push(passage)
        return undefined
      },
    })
    const text = '# Top\n\nFirst words.\n\n## Below\n\nSecond words.'
    await rag.ingest([{ id: 'a', text, title: 'T', language: 'german', mediaType: 'text/markdown' }])
    expect(seen[1]).toMatchObject({ text: 'Second words.', title: 'T', headings: ['Top', 'Below'], language: 'german' })
    expect(seen[1]?.before).toContain('First words.')
    expect(seen[0]?.after).toContain('Second words.')
    expect(seen[0]?.beginning).toContain('First words.')
  })

  it('asks a model for summary, questions and context, and finds documents by each', async () => {
    const answers = {
      'Sum up': 'It is about pharology.',
      'Write 3': '1. Who guards ships?\n- What shines?\n\nWhy stone?\nWhere else?',
      'Source 1 is': '<think>hm</think>Part of a seamanship manual.',
    }
    const reply = (prompt: string) =>
      Object.entries(answers).find(([beginning]) => prompt.startsWith(beginning))?.[1] ?? 'unknown'
    await withApi(reply, async ({ llm, prompts }) => {
      const rag = openRag({ llm, enrich: ['headings', 'summary', 'questions', 'context'] })
      const report = await rag.ingest([markdown('a', ['tower', 'granary']), markdown('b', ['bridge'])])
      expect(report).toMatchObject({ documents: 2, unenriched: 0, enrichmentFailures: [] })
      // A summary for each document, and two answers for each of three passages.
      expect(prompts).toHaveLength(2 + 2 * 3)
      for (const word of ['pharology', 'guards', 'shines', 'seamanship'])
        expect((await rag.retrieve(word)).length, word).toBe(3)
      expect(await rag.retrieve('hm')).toEqual([])
      expect(await rag.retrieve('else')).toEqual([])
    })
  })

  it('asks again about nothing that is the same, also in another process and after a change', async () => {
    await withApi(
      (_prompt, place) => `answer${place}`,
      async ({ llm, prompts }) => {
        const options = { storage: folder, enrich: { kind: 'questions', llm } } as const
        const first = openRag(options)
        await first.ingest([markdown('a', ['tower', 'granary'])])
        expect(prompts).toHaveLength(2)
        expect((await first.ingest([markdown('a', ['tower', 'granary'])])).unchanged).toBe(1)
        await first.close()

        const second = openRag(options)
        await second.ingest([markdown('a', ['tower', 'granary', 'bridge']), markdown('b', ['tower', 'bridge'])])
        // The bridge is new, and the same in both.
        expect(prompts).toHaveLength(3)
        expect(prompts[2]).toContain('bridge')
        expect((await second.retrieve('answer2')).map(({ chunk }) => chunk.documentId).sort()).toEqual(['a', 'b'])
      },
    )
  })

  it('stores what fails without it, says so, and asks again about that alone', async () => {
    const warnings: string[] = []
    const logger = { debug() {}, info() {}, error() {}, warn: (message: string) => warnings.push(message) }
    let isDown = true
    await withApi(
      (prompt) => (isDown && prompt.includes('granary') ? (r) => r.writeHead(400).end('granary is bad') : 'pharology'),
      async ({ llm, prompts }) => {
        const rag = openRag({
          storage: folder,
          logger,
          enrich: { kind: 'questions', llm },
          embedder: createFakeEmbedder(),
        })
        const progress: number[] = []
        const documents = [markdown('a', ['tower', 'granary'])]
        const report = await rag.ingest(documents, {
          onProgress: ({ stage, unenriched }) => void (stage === 'committed' && progress.push(unenriched)),
        })
        expect(report).toMatchObject({ documents: 1, chunks: 2, unembedded: 0, unenriched: 1 })
        expect(progress.at(-1)).toBe(1)
        const [failure] = report.enrichmentFailures
        expect(failure).toMatchObject({ source: 'memory:a', chunks: 1 })
        expect(RagError.isInstance(failure?.error, 'PROVIDER')).toBe(true)
        expect(failure?.error.hint).toBeTruthy()
        expect(JSON.stringify(failure?.error) + String(failure?.error.cause)).not.toContain('granary')
        expect(warnings.join()).toContain('1 chunks were not enriched')
        expect(await rag.retrieve('granary')).not.toHaveLength(0)

        // Still failing: nothing new is stored.
        expect(await rag.ingest(documents)).toMatchObject({ documents: 0, unchanged: 1, unenriched: 1 })
        expect(prompts).toHaveLength(3)
        isDown = false
        expect(await rag.ingest(documents)).toMatchObject({ documents: 1, unenriched: 0 })
        expect(prompts).toHaveLength(4)
        expect(await rag.ingest(documents)).toMatchObject({ unchanged: 1, unenriched: 0 })
        expect(prompts).toHaveLength(4)
        const hits = await rag.retrieve('pharology')
        expect(new Set(hits.map(({ chunk }) => chunk.text)).size).toBe(2)
      },
    )
  })

  it('keeps what was paid when it is aborted in the middle', async () => {
    const controller = new AbortController()
    await withApi(
      (_prompt, place) => {
        if (place === 3) controller.abort(new Error('enough'))
        return place >= 3 && place < 6 ? () => {} : 'pharology'
      },
      async (api) => {
        const words = Array.from({ length: 20 }, (_, place) => `word${place}`)
        const options = {
          storage: folder,
          enrich: { kind: 'questions', llm: api.llm },
          maxConcurrentApiCalls: 1,
        } as const
        const first = openRag(options)
        await expect(first.ingest([markdown('a', words)], { signal: controller.signal })).rejects.toThrow('enough')
        expect(api.prompts).toHaveLength(4)
        await first.close()
        expect(api.abandoned).toBe(1)
        api.reply = () => 'pharology'
        const second = openRag(options)
        expect(await second.ingest([markdown('a', words)])).toMatchObject({ chunks: 20, unenriched: 0 })
        expect(api.prompts).toHaveLength(4 + 17)
      },
    )
  })

  it('keeps vectors of passages that stay as they are, and makes new ones of those that got more', async () => {
    const fake = createFakeEmbedder()
    const embedded: string[] = []
    const embedder = {
      ...fake,
      embed: (texts: readonly string[], options: Parameters<typeof fake.embed>[1]) => {
        embedded.push(...texts)
        return fake.embed(texts, options)
      },
    }
    const rag = (word: string) =>
      openRag({
        storage: folder,
        cacheEmbeddings: false,
        embedder,
        enrich: {
          kind: 'function',
          fingerprint: word,
          enrich: ({ text }) => (text.includes('tower') ? word : 'same'),
        },
      })
    const first = rag('old')
    await first.ingest([markdown('a', ['tower', 'granary'])])
    await first.close()
    embedded.length = 0
    await rag('new').ingest([markdown('a', ['tower', 'granary'])])
    expect(embedded).toEqual(['new\nThe tower stands here alone.'])
  })

  it('knows what a function is given, wherever it stands', async () => {
    const rag = openRag({
      enrich: [
        (passage, { signal }) => {
          expectTypeOf(passage).toEqualTypeOf<EnrichPassage>()
          return signal.aborted ? '' : 'granite'
        },
        {
          kind: 'function',
          enrich: (passage, { signal }) => {
            expectTypeOf(passage).toEqualTypeOf<EnrichPassage>()
            expectTypeOf(signal).toEqualTypeOf<AbortSignal>()
            return passage.text.includes('tower') ? 'basalt' : undefined
          },
        },
        {
          id: 'ready',
          fingerprint: 'ready/1',
          capabilities: { scope: 'passage', reads: [], batchSize: 9 },
          close: async () => {},
          enrich: async (passages: readonly EnrichPassage[]) => ({ lines: passages.map(() => ['marble']), failed: [] }),
        },
      ],
    })
    await rag.ingest([markdown('a', ['tower'])])
    for (const word of ['granite', 'basalt', 'marble']) expect(await rag.retrieve(word)).toHaveLength(1)
  })

  it('adds keywords where documents are prepared, in worker threads, and with a chunker of the caller', async () => {
    const text = 'The lighthouse is old.\n\nIt was late.\n\nThe lighthouse is tall.'
    const chunker = {
      id: 'lines',
      fingerprint: 'lines/1',
      chunk: ({ text }: { readonly text: string }) =>
        [...text.matchAll(/\S.*/g)].map(({ 0: line, index }) => ({ start: index, end: index + line.length })),
    }
    for (const options of [{ chunkSize: 25 }, { chunker }]) {
      const embedded: string[] = []
      const fake = createFakeEmbedder()
      const embedder = {
        ...fake,
        embed: (texts: readonly string[], o: Parameters<typeof fake.embed>[1]) => {
          embedded.push(...texts)
          return fake.embed(texts, o)
        },
      }
      const rag = openRag({ ...options, embedder, enrich: 'keywords' })
      await rag.ingest([{ id: 'a', text }])
      expect(embedded).toEqual(['The lighthouse is old.', 'lighthouse\nIt was late.', 'The lighthouse is tall.'])
    }
  })

  it('asks nobody with skipEnrichment, and only counts with keywordsOnly', async () => {
    const never = () => {
      throw new Error('asked')
    }
    for (const switches of [{ skipEnrichment: true }, { keywordsOnly: true }]) {
      const rag = openRag({ enrich: ['headings', never], ...switches })
      expect(await rag.ingest([markdown('a', ['tower'])])).toMatchObject({ documents: 1, unenriched: 0 })
    }
  })

  it('calls the model of a preset only when it was given for that', async () => {
    await withApi(
      () => 'pharology',
      async ({ llm, prompts }) => {
        const preset = { preset: 'production', rerank: false, apiRateLimitDelayMs: 0 } as const
        await openRag({ ...preset, llm }).ingest([markdown('a', ['tower'])])
        expect(prompts).toHaveLength(0)
        const rag = openRag({ ...preset, enrichLlm: llm })
        await rag.ingest([markdown('a', ['tower'])])
        expect(prompts).toHaveLength(1)
        expect(prompts[0]).toContain('Source 1 is a passage')
        expect(await rag.retrieve('pharology')).toHaveLength(1)
      },
    )
  })

  it('ends with an abort while a function waits for ever, and tells what an error of ours says is to be done', async () => {
    for (const local of [true, false]) {
      const controller = new AbortController()
      const reason = new Error('enough')
      const waits = () => {
        setImmediate(() => controller.abort(reason))
        return new Promise<never>(() => {})
      }
      const stuck = openRag({ enrich: { kind: 'function', enrich: waits, local } })
      const ingesting = stuck.ingest([markdown('a', ['tower'])], { signal: controller.signal })
      await expect(ingesting).rejects.toBe(reason)
    }
    const missing = new RagError('MISSING_PEER', 'Not there.', { hint: 'Run: npm i x' })
    const rag = openRag({
      enrich: () => {
        throw missing
      },
    })
    const { enrichmentFailures } = await rag.ingest([markdown('a', ['tower'])])
    expect(enrichmentFailures[0]?.error).toMatchObject({ hint: 'Run: npm i x', data: { reason: 'MISSING_PEER' } })
  })

  it('survives an enricher that keeps none of its promises', async () => {
    const fail = (enrich: () => unknown) => ({
      id: 'bad',
      fingerprint: 'bad/1',
      capabilities: { scope: 'passage', reads: [], batchSize: 1 },
      enrich: async () => enrich() as never,
      close: async () => {},
    })
    for (const answer of [undefined, {}, { lines: [] }, { lines: [[1]] }, { lines: 'text', failed: 3 }]) {
      const rag = openRag({ enrich: fail(() => answer) as never })
      expect(await rag.ingest([markdown('a', ['tower'])])).toMatchObject({ documents: 1, unenriched: 1 })
    }
    const endless = openRag({
      enrich: fail(() => ({ lines: [[' \n\u0000', 'x'.repeat(1e6), 'y']], failed: [] })) as never,
    })
    expect(await endless.ingest([markdown('a', ['tower'])])).toMatchObject({ documents: 1, unenriched: 0 })
    expect(await endless.retrieve('tower')).toHaveLength(1)
  })
})
