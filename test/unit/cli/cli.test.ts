import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { afterAll, describe, expect, it, vi } from 'vitest'
import type { CliEnvironment, CliRag } from '../../../src/cli/context.js'
import { runCli } from '../../../src/cli/program.js'
import type { UltraFastRAGOptions } from '../../../src/config/options.js'
import type { QueryResult } from '../../../src/core/answer.js'
import { RagError } from '../../../src/core/errors.js'
import type { AnswerEvent } from '../../../src/core/events.js'
import config from '../../../tsup.config.js'

const tsup = config as { readonly entry: Readonly<Record<string, string>> }
const manifest = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
  readonly optionalDependencies: Readonly<Record<string, string>>
  readonly peerDependencies: Readonly<Record<string, string>>
}

const storage = mkdtempSync(join(tmpdir(), 'ufrag-cli-'))
afterAll(() => rmSync(storage, { recursive: true }))

const citation = {
  marker: 1,
  position: { start: 7, end: 10 },
  documentId: 'guide.pdf',
  chunkId: 'c',
  title: 'Guide',
  page: 4,
  span: { start: 0, end: 5 },
  quote: 'Valves\nclose.',
}
const answered: QueryResult = {
  answer: 'Closed [1].',
  outcome: 'answered',
  sources: [],
  citations: [citation],
  timings: { total: 1 },
  cache: { retrieval: 'off', answer: 'off' },
  finishReason: 'stop',
  model: 'm',
  tokens: { input: 9, output: 3, estimated: false },
  inventedCitations: 0,
}
const events: AnswerEvent[] = [
  { type: 'status', stage: 'generate' },
  { type: 'answer-delta', text: 'Clo' },
  { type: 'answer-delta', text: 'sed [1].' },
  { type: 'citation', citation },
  { ...answered, type: 'metadata' },
]
const stored = { documents: 2, unchanged: 1, removed: 0, chunks: 9 }
const report = {
  ...stored,
  failed: [],
  quarantined: [],
  unembedded: 0,
  embeddingFailures: [],
  unenriched: 0,
  enrichmentFailures: [],
  durationMs: 1500,
}

const pulled = {
  model: 'acme/tiny',
  kind: 'embedding',
  directory: '/cache/tiny',
  weights: '/cache/tiny/onnx/model.onnx',
  quantization: 'int8',
  bytes: 22_900_000,
} as const

const distilled = {
  directory: '/models/fast',
  tokens: 29_525,
  addedWords: 12,
  skippedWords: ['two words'],
  failed: 0,
  dimensions: 256,
  explainedVariance: 0.9312,
  teachingMs: 30_000,
  reducingMs: 4_000,
  durationMs: 35_400,
}

