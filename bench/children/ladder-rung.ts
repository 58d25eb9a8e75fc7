import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import type { Llm, UltraFastRAGOptions } from 'ultrafast-rag'
import type { BasicOptions } from '../lib/basic-pipeline.js'
import { type Fill, type FilledPassage, filledDocuments } from '../lib/fill.js'
import { measureLoopDelay } from '../lib/loop-delay.js'
import { quantile } from '../lib/measure.js'
import { measureMemory, settledAnonymousBytes } from '../lib/memory.js'
import type { Rung } from '../lib/rungs.js'

export interface RungTask {
  readonly rung: Rung
  readonly model: string
  readonly folder: string
  readonly files: readonly string[]
  /** Stored after the files, before anything is asked. */
  readonly fill?: Fill
  /** Each is asked once, then once more. What is found is told. */
  readonly questions: readonly string[]
  /** Ways to ask one thing. */
  readonly similar: readonly string[]
  /** Asked at once. */
  readonly burst: readonly string[]
}

export interface RungResult {
  readonly chunks: number
  /** That were embedded of those chunks, without padding. */
  readonly tokens: number
  readonly ingestMs: number
  /** Anonymous memory before the ingest, models loaded, and at its highest during it, bytes. */
  readonly beforeBytes: number
  readonly peakBytes: number
  /** Once all is filled and nothing goes on any more; absent where nothing is filled. */
  readonly filledBytes?: number
  readonly delayP99Ms: number
  readonly delayMaxMs: number
  /** Medians of finding what a question asks for, and of answering one that was answered before, with a model that takes no time. */
  readonly firstMs: number
  readonly repeatMs: number
  /** Of all the ways to ask one thing, one after the other, with a model that takes {@link modelMs}. */
  readonly similarMs: number
  readonly burstMs: number
  /** Names of the files found for each question, best first. */
  readonly found: readonly (readonly string[])[]
}

/** How long the stand-in for a language model takes when it is asked ten ways; else it takes no time. */
const modelMs = 200
const model = { delayMs: 0 }
const topK = 10

interface Subject {
  ingest(files: readonly string[]): Promise<number>
  /** Embedded so far. */
  tokens(): Promise<number>
  /** Resolves when indexes are built. */
  fill(documents: Iterable<readonly FilledPassage[]>): Promise<void>
  retrieve(question: string): Promise<readonly string[]>
  answer(question: string): Promise<unknown>
  close(): Promise<void>
}

/** One step of the ladder, in a process of its own. */
export default async function climb(task: RungTask): Promise<RungResult> {
  const storage = mkdtempSync(join(tmpdir(), 'ufrag-bench-rung-'))
  const subject = await open(task, join(storage, 'store'))
  try {
    const ingest = await measureMemory(() =>
      measureLoopDelay(async () => {
        const began = performance.now()
        const chunks = await subject.ingest(task.files)
        return { chunks, ingestMs: performance.now() - began }
      }),
    )
    const { maxMs, p99Ms, result } = ingest.result
    const tokens = await subject.tokens()
    if (task.fill !== undefined) await subject.fill(filledDocuments(task.fill))
    const filled = task.fill === undefined ? {} : { filledBytes: await settledAnonymousBytes() }
    const found: (readonly string[])[] = []
    const [first, repeat]: [number[], number[]] = [[], []]
    for (const question of task.questions) {
      first.push(await timed(async () => void found.push(await subject.retrieve(question))))
    }
    for (const question of task.questions) {
      await subject.answer(question)
      for (let i = 0; i < 5; i++) repeat.push(await timed(() => subject.answer(question)))
    }
    model.delayMs = modelMs
    const similarMs = await timed(async () => {
      for (const question of task.similar) await subject.answer(question)
    })
    const burstMs = await timed(async () => {
      if (task.rung.together === true) await Promise.all(task.burst.map((question) => subject.retrieve(question)))
      else for (const question of task.burst) await subject.retrieve(question)
    })
    return {
      ...result,
      ...filled,
      tokens,
      beforeBytes: ingest.beforeBytes,
      peakBytes: ingest.peakBytes,
      delayP99Ms: p99Ms,
      delayMaxMs: maxMs,
      firstMs: quantile(first, 0.5),
      repeatMs: quantile(repeat, 0.5),
      similarMs,
      burstMs,
      found,
    }
  } finally {
    await subject.close()
    rmSync(storage, { recursive: true, force: true })
  }
}

/** Loads what the pipeline needs, and nothing else: it would count as its memory. */
async function open({ folder, model: directory, rung }: RungTask, storage: string): Promise<Subject> {
  const { pipeline } = rung
  return pipeline.kind === 'basic'
    ? openBasic({ ...pipeline.options, model: directory })
    : openOurs({
        embedder: { kind: 'onnx', model: directory, quantization: 'int8' },
        ...pipeline.options,
        root: folder,
        storage,
        llm: slowModel,
      })
}

async function openBasic(options: BasicOptions): Promise<Subject> {
  const { createBasicPipeline } = await import('../lib/basic-pipeline.js')
  const basic = await createBasicPipeline(options)
  await basic.warmUp()
  const retrieve = async (question: string) =>
    (await basic.retrieve(question, topK)).map(({ source }) => basename(source))
  return {
    ...basic,
    fill: async (documents) => {
      for (const passages of documents) basic.fill(passages)
    },
    retrieve,
    answer: async (question) => {
      await retrieve(question)
      await generate()
    },
  }
}

async function openOurs(options: UltraFastRAGOptions): Promise<Subject> {
  const { UltraFastRAG } = await import('ultrafast-rag')
  const rag = new UltraFastRAG(options)
  await rag.warmUp()
  return {
    ingest: async (files) => {
      const { chunks, failed } = await rag.ingest(files)
      if (failed[0] !== undefined) throw failed[0].error
      return chunks
    },
    fill: async (documents) => {
      const { failed } = await rag.ingest(storedDocuments(documents))
      if (failed[0] !== undefined) throw failed[0].error
      await rag.settled()
    },
    tokens: async () => (await rag.stats()).embedder?.tokens ?? Number.NaN,
    retrieve: async (question) =>
      (await rag.retrieve(question, { topK })).map(({ chunk }) => basename(chunk.documentId)),
    answer: (question) => rag.query(question),
    close: () => rag.close(),
  }
}

async function* storedDocuments(documents: Iterable<readonly FilledPassage[]>) {
  for (const passages of documents) {
    yield { id: passages[0]?.source ?? '', chunks: passages.map(({ text, vector }) => ({ text, vector })) }
  }
}

const slowModel: Llm = {
  id: 'slow',
  async *generate() {
    await generate()
    yield 'It is as the sources say [1].'
  },
  close: async () => {},
}

async function generate(): Promise<void> {
  if (model.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, model.delayMs))
}

async function timed(run: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await run()
  return performance.now() - began
}
