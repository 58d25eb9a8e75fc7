import { workerData } from 'node:worker_threads'
import { pdfHeldBytes } from '../extract/pdf.js'
import { enrichPrepared } from '../pipelines/steps/enrich-pieces.js'
import { type PrepareRequest, prepareDocument } from '../pipelines/steps/prepare.js'
import { memoizeAsync } from '../util/memoize-async.js'
import { serveTasks } from '../util/worker-serve.js'
import { localEnrichment, makeChunker, type PreparationConfig, prepareTools } from './preparation.js'

/** A thread that reads and cuts documents. The first thing it sends, the opening, fills the whole credit: nothing is read on before the pipeline wants it. */
const openingBytes = 1 << 20

const config = workerData as PreparationConfig
const tools = memoizeAsync(async () => prepareTools(config, await makeChunker(config)))
const enrichment = memoizeAsync(() => localEnrichment(config))

serveTasks(
  {
    prepare: async (request: PrepareRequest, { signal, emit }) => {
      const prepared = prepareDocument(request, await tools(), signal)
      const added = await enrichment()
      const document = added === undefined ? prepared : enrichPrepared(prepared, added, signal)
      try {
        for (;;) {
          const next = await document.next()
          if (next.done === true) return next.value
          if (next.value.type === 'opened') await emit(next.value, { bytes: openingBytes })
          else
            await emit(next.value, {
              bytes: next.value.bytes.length,
              transfer: [next.value.bytes.buffer as ArrayBuffer],
            })
        }
      } finally {
        await document.return({ characters: 0, pages: 0, chunks: 0 })
      }
    },
  },
  pdfHeldBytes,
)
