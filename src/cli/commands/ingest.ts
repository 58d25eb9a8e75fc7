import type { IngestProgress } from '../../core/events.js'
import {
  type CliDocuments,
  type Command,
  type CommandContext,
  describeError,
  errorData,
  exitCodes,
} from '../context.js'

/** Milliseconds between two lines of progress where no bar can be drawn. */
const lineEveryMs = 2000

/** `ufrag ingest <inputs...>`: stores files, folders and globs. */
export const ingest: Command = (context, inputs) =>
  context.withRag(async (rag) => {
    const progress = await showProgress(context)
    try {
      const report = await rag.ingest(inputs, { signal: context.environment.signal, onProgress: progress.update })
      progress.stop()
      const { documents, unchanged, removed, chunks, failed, unembedded, embeddingFailures, durationMs } = report
      const { embedder } = await rag.stats()
      if (context.json) {
        const errors = { failed: withErrorData(failed), embeddingFailures: withErrorData(embeddingFailures) }
        context.data({ ...report, ...errors, ...(embedder === undefined ? {} : { embedder }) })
      } else {
        for (const { source, error } of failed) context.note(`${source}: ${describeError(error)}`)
        for (const { source, chunks, error } of embeddingFailures)
          context.note(`${source}: ${chunks} chunks without vector: ${describeError(error)}`)
        if (unembedded > 0)
          context.note(`${unembedded} chunks could not be embedded; they are found by their words alone.`)
        const counts = [
          `${documents} stored`,
          `${unchanged} unchanged`,
          `${removed} removed`,
          `${failed.length} failed`,
        ]
        context.line(`${counts.join(', ')}; ${chunks} chunks in ${(durationMs / 1000).toFixed(1)} s`)
        if (embedder !== undefined && embedder.texts > 0) context.line(describeEmbedder(embedder))
      }
      if (failed.length === 0) return exitCodes.ok
      return documents + unchanged > 0 ? exitCodes.someFailed : exitCodes.failed
    } finally {
      progress.stop()
    }
  })

type Embedder = NonNullable<Awaited<ReturnType<CliDocuments['stats']>>['embedder']>

function describeEmbedder({ devices, id, paddingWaste, texts, textsPerSecond, tokensPerSecond }: Embedder): string {
  const tokens = tokensPerSecond > 0 ? ` (${Math.round(tokensPerSecond)} tokens/s)` : ''
  const padding = paddingWaste > 0 ? `, ${(paddingWaste * 100).toFixed(1)}% padding` : ''
  const shares = Object.entries(devices).map(([device, share]) => `${device} ${Math.round(share * 100)}%`)
  return `${texts} texts embedded by ${id}, ${Math.round(textsPerSecond)}/s${tokens}${padding}; ${shares.join(', ')}`
}

function withErrorData(failures: readonly { readonly error: unknown }[]): object[] {
  return failures.map((failure) => ({ ...failure, error: errorData(failure.error) }))
}

interface Display {
  update(progress: IngestProgress): void
  /** Safe twice. */
  stop(): void
}

async function showProgress(context: CommandContext): Promise<Display> {
  if (context.json) return { update: () => {}, stop: () => {} }
  return context.environment.terminal ? drawBar() : printLines(context)
}

async function drawBar(): Promise<Display> {
  const { SingleBar } = (await import('cli-progress')).default
  const format = '{bar} {value}/{total} documents, {chunks} chunks, {rate}/s{left}'
  const bar = new SingleBar({ format, hideCursor: true, clearOnComplete: true, etaBuffer: 1 })
  bar.start(0, 0, { chunks: 0, rate: 0, left: '' })
  return {
    update: ({ documentsDone, documentsTotal, chunks, chunksPerSecond, remainingMs }) => {
      bar.setTotal(documentsTotal)
      const left = remainingMs === undefined ? '' : `, ${Math.ceil(remainingMs / 1000)} s left`
      bar.update(documentsDone, { chunks, rate: Math.round(chunksPerSecond), left })
    },
    stop: () => bar.stop(),
  }
}

function printLines(context: CommandContext): Display {
  let nextMs = lineEveryMs
  return {
    update: ({ elapsedMs, documentsDone, documentsTotal, discovering, chunks }) => {
      if (elapsedMs < nextMs) return
      nextMs = elapsedMs + lineEveryMs
      context.note(`${documentsDone} of ${documentsTotal}${discovering ? '+' : ''} documents, ${chunks} chunks`)
    },
    stop: () => {},
  }
}