/** A facade that answers as it is told and notes what it was asked. */
function fakeRag(parts: Partial<CliRag> = {}) {
  const calls: unknown[][] = []
  const rag: CliRag = {
    ingest: async (inputs) => {
      calls.push(['ingest', inputs])
      return report
    },
    query: async (question, options) => {
      calls.push(['query', question, options?.topK])
      return answered
    },
    retrieve: async () => [],
    stream: async function* () {
      yield* events
    },
    chat: (options) => {
      const send = async function* (question: string) {
        calls.push(['send', question, options?.topK])
        if (question === 'fails') throw new RagError('OVERLOADED', 'Too many.', { hint: 'Later.' })
        yield* events
      }
      // As far as the command needs one.
      return { send } as never
    },
    documents: async function* () {
      for (const id of ['a.md', 'b.md']) {
        yield {
          id,
          title: id.toUpperCase(),
          source: id,
          mediaType: 'text/plain',
          language: 'en',
          metadata: {},
          chunks: 3,
          characters: 9,
          pages: 0,
          committedAt: 0,
          contentHash: '',
        }
      }
    },
    watch: async (folder, options) => {
      options?.onEvent?.({ type: 'scanned', report })
      options?.onEvent?.({ type: 'error', error: new RagError('LIMIT', 'Too many.', { hint: 'Raise it.' }) })
      const failed = [{ source: 'a.pdf', error: new RagError('CORRUPT', 'Damaged.') }]
      options?.onEvent?.({ type: 'updated', report: { ...report, removed: 1, failed } })
      calls.push(['watch', folder, options?.pollMs])
      const close = async () => {}
      return { folder, report, closed: Promise.resolve(), close, [Symbol.asyncDispose]: close }
    },
    failures: async function* () {
      const failure = { source: 'bad.pdf', code: 'CORRUPT', message: 'It is damaged.', failedAt: 0 }
      yield { ...failure, id: 'bad.pdf', attempts: 3, quarantined: true }
      yield { ...failure, id: 'new.pdf', attempts: 1, quarantined: false }
    },
    remove: async () => 1,
    reindex: async () => {
      calls.push(['reindex'])
    },
    settled: async () => {},
    stats: async () => ({
      namespace: '',
      documents: 2,
      chunks: 6,
      epoch: 2,
      storage: { id: 'x', directory: undefined, readOnly: false },
      caches: [],
      indexes: {
        lexical: { chunks: 6, segments: 1, bytes: 10, building: false, epoch: 2 },
        metadata: { rows: 0, columns: 0, bytes: 0 },
      },
    }),
    cacheStats: async () => ({ kind: 'disk', entries: 3, bytes: 900, evictions: 0 }),
    clearCache: async () => {
      calls.push(['clearCache'])
    },
    pruneCache: async () => 2,
    namespace: (name) => {
      calls.push(['namespace', name])
      return rag
    },
    close: async () => {
      calls.push(['close'])
    },
    ...parts,
  }
  return { rag, calls }
}

async function run(line: string[], { rag, calls } = fakeRag(), extra: Partial<CliEnvironment> = {}) {
  let out = ''
  let err = ''
  let opened: UltraFastRAGOptions | undefined
  const exitCode = await runCli(line, {
    variables: { UFRAG_STORAGE: storage },
    write: (text) => {
      out += text
    },
    complain: (text) => {
      err += text
    },
    terminal: false,
    signal: new AbortController().signal,
    open: async (options) => {
      opened = options
      return rag
    },
    pull: async (model, { quantization, revision }) => {
      calls.push(['pull', model, quantization, revision])
      return pulled
    },
    openQueue: async () => Promise.reject(new Error('no queue')),
    distill: async (teacher, { signal: _signal, onProgress: _onProgress, corpus, ...options }) => {
      const texts: string[] = []
      for await (const text of corpus ?? []) texts.push(text)
      calls.push(['distill', teacher, options, ...(corpus === undefined ? [] : [texts])])
      return distilled
    },
    ...extra,
  })
  return { exitCode, out, err, opened, calls }
}

