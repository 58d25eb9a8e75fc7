import { rmSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { Chunker, SectionSpan } from '../../../src/chunk/types.js'
import type { Embedder, Embeddings, EmbedOptions } from '../../../src/embed/types.js'
import { failing, inTime, makeFolder, never, open, wrong } from './support.js'

const dimensions = 4

function embedderOf(embed: (texts: readonly string[], options: EmbedOptions) => unknown): Embedder {
  return {
    id: 'mine',
    fingerprint: 'mine/1',
    dimensions,
    capabilities: { fitted: false, batchSize: 8 },
    embed: wrong(embed),
    close: async () => {},
  }
}

const rows = (texts: readonly string[], value: number): Embeddings => ({
  vectors: new Float32Array(texts.length * dimensions).fill(value),
  failed: [],
  tokens: 0,
})

describe('an embedder of the caller', () => {
  const faulty: Readonly<Record<string, (texts: readonly string[]) => unknown>> = {
    'that returns too few vectors': async () => rows([], 0.5),
    'that returns too many vectors': async (texts) => rows([...texts, ''], 0.5),
    'that returns NaN': async (texts) => rows(texts, Number.NaN),
    'that returns infinity': async (texts) => rows(texts, Number.POSITIVE_INFINITY),
    'that returns nothing': async () => undefined,
    'that returns plain arrays': async (texts) => texts.map(() => [1, 2, 3, 4]),
    'that returns texts': async (texts) => ({ vectors: [...texts], failed: [], tokens: 0 }),
  }

  it.each(Object.entries(faulty))('%s stores nothing and answers nothing', async (_, embed) => {
    const rag = open({ embedder: embedderOf(embed), storage: makeFolder() })
    const report = await rag.ingest([{ id: 'a', text: 'A fox.' }])
    expect(report.failed).toEqual([expect.objectContaining({ error: failing('BAD_INPUT') })])
    expect((await rag.stats()).documents).toBe(0)
    await expect(rag.retrieve('fox')).rejects.toEqual(failing('BAD_INPUT'))
  })

  it('that throws is named, and its error is the cause', async () => {
    const cause = new Error('quota')
    const embed = () => {
      throw cause
    }
    const rag = open({ embedder: embedderOf(embed) })
    const [failure] = (await rag.ingest([{ id: 'a', text: 'A fox.' }])).failed
    expect(failure?.error).toMatchObject({ code: 'PROVIDER', cause })
    await expect(rag.query('fox')).rejects.toMatchObject({ code: 'PROVIDER', cause })
  })

  it('whose vectors are not of length 1 is scaled', async () => {
    const rag = open({ embedder: embedderOf(async (texts) => rows(texts, 100)) })
    await rag.ingest([{ id: 'a', text: 'A fox.' }])
    expect((await rag.retrieve('fox'))[0]?.scores.vector).toBeCloseTo(1, 5)
  })

  it('whose vectors are zero, or failed, leaves the chunk to the words', async () => {
    const failed = (texts: readonly string[]) => texts.map((_, index) => ({ index, error: new Error('x') }))
    for (const embed of [
      async (texts: readonly string[]) => rows(texts, 0),
      async (texts: readonly string[]) => ({ ...rows(texts, 0.5), failed: failed(texts) }),
    ]) {
      const rag = open({ embedder: embedderOf(embed) })
      await rag.ingest([{ id: 'a', text: 'A fox.' }])
      expect((await rag.retrieve('fox'))[0]?.scores).toEqual({ lexical: expect.any(Number) })
    }
  })

  it('that never answers holds up neither the deadline nor close()', async () => {
    const rag = open({ embedder: embedderOf(never) })
    await expect(inTime(rag.ingest([{ id: 'a', text: 'A fox.' }], { deadlineMs: 100 }))).rejects.toEqual(
      failing('DEADLINE'),
    )
    await expect(inTime(rag.query('fox', { deadlineMs: 100 }))).rejects.toEqual(failing('DEADLINE'))
    const waiting = rag.query('fox')
    const refused = expect(waiting).rejects.toEqual(failing('CLOSED'))
    await new Promise((resolve) => setTimeout(resolve, 50))
    await inTime(rag.close())
    await refused
  })
})

describe('a chunker of the caller', () => {
  const text = 'Hello fox 😀 wide world.'
  const pair = text.indexOf('😀') + 1
  const chunkerOf = (chunk: () => unknown): Chunker => ({ id: 'mine', fingerprint: 'mine/1', chunk: wrong(chunk) })
  const span = (start: unknown, end: unknown) => ({ start, end }) as SectionSpan

  it.each([
    ['reaches beyond the text', [span(0, 1e6)]],
    ['begins before it', [span(-5, 3)]],
    ['ends before it starts', [span(5, 2)]],
    ['is empty', [span(2, 2)]],
    ['goes backwards', [span(8, 12), span(0, 4)]],
    ['comes twice', [span(0, 8), span(0, 8)]],
    ['cuts a character in two', [span(0, pair), span(pair, text.length)]],
    ['has fractions', [span(0.5, 3.7)]],
    ['is not a number', [span(Number.NaN, 3)]],
    ['holds texts', [span('0', '3')]],
    ['is null', [null]],
    ['is missing', undefined],
  ])('whose span %s is refused and nothing is stored', async (_, spans) => {
    const rag = open({ chunker: chunkerOf(() => spans) })
    const report = await rag.ingest([{ id: 'a', text }])
    expect(report.failed).toEqual([expect.objectContaining({ error: failing('BAD_INPUT') })])
    expect((await rag.stats()).chunks).toBe(0)
  })

  it('may let chunks overlap', async () => {
    const rag = open({ chunker: chunkerOf(() => [span(0, 9), span(6, text.length)]) })
    expect(await rag.ingest([{ id: 'a', text }])).toMatchObject({ chunks: 2, failed: [] })
  })

  it('that never answers holds up neither the deadline nor close()', async () => {
    const rag = open({ chunker: chunkerOf(never) })
    await expect(inTime(rag.ingest([{ id: 'a', text }], { deadlineMs: 100 }))).rejects.toEqual(failing('DEADLINE'))
    await inTime(rag.close())
  })
})

describe('a model of the caller', () => {
  type Generate = () => unknown
  const models: Readonly<Record<string, Generate>> = {
    'that yields a number': async function* () {
      yield 5
    },
    'that returns a text': () => 'abc',
    'that returns nothing': () => undefined,
    'that is an async function and rejects': async () => {
      throw new Error('model')
    },
  }

  describe.each(['function', 'instance'])('as %s', (form) => {
    const asked = async (generate: Generate, deadlineMs = 5_000) => {
      const llm = form === 'function' ? generate : { id: 'mine', generate, close: async () => {} }
      const rag = open({ llm: wrong(llm) })
      await rag.ingest([{ id: 'a', text: 'A fox.' }])
      return inTime(rag.query('fox', { deadlineMs }))
    }

    it.each(Object.entries(models))('%s is refused', async (_, generate) => {
      await expect(asked(generate)).rejects.toEqual(failing('BAD_INPUT'))
    })

    it('that fails midway fails the answer with its own error', async () => {
      const error = new Error('midway')
      const generate = async function* () {
        yield 'A fox [1]'
        throw error
      }
      await expect(asked(generate)).rejects.toBe(error)
    })

    it('that never answers, or never stops, is stopped by the deadline', async () => {
      const waiting = () => ({ [Symbol.asyncIterator]: () => ({ next: never, return: never }) })
      await expect(asked(waiting, 100)).rejects.toEqual(failing('DEADLINE'))
      // It never waits for anything either: without a turn now and then no timer would ever fire.
      const endless = async function* () {
        for (;;) yield 'word '
      }
      await expect(asked(endless, 100)).rejects.toEqual(failing('DEADLINE'))
    })

    it('whose end hangs after it failed does not hang the answer', async () => {
      const error = new Error('next')
      const next = async () => {
        throw error
      }
      await expect(asked(() => ({ [Symbol.asyncIterator]: () => ({ next, return: never }) }))).rejects.toBe(error)
    })
  })
})

describe('callbacks and inputs of the caller', () => {
  const many = Array.from({ length: 500 }, (_, i) => ({ id: `${i}`, text: `Document ${i}.` }))

  it.each([
    [
      'throws',
      () => {
        throw new Error('progress')
      },
    ],
    [
      'rejects',
      async () => {
        throw new Error('progress')
      },
    ],
  ])('onProgress that %s ends the ingest, which does not go on unseen', async (_, onProgress) => {
    const rag = open()
    await expect(rag.ingest(many, { onProgress })).rejects.toThrow('progress')
    const { epoch } = await rag.stats()
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect((await rag.stats()).epoch).toBe(epoch)
    expect(await rag.ingest(many)).toMatchObject({ failed: [] })
  })

  it('a logger that throws harms nothing', async () => {
    const fail = () => {
      throw new Error('logger')
    }
    const reject = async () => fail()
    const storage = makeFolder()
    for (const warn of [fail, reject]) {
      rmSync(`${storage}/indexes`, { recursive: true, force: true })
      writeFileSync(`${storage}/indexes`, 'a file in place of the folder')
      const rag = open({ storage, logger: { debug: fail, info: fail, warn, error: fail } })
      await rag.ingest([{ id: 'a', text: `A fox ${warn.name}.` }])
      expect((await rag.retrieve('fox')).length).toBe(1)
      await rag.close()
    }
  })

  it('a source of documents that never goes on holds up neither the deadline nor close()', async () => {
    const rag = open()
    const source = async function* () {
      yield { id: 'a', text: 'A fox.' }
      await never()
    }
    const stop = new AbortController()
    const ingesting = rag.ingest(source(), {
      signal: stop.signal,
      onProgress: ({ stage }) => void (stage === 'committed' && stop.abort(new Error('stop'))),
    })
    await expect(inTime(ingesting)).rejects.toThrow('stop')
    expect((await rag.retrieve('fox')).length).toBe(1)
    await expect(inTime(rag.ingest(source(), { deadlineMs: 100 }))).rejects.toEqual(failing('DEADLINE'))
    await inTime(rag.close())
  })

  it('an endless source is stopped by the deadline', async () => {
    const rag = open()
    const source = function* (value: unknown) {
      for (;;) yield wrong(value)
    }
    await expect(inTime(rag.ingest(source(null), { deadlineMs: 100 }))).rejects.toEqual(failing('DEADLINE'))
    await expect(inTime(rag.ingest(source({ text: 'A fox.' }), { deadlineMs: 100 }))).rejects.toEqual(
      failing('DEADLINE'),
    )
  })

  it('a source that fails fails the ingest with its error; what came before stays', async () => {
    const rag = open()
    const source = async function* () {
      yield { id: 'a', text: 'A fox.' }
      throw new Error('source')
    }
    await expect(rag.ingest(source())).rejects.toThrow('source')
    expect((await rag.retrieve('fox')).length).toBe(1)
  })
})
