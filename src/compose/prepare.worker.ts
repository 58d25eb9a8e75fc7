import { type MessagePort, workerData } from 'node:worker_threads'
import { RagError } from '../core/errors.js'
import { pdfHeldBytes } from '../extract/pdfium.js'
import type { LanePart } from '../extract/types.js'
import { enrichPrepared } from '../pipelines/steps/enrich-pieces.js'
import { nothingPrepared, type PrepareRequest, prepareDocument } from '../pipelines/steps/prepare.js'
import { findExtractor } from '../pipelines/steps/read-source.js'
import { memoizeAsync } from '../util/memoize-async.js'
import { receiveFrom } from '../util/port-stream.js'
import { serveTasks } from '../util/worker-serve.js'
import { localEnrichment, makeChunker, type PreparationConfig, prepareTools } from './preparation.js'

/** A thread that reads and cuts documents. The first thing it sends, the opening, fills the whole credit: nothing is read on before the pipeline wants it. */
const openingBytes = 1 << 20

/** A document to prepare, and the ports that bring what other threads read of it. */
export interface DocumentRequest {
  readonly request: PrepareRequest
  readonly ports: readonly MessagePort[]
}

/** What a thread has to read of a document that another prepares. */
export interface LaneRequest {
  readonly request: PrepareRequest
  readonly lane: number
  readonly lanes: number
}

/** What goes in one message, about. */
const messageBytes = 128 << 10

const config = workerData as PreparationConfig
const tools = memoizeAsync(async () => prepareTools(config, await makeChunker(config)))
const enrichment = memoizeAsync(() => localEnrichment(config))

serveTasks(
  {
    prepare: async ({ ports, request }: DocumentRequest, { signal, emit }) => {
      const lanes = ports.map((port) => receiveFrom(port, signal))
      const prepared = prepareDocument(request, { ...(await tools()), otherLanes: lanes.map(unpack) }, signal)
      const added = await enrichment()
      const document = added === undefined ? prepared : enrichPrepared(prepared, added, signal)
      try {
        for (;;) {
          const next = await document.next()
          if (next.done === true) return next.value
          const { value } = next
          if (value.type === 'same') await emit(value)
          else if (value.type === 'opened') await emit(value, { bytes: openingBytes })
          else await emit(value, { bytes: value.bytes.length, transfer: [value.bytes.buffer as ArrayBuffer] })
        }
      } finally {
        await document.return(nothingPrepared)
        for (const port of ports) port.close()
      }
    },
    warmUp: async () => {
      await Promise.all([tools(), enrichment()])
    },
    /** How many pages a document has that several threads may read; 0 for any other. */
    pages: async (request: PrepareRequest, { signal }) => {
      const { options, opened, split } = await openSplit(request, signal)
      return split === undefined ? 0 : split.pages(opened, options)
    },
    lane: async ({ lane, lanes, request }: LaneRequest, { emit, signal }) => {
      const { options, opened, split } = await openSplit(request, signal)
      let packed: unknown[] = []
      let bytes = 0
      const send = async (): Promise<void> => {
        await emit(packed, { bytes })
        packed = []
        bytes = 0
      }
      for await (const value of split?.read(opened, { ...options, lane, lanes }) ?? []) {
        packed.push(value)
        bytes += value.bytes
        if (bytes >= messageBytes) await send()
      }
      if (packed.length > 0) await send()
    },
  },
  pdfHeldBytes,
)

async function openSplit({ source }: PrepareRequest, signal: AbortSignal) {
  if (source.kind === 'chunks') throw new RagError('UNSUPPORTED', 'Chunks are not read.')
  const { maxFileBytes, ...found } = await tools()
  const { extractor, opened } = await findExtractor(source, found)
  return { split: extractor.split, opened, options: { maxFileBytes, signal } }
}

async function* unpack(messages: AsyncIterable<unknown>): AsyncGenerator<LanePart> {
  for await (const parts of messages) yield* parts as readonly LanePart[]
}
