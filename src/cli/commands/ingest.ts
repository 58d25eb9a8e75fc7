import type { IngestProgress } from '../../core/events.js'
import type { IngestOptions } from '../../ultra-fast-rag.js'
import { type CliDocuments, type Command, describeError, errorData, exitCodes } from '../context.js'
import { type ProgressView, showProgress } from '../progress.js'
import { settle } from '../settle.js'

/** `ufrag ingest <inputs...>`: stores files, folders and globs. */
export const ingest: Command<Pick<IngestOptions, 'retry' | 'sync' | 'verify'>> = (context, inputs, options) =>
  context.withRag(async (rag) => {
    const progress = await showProgress(context, view)
    try {
      const report = await rag.ingest(inputs, {
        signal: context.environment.signal,
        onProgress: progress.update,
        ...options,
      })
      progress.stop()
      const {
        documents,
        unchanged,
        removed,
        chunks,
        failed,
        quarantined,
        synced,
        unembedded,
        embeddingFailures,
        unenriched,
        enrichmentFailures,
        durationMs,
      } = report
      const { embedder } = await rag.stats()
      if (context.json) {
        const errors = {
          failed: withErrorData(failed),
          embeddingFailures: withErrorData(embeddingFailures),
          enrichmentFailures: withErrorData(enrichmentFailures),
        }
        context.data({ ...report, ...errors, ...(embedder === undefined ? {} : { embedder }) })
      } else {
        for (const { source, error } of failed) context.note(`${source}: ${describeError(error)}`)
        for (const { source, chunks, error } of embeddingFailures)
          context.note(`${source}: ${chunks} chunks without vector: ${describeError(error)}`)
        if (quarantined.length > 0)
          context.note(
            `${quarantined.length} left out, as they failed before: "ufrag documents --failed" lists them, --retry tries again.`,
          )
        if (synced === false) context.note('Nothing was removed: not everything could be listed.')
        if (unembedded > 0)
          context.note(`${unembedded} chunks could not be embedded; they are found by their words alone.`)
        for (const { source, chunks, error } of enrichmentFailures)
          context.note(`${source}: ${chunks} chunks not enriched: ${describeError(error)}`)
        if (unenriched > 0)
          context.note(`${unenriched} chunks could not be enriched; ingest again to have them tried again.`)
        const counts = [
          `${documents} stored`,
          `${unchanged} unchanged`,
          `${removed} removed`,
          `${failed.length} failed`,
        ]
        context.line(`${counts.join(', ')}; ${chunks} chunks in ${(durationMs / 1000).toFixed(1)} s`)
        if (embedder !== undefined && embedder.texts > 0) context.line(describeEmbedder(embedder))
      }
      await settle(context, rag)
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

const view: ProgressView<IngestProgress> = {
  format: '{bar} {value}/{total} documents, {details}',
  start: { value: 0, total: 0, details: { details: '0 chunks' } },
  bar: (progress) => ({
    value: progress.documentsDone,
    total: progress.documentsTotal,
    details: { details: describeProgress(progress) },
  }),
  line: (progress) => {
    const { documentsDone, documentsTotal, discovering } = progress
    return `${documentsDone} of ${documentsTotal}${discovering ? '+' : ''} documents, ${describeProgress(progress)}`
  },
  elapsedMs: ({ elapsedMs }) => elapsedMs,
}

/** What there is to tell of pages, chunks, tokens, failures and time. */
function describeProgress(progress: IngestProgress): string {
  const { chunks, chunksPerSecond, failed, pages, pagesTotal, remainingMs, tokensPerSecond } = progress
  const tokens = tokensPerSecond > 0 ? `, ${Math.round(tokensPerSecond)} tokens/s` : ''
  return [
    ...(pagesTotal > 0 ? [`${pages} of ${pagesTotal} pages`] : []),
    `${chunks} chunks, ${Math.round(chunksPerSecond)}/s${tokens}`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(remainingMs === undefined ? [] : [`${Math.ceil(remainingMs / 1000)} s left`]),
  ].join(', ')
}
