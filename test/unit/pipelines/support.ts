import { encodePiece, type PieceChunk } from '../../../src/core/piece.js'
import type { Embedder } from '../../../src/embed/types.js'
import { type IngestReport, type IngestTools, ingestDocuments } from '../../../src/pipelines/ingest.js'
import { createWriteLimits } from '../../../src/pipelines/steps/limits.js'
import { createPassageEmbedder } from '../../../src/pipelines/steps/passage-embedder.js'
import type { PreparedDocument, PrepareRequest } from '../../../src/pipelines/steps/prepare.js'
import { createMemoryStore } from '../../../src/store/memory.js'
import type { StoreNamespace } from '../../../src/store/types.js'
import { sha256Hex } from '../../../src/util/hash.js'
import { createMemoryBudget, type MemoryBudget } from '../../../src/util/memory-budget.js'
import { turns } from '../../lib/lane-embedder.js'

/** What preparation has done, for tests that ask how far it ran ahead. */
export interface Preparing {
  pieces: number
  /** Documents that were begun and not ended. */
  open: number
  mostOpen: number
}

export const ignore = () => {}
export const recorder = { stage: ignore, count: ignore }
export const now = () => performance.now()
const logger = { debug: ignore, info: ignore, warn: ignore, error: ignore }

/** Memory that is never short. */
export const memory = createMemoryBudget({ maxBytes: 2 ** 40, usedBytes: () => 0 })

/** Documents that are prepared at once by {@link pipelineOf}. */
export const atOnce = 3

/** The ingest pipeline over a store in memory, with a preparation that cuts a text at its line ends: so many lines make a piece. */
export function pipelineOf(options: {
  readonly embedder?: Embedder
  readonly namespace?: StoreNamespace
  readonly linesPerPiece?: number
  /** Turns of the event loop that preparing a piece takes. Default 2. */
  readonly turnsPerPiece?: number
  /** Awaited before each document is prepared. */
  readonly beforePreparing?: (request: PrepareRequest) => Promise<void>
  /** Default: memory that is never short. */
  readonly memory?: MemoryBudget
}) {
  const { embedder, beforePreparing, linesPerPiece = 80, turnsPerPiece = 2 } = options
  const namespace = options.namespace ?? createMemoryStore().namespace('')
  const preparing: Preparing = { pieces: 0, open: 0, mostOpen: 0 }
  const limits = createWriteLimits({ preparing: atOnce, memory: options.memory ?? memory })
  const tools: IngestTools = {
    namespace,
    prepare: (request) => prepareLines(request, { beforePreparing, linesPerPiece, turnsPerPiece, preparing }),
    urls: undefined,
    preparation: 'lines/1',
    readingLimits: '',
    passages:
      embedder && createPassageEmbedder(embedder, { defaultCalls: atOnce, recorder, now, memory: limits.memory }),
    enrichment: undefined,
    maxTextLength: 0,
    limits,
    lastWrites: new Map(),
    committed: ignore,
    recorder,
    logger,
    now,
  }
  const ingest = async (
    documents: Iterable<{ readonly id: string; readonly text: string }>,
    signal?: AbortSignal,
  ): Promise<IngestReport> => {
    const run = ingestDocuments(
      documents,
      { language: 'english', root: '/', exclude: undefined, ...(signal === undefined ? {} : { signal }) },
      tools,
    )
    for (;;) {
      const next = await run.next()
      if (next.done === true) return next.value
    }
  }
  return { namespace, tools, limits, preparing, ingest }
}

async function* prepareLines(
  request: PrepareRequest,
  {
    beforePreparing,
    linesPerPiece,
    turnsPerPiece,
    preparing,
  }: {
    readonly beforePreparing: ((request: PrepareRequest) => Promise<void>) | undefined
    readonly linesPerPiece: number
    readonly turnsPerPiece: number
    readonly preparing: Preparing
  },
): PreparedDocument {
  const { documentId = '', source, storedHash } = request
  if (source.kind !== 'text') throw new Error('Only texts are prepared here.')
  preparing.mostOpen = Math.max(preparing.mostOpen, ++preparing.open)
  try {
    await beforePreparing?.(request)
    await turns(turnsPerPiece)
    const contentHash = sha256Hex(source.text)
    if (contentHash === storedHash) {
      yield { type: 'same', documentId, contentHash }
      return { characters: 0, pages: 0, chunks: 0 }
    }
    yield { type: 'opened', documentId, contentHash, mediaType: 'text/plain', title: '' }
    const lines = source.text.split('\n')
    let start = 0
    for (let first = 0; first < lines.length; first += linesPerPiece) {
      await turns(turnsPerPiece)
      if (lines[first] === '!') throw new Error('A damaged line.')
      const text = `${lines.slice(first, first + linesPerPiece).join('\n')}\n`
      const chunks: PieceChunk[] = []
      let from = 0
      for (const line of text.slice(0, -1).split('\n')) {
        const id = sha256Hex(documentId, `${first + chunks.length}`, line).slice(0, 32)
        chunks.push({ id, span: { start: start + from, end: start + from + line.length }, headings: [] })
        from += line.length + 1
      }
      const bytes = encodePiece({ firstOrdinal: first, start, text, chunks })
      start += text.length
      preparing.pieces++
      yield { type: 'piece', bytes, firstOrdinal: first, chunks: chunks.length, page: 0 }
    }
    return { characters: start, pages: 0, chunks: lines.length }
  } finally {
    preparing.open--
  }
}

/** A document of so many chunks, no two alike. */
export function documentOf(id: string, chunks: number): { id: string; text: string } {
  return { id, text: Array.from({ length: chunks }, (_, line) => `Document ${id} has line ${line}.`).join('\n') }
}