describe('ufrag ingest', () => {
  it('stores what it is given, tells the counts and closes', async () => {
    const { exitCode, out, err, calls } = await run(['ingest', 'docs/', 'x.pdf'])
    expect([exitCode, err]).toEqual([0, ''])
    expect(out).toBe('2 stored, 1 unchanged, 0 removed, 0 failed; 9 chunks in 1.5 s\n')
    expect(calls).toEqual([['ingest', ['docs/', 'x.pdf']], ['close']])
  })

  it('ends with 3 when some documents failed and with 1 when all did', async () => {
    const failed = [{ source: 'bad.pdf', error: new RagError('ENCRYPTED', 'Needs a password.', { hint: 'Give it.' }) }]
    const some = await run(['ingest', 'x'], fakeRag({ ingest: async () => ({ ...report, failed }) }))
    expect(some.exitCode).toBe(3)
    expect(some.err).toBe('bad.pdf: Needs a password.\n  Give it.\n')
    const none = await run(
      ['ingest', 'x'],
      fakeRag({ ingest: async () => ({ ...report, documents: 0, unchanged: 0, failed }) }),
    )
    expect(none.exitCode).toBe(1)
    const json = await run(['ingest', 'x', '--json'], fakeRag({ ingest: async () => ({ ...report, failed }) }))
    expect(JSON.parse(json.out).failed[0]).toMatchObject({ source: 'bad.pdf', error: { code: 'ENCRYPTED' } })
  })

  it('tells of chunks without a vector, which is no failure', async () => {
    const error = new RagError('PROVIDER', 'The service is away.')
    const partly = { ...report, unembedded: 2, embeddingFailures: [{ source: 'a.md', chunks: 2, error }] }
    const { exitCode, err } = await run(['ingest', 'x'], fakeRag({ ingest: async () => partly }))
    expect(exitCode).toBe(0)
    expect(err).toBe(
      'a.md: 2 chunks without vector: The service is away.\n2 chunks could not be embedded; they are found by their words alone.\n',
    )
    const json = await run(['ingest', 'x', '--json'], fakeRag({ ingest: async () => partly }))
    expect(JSON.parse(json.out)).toMatchObject({
      unembedded: 2,
      embeddingFailures: [{ source: 'a.md', chunks: 2, error: { code: 'PROVIDER' } }],
    })
  })

  it('prints plain lines of progress, seldom, where there is no terminal', async () => {
    const progress = { stage: 'written', source: 'x', documentsTotal: 9, discovering: true, failed: 1 } as const
    const rest = {
      unchanged: 0,
      quarantined: 0,
      removed: 0,
      unembedded: 0,
      unenriched: 0,
      pages: 7,
      pagesTotal: 20,
      bytes: 0,
      tokens: 900,
      chunksPerSecond: 3,
      tokensPerSecond: 200.4,
      remainingMs: 4_001,
    }
    const { rag, calls } = fakeRag()
    rag.ingest = async (_, options) => {
      for (const elapsedMs of [10, 1999, 2001, 2100, 3999, 4500]) {
        options?.onProgress?.({ ...progress, ...rest, elapsedMs, documentsDone: elapsedMs / 1000, chunks: 5 })
      }
      return report
    }
    const { err } = await run(['ingest', 'x'], { rag, calls })
    const rates = '7 of 20 pages, 5 chunks, 3/s, 200 tokens/s, 1 failed, 5 s left'
    expect(err.trim().split('\n')).toEqual([`2.001 of 9+ documents, ${rates}`, `4.5 of 9+ documents, ${rates}`])
  })

  it('passes on what is to be tried again and removed, and tells what was left out', async () => {
    const { rag, calls } = fakeRag()
    rag.ingest = async (_, options) => {
      calls.push([options?.retry, options?.sync])
      const left = { id: 'b', source: 'b', code: 'CORRUPT', message: '', attempts: 3, quarantined: true, failedAt: 0 }
      return { ...report, synced: false, quarantined: options?.retry ? [] : [left] }
    }
    const { err, exitCode } = await run(['ingest', 'x', '--sync'], { rag, calls })
    expect(err).toMatch(/1 left out.*documents --failed.*--retry/)
    expect(err).toMatch(/Nothing was removed/)
    expect(exitCode).toBe(0)
    expect((await run(['ingest', 'x', '--retry'], { rag, calls })).err).not.toMatch(/left out/)
    expect(calls.filter(([first]) => first !== 'close')).toEqual([
      [undefined, true],
      [true, undefined],
    ])
  })

  it('follows a folder, and tells what changes', async () => {
    const { calls, err, exitCode, out } = await run(['watch', 'docs', '--poll', '500'])
    expect(out).toBe('2 stored, 1 unchanged, 0 removed, 0 failed; 9 chunks\n2 stored, 1 removed, 1 failed; 9 chunks\n')
    expect(err).toBe('Too many.\n  Raise it.\na.pdf: Damaged.\nWatching docs; Ctrl-C ends.\n')
    expect(exitCode).toBe(0)
    expect(calls).toEqual([['watch', 'docs', 500], ['close']])
    const lines = (await run(['watch', 'docs', '--json'])).out.trim().split('\n')
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { type: 'scanned', report: { documents: 2 } },
      { type: 'error', error: { code: 'LIMIT' } },
      { type: 'updated', report: { failed: [{ source: 'a.pdf', error: { code: 'CORRUPT' } }] } },
    ])
    expect((await run(['watch', 'docs', '--poll', 'often'])).exitCode).toBe(2)
  })

  it('lists documents that failed', async () => {
    expect((await run(['documents', '--failed'])).out).toBe(
      'bad.pdf\t3 quarantined\tCORRUPT\tIt is damaged.\nnew.pdf\t1\tCORRUPT\tIt is damaged.\n',
    )
    const [first] = (await run(['documents', '--failed', '--json'])).out.split('\n')
    expect(JSON.parse(first ?? '')).toMatchObject({ id: 'bad.pdf', attempts: 3, quarantined: true })
  })

  it.each(['ingest a.md', 'reindex'])(
    'of %s waits until all is built, and says so; interrupted it leaves that',
    async (line) => {
      vi.useFakeTimers()
      const controller = new AbortController()
      const settled = async ({ signal }: { signal?: AbortSignal } = {}) => {
        await vi.advanceTimersByTimeAsync(1_000)
        controller.abort(new Error('enough'))
        signal?.throwIfAborted()
      }
      const { rag, calls } = fakeRag({ settled })
      const { exitCode, err, out } = await run(line.split(' '), { rag, calls }, { signal: controller.signal })
      vi.useRealTimers()
      expect([exitCode, err]).toEqual([
        0,
        'What was read is stored. Building what makes questions faster; Ctrl-C leaves that to a later process.\n',
      ])
      expect(out).toMatch(/chunks/)
      expect(calls.at(-1)).toEqual(['close'])
      const failing = fakeRag({ settled: async () => Promise.reject(new RagError('LOCKED', 'Held.')) })
      expect(await run(line.split(' '), failing)).toMatchObject({
        exitCode: 0,
        err: 'What makes questions faster was not built: Held.\n',
      })
    },
  )

  it('ends with 130 and closes when interrupted', async () => {
    const controller = new AbortController()
    const { rag, calls } = fakeRag()
    rag.ingest = async (_, options) => {
      controller.abort()
      options?.signal?.throwIfAborted()
      return report
    }
    const { exitCode, err } = await run(['ingest', 'x'], { rag, calls }, { signal: controller.signal })
    expect([exitCode, err]).toEqual([130, 'Interrupted. What was stored until now stays.\n'])
    expect(calls).toEqual([['close']])
  })
})

describe('ufrag query', () => {
  it('prints the answer and its citations once', async () => {
    const { exitCode, out, calls } = await run(['query', 'valves?', '--top-k', '7'])
    expect(exitCode).toBe(0)
    expect(out).toBe('Closed [1].\n\n[1] Guide (guide.pdf, page 4)\n    Valves close.\n')
    expect(calls[0]).toEqual(['query', 'valves?', 7])
  })

  it('prints the same when streaming, and events with --json', async () => {
    expect((await run(['query', 'valves?', '--stream'])).out).toBe((await run(['query', 'valves?'])).out)
    const lines = (await run(['--json', 'query', 'valves?', '--stream'])).out.trim().split('\n')
    expect(lines.map((line) => JSON.parse(line))).toEqual(events)
  })

  it('answers one question after the other with --chat; one that fails ends nothing', async () => {
    const stdio = () => ({ input: Readable.from(['fails\n  \nand', ' then?\n']), output: new PassThrough() })
    const { calls, err, exitCode, out } = await run(['query', 'valves?', '--chat', '--top-k', '2'], fakeRag(), {
      stdio: stdio(),
    })
    expect(calls.filter(([what]) => what === 'send')).toEqual([
      ['send', 'valves?', 2],
      ['send', 'fails', 2],
      ['send', 'and then?', 2],
    ])
    expect(exitCode).toBe(0)
    expect(err).toBe('Too many.\n  Later.\n')
    expect(out).toBe((await run(['query', 'valves?'])).out.repeat(2))
    const asJson = await run(['query', '--chat', '--json'], fakeRag(), { stdio: stdio() })
    expect(asJson.out.trim().split('\n')).toHaveLength(5)
    expect(JSON.parse(asJson.err).error).toMatchObject({ code: 'OVERLOADED', hint: 'Later.' })
    expect(
      (await run(['query', '--chat'], fakeRag(), { stdio: stdio(), terminal: true })).err.match(/> /g),
    ).toHaveLength(4)
  })

  it('wants a question without --chat', async () => {
    const { err, exitCode } = await run(['query'])
    expect(exitCode).toBe(2)
    expect(err).toContain('--chat')
  })

  it('ends with 4 and the reason when there is no answer, streamed or not', async () => {
    const none: QueryResult = {
      ...answered,
      answer: '',
      outcome: 'no-answer',
      reason: 'Searched 9 chunks.',
      citations: [],
      finishReason: 'no-answer',
    }
    const metadata: AnswerEvent = { ...none, type: 'metadata' }
    const rag = fakeRag({
      query: async () => none,
      stream: async function* () {
        yield metadata
      },
    })
    for (const flags of [[], ['--stream']]) {
      const { exitCode, out, err } = await run(['query', 'x', ...flags], rag)
      expect([exitCode, out, err]).toEqual([4, '', 'No answer. Searched 9 chunks.\n'])
    }
  })

  it.each(['0', 'many', '-1', '1.5'])('refuses --top-k %s', async (count) => {
    const { exitCode, err } = await run(['query', 'x', `--top-k=${count}`])
    expect(exitCode).toBe(2)
    expect(err).toContain('--top-k must be a whole number')
  })
})

describe('ufrag distill', () => {
  it('distills a model and tells what came of it', async () => {
    const { exitCode, out, err, calls } = await run(['distill', '--model', 'tiny', '--out', 'fast'])
    expect(exitCode).toBe(0)
    expect(out).toBe('29525 tokens (12 added) x 256 in /models/fast; 93.1% of the variance kept, 35.4 s\n')
    expect(err).toBe('1 words of the vocabulary are not single words.\n')
    expect(calls).toEqual([['distill', { model: 'tiny' }, { out: 'fast' }]])
    const json = await run(['distill', '--model', 'tiny', '--out', 'fast', '--json'])
    expect([JSON.parse(json.out), json.err]).toEqual([distilled, ''])
  })

  it('reads words and texts from files, one a line', async () => {
    const words = join(storage, 'words.txt')
    const texts = join(storage, 'texts.txt')
    writeFileSync(words, 'quokka\r\n\nwombat\n')
    writeFileSync(texts, 'A text.\nAnother text.')
    const line = ['distill', '--model', 'tiny', '--out', 'fast', '--vocabulary', words, '--corpus', texts]
    const { calls } = await run([...line, '--dimensions', '64', '--tokenizer', './bert'], fakeRag(), {
      variables: { UFRAG_MODELS: '/models' },
    })
    const options = { out: 'fast', dimensions: 64, tokenizer: './bert', vocabulary: ['quokka', 'wombat'] }
    const teacher = { model: 'tiny', modelsDir: '/models' }
    expect(calls).toEqual([['distill', teacher, options, ['A text.', 'Another text.']]])
  })

  it('names a file that is not there', async () => {
    for (const flag of ['--vocabulary', '--corpus']) {
      const { exitCode, err } = await run(['distill', '--model', 'tiny', '--out', 'fast', flag, '/none/at/all'])
      expect(exitCode).toBe(1)
      expect(err).toContain('"/none/at/all"')
    }
  })

  it('wants a model and a folder', async () => {
    for (const line of [
      ['--model', 'tiny'],
      ['--out', 'fast'],
    ]) {
      const { exitCode, calls } = await run(['distill', ...line])
      expect([exitCode, calls]).toEqual([2, []])
    }
  })

  it('shows how far it is', async () => {
    let now = 0
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now)
    const { err, out } = await run(['distill', '--model', 'tiny', '--out', 'fast'], fakeRag(), {
      distill: async (_, { onProgress }) => {
        for (const done of [1, 2, 3]) {
          now += 1500
          onProgress?.({ stage: 'teaching', done, total: 3 })
        }
        return { ...distilled, skippedWords: [] }
      },
    })
    clock.mockRestore()
    expect(err).toBe('teaching: 2 of 3\n')
    expect(out).toContain('29525 tokens')
  })
})

describe('ufrag pull', () => {
  const progress = { file: 'onnx/model.onnx', receivedBytes: 5e6, totalBytes: 2e7 }

  it('fetches a model and tells where it is', async () => {
    const { exitCode, out, err, calls } = await run(['pull', 'tiny', '--quantization', 'int8', '--revision', 'v1'])
    expect([exitCode, err]).toEqual([0, ''])
    expect(out).toBe('acme/tiny: int8 weights of 22.9 MB in /cache/tiny\n')
    expect(calls).toEqual([['pull', 'tiny', 'int8', 'v1']])
    expect(JSON.parse((await run(['pull', 'tiny', '--json'])).out)).toEqual(pulled)
  })

  it('takes the precision that is configured, unless one is named', async () => {
    const precision = async (line: string[], variables = {}) => {
      const { calls } = await run(['pull', 'tiny', ...line], fakeRag(), { variables })
      return calls[0]?.[2]
    }
    expect(await precision([])).toBeUndefined()
    expect(await precision(['--preset', 'production'])).toBe('int8')
    expect(await precision(['--preset', 'production'], { UFRAG_QUANTIZATION: 'fp16' })).toBe('fp16')
    expect(await precision(['--quantization', 'int4'], { UFRAG_QUANTIZATION: 'fp16' })).toBe('int4')
  })

  it.each([['--quantization', 'int7'], ['--preset', 'fast'], ['--fast']])('refuses %s %s', async (...flags) => {
    const { exitCode, calls } = await run(['pull', 'tiny', ...flags])
    expect([exitCode, calls]).toEqual([2, []])
  })

  it('passes on what it is told, and keeps it apart from the result', async () => {
    const telling: Partial<CliEnvironment> = {
      pull: async (_, { onProgress, logger }) => {
        logger?.warn('Not that precision.')
        onProgress?.(progress)
        return pulled
      },
    }
    const lines = await run(['pull', 'tiny'], fakeRag(), telling)
    expect(lines.err).toBe('Not that precision.\n')
    const json = await run(['pull', 'tiny', '--json'], fakeRag(), telling)
    expect(JSON.parse(json.out)).toEqual(pulled)
  })

  it('ends with 1 and the way out when it fails, and with 130 when interrupted', async () => {
    const failing = (error: unknown): Partial<CliEnvironment> => ({ pull: () => Promise.reject(error) })
    const error = new RagError('MISSING_PEER', 'Not installed.', { hint: 'Run: npm i it' })
    const failed = await run(['pull', 'tiny'], fakeRag(), failing(error))
    expect([failed.exitCode, failed.err]).toEqual([1, 'Not installed.\n  Run: npm i it\n'])
    const signal = AbortSignal.abort()
    const interrupted = await run(['pull', 'tiny'], fakeRag(), { ...failing(signal.reason), signal })
    expect(interrupted.exitCode).toBe(130)
  })
})

describe('the other commands', () => {
  it('list documents as lines or as JSON', async () => {
    expect((await run(['documents'])).out).toBe('a.md\t3\tA.MD\nb.md\t3\tB.MD\n')
    expect(
      (await run(['documents', '--json'])).out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).id),
    ).toEqual(['a.md', 'b.md'])
  })

  it('remove documents and tell how many there were', async () => {
    expect((await run(['remove', 'a', 'b'])).out).toBe('1 of 2 removed; the others were not stored\n')
    expect(JSON.parse((await run(['remove', 'a', 'b', '--json'])).out)).toEqual({ removed: 1, unknown: 1 })
  })

  const embedder: NonNullable<Awaited<ReturnType<CliRag['stats']>>['embedder']> = {
    id: 'onnx',
    fingerprint: 'onnx/1',
    dimensions: 384,
    texts: 9,
    tokens: 900,
    failed: 0,
    batches: 2,
    paddingWaste: 0.0123,
    queued: 0,
    busyMs: 100,
    textsPerSecond: 90,
    tokensPerSecond: 9000,
    devices: { 'cpu:0': 2 / 3, 'cuda:0': 1 / 3 },
    fallbacks: 0,
    retries: 0,
  }
  const embedding = () => {
    const { rag, calls } = fakeRag()
    const { stats } = rag
    rag.stats = async () => ({ ...(await stats()), embedder })
    return { rag, calls }
  }

  it('print statistics as names and values, of the embedder what lasts', async () => {
    expect((await run(['stats'])).out).toContain('indexes.lexical.bytes\t10\n')
    const { out } = await run(['stats'], embedding())
    expect(out).toContain('embedder.id\tonnx\nembedder.dimensions\t384\n')
    expect(out).not.toContain('texts')
  })

  it('tell after an ingest how fast was embedded, and on what', async () => {
    const { out } = await run(['ingest', 'x'], embedding())
    expect(out.split('\n')[1]).toBe(
      '9 texts embedded by onnx, 90/s (9000 tokens/s), 1.2% padding; cpu:0 67%, cuda:0 33%',
    )
    expect(JSON.parse((await run(['ingest', 'x', '--json'], embedding())).out).embedder).toEqual(embedder)
  })

  it('embed anew', async () => {
    const { exitCode, out, calls } = await run(['reindex'])
    expect([exitCode, out]).toEqual([0, '2 documents, 6 chunks indexed\n'])
    expect(calls).toEqual([['reindex'], ['close']])
    expect(JSON.parse((await run(['reindex', '--json'])).out)).toEqual({ documents: 2, chunks: 6 })
  })

  it('print a preset and what it resolves to', async () => {
    const { exitCode, out } = await run(['config', '--preset', 'production'])
    expect(exitCode).toBe(0)
    expect(JSON.parse(out)).toMatchObject({
      preset: { name: 'production', batchSize: 64 },
      resolved: { rerank: { kind: 'mmr', candidates: 20 } },
    })
    expect(JSON.parse((await run(['config'])).out)).toMatchObject({
      preset: { name: 'default' },
      resolved: { chunker: { chunkSize: 400 } },
    })
  })

  it('check the installation', async () => {
    const { out } = await run(['doctor', '--json'])
    const names = JSON.parse(out).findings.map(({ name }: { name: string }) => name)
    expect(names).toEqual(expect.arrayContaining(['node', 'lmdb', 'pdf-parse', 'prepare worker', `storage ${storage}`]))
    expect(names).toEqual(expect.arrayContaining(['onnxruntime-node', '@huggingface/tokenizers', '@huggingface/hub']))
  })
})

describe('ufrag doctor', () => {
  it('looks for every optional package, and for every file of a worker thread', async () => {
    const { findings } = JSON.parse((await run(['doctor', '--json'])).out) as { findings: { name: string }[] }
    const names = findings.map(({ name }) => name)
    const { optionalDependencies, peerDependencies } = manifest
    const optional = Object.keys({ ...optionalDependencies, ...peerDependencies })
    const workers = Object.keys(tsup.entry).filter((entry) => entry.endsWith('.worker'))
    const notPackages = /^node$| worker$|^(?:prepacked )?models|^storage/
    expect(names.filter((name) => !notPackages.test(name)).sort()).toEqual(
      ['@hyzyla/pdfium', 'lmdb', ...optional].sort(),
    )
    expect(names.filter((name) => name.endsWith(' worker')).sort()).toEqual(
      workers.map((entry) => entry.replace('.worker', ' worker')).sort(),
    )
  })

  it('tells where models are looked for, in that order', async () => {
    const variables = {
      UFRAG_STORAGE: storage,
      UFRAG_MODELS: join(storage, 'none'),
      HF_HOME: storage,
      HF_HUB_OFFLINE: '1',
    }
    const { out } = await run(['doctor'], fakeRag(), { variables })
    const lines = out.split('\n').filter((line) => /^\w+ +models(?::| in )/.test(line))
    expect(lines).toEqual([
      `absent  models in ${join(storage, 'none')}: folder of UFRAG_MODELS does not exist`,
      `absent  models in ${join(storage, 'hub')}: hub cache of HF_HOME is made by the first download`,
      'ok      models: none are fetched: HF_HUB_OFFLINE is set',
    ])
  })
})

describe('every command', () => {
  it('takes storage and namespace from flags before variables', async () => {
    const { opened, calls } = await run(['stats', '--storage', tmpdir(), '--namespace', 'team'])
    expect(opened?.storage).toBe(tmpdir())
    expect(calls[0]).toEqual(['namespace', 'team'])
    expect((await run(['stats'])).opened?.storage).toBe(storage)
  })

  it('that reads ends with 1 where there is no storage, and makes none', async () => {
    const missing = join(storage, 'missing')
    for (const line of [['query', 'x'], ['documents'], ['remove', 'x'], ['stats']]) {
      const { exitCode, err, opened } = await run([...line, '--storage', missing])
      expect([exitCode, opened]).toEqual([1, undefined])
      expect(err).toContain('There is no storage')
    }
  })

  it('ends with 2 on wrong usage and wrong options', async () => {
    for (const line of [[], ['inegst', 'x'], ['query'], ['stats', '--fast'], ['config', '--preset', 'fast']]) {
      expect((await run(line)).exitCode, line.join(' ')).toBe(2)
    }
    const variables = { UFRAG_STORAGE: storage, UFRAG_CHUNK_SIZE: 'x' }
    const { exitCode, err } = await run(['stats'], fakeRag(), { variables })
    expect([exitCode, err.split(':')[0]]).toEqual([2, 'Environment variable UFRAG_CHUNK_SIZE'])
  })

  it('gives errors as JSON on standard error when asked for JSON', async () => {
    const failing = fakeRag({ stats: () => Promise.reject(new RagError('STORAGE', 'Unreadable.', { hint: 'chmod' })) })
    const { exitCode, out, err, calls } = await run(['stats', '--json'], failing)
    expect([exitCode, out]).toEqual([1, ''])
    expect(JSON.parse(err)).toEqual({
      error: { name: 'RagError', code: 'STORAGE', message: 'Unreadable.', data: {}, hint: 'chmod', retryable: false },
    })
    expect(calls).toEqual([['close']])
    expect(JSON.parse((await run(['stats', '--fast', '--json'])).err).error.message).toContain('--fast')
  })

  it('is explained when none is given', async () => {
    const { exitCode, out, err } = await run([])
    expect([exitCode, out]).toEqual([2, ''])
    expect(err).toMatch(/^Usage: ufrag/)
    expect(err).not.toContain('outputHelp')
  })

  it('explains itself, exit codes included', async () => {
    const { exitCode, out, err } = await run(['--help'])
    expect([exitCode, err]).toEqual([0, ''])
    for (const word of ['ingest', 'query', 'documents', 'remove', 'stats', 'config', 'doctor', 'Exit codes', '130']) {
      expect(out).toContain(word)
    }
  })
})

describe('ufrag cache', () => {
  it('tells what the cache holds, forgets it, and removes what has expired, whatever the namespace', async () => {
    expect((await run(['cache', 'stats'])).out).toBe('kind\tdisk\nentries\t3\nbytes\t900\nevictions\t0\n')
    const cleared = await run(['cache', 'clear', '--namespace', 'a'])
    expect([cleared.exitCode, cleared.out]).toEqual([0, 'cleared\t3\n'])
    expect(cleared.calls).toEqual([['clearCache'], ['close']])
    expect(JSON.parse((await run(['cache', 'prune', '--json'])).out)).toEqual({ pruned: 2 })
  })

  it('refuses what it does not do, and names what was meant', async () => {
    const { calls, err, exitCode } = await run(['cache', 'purne'])
    expect([exitCode, calls]).toEqual([2, []])
    expect(err).toContain('Did you mean "prune"?')
  })
})
