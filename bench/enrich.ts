import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UltraFastRAG, type UltraFastRAGOptions } from 'ultrafast-rag'
import { pairedBootstrap } from '../src/eval/bootstrap.js'
import { mean, ndcg } from '../src/eval/metrics.js'
import type { Bench, Metrics } from './lib/bench.js'
import { loadRetrievalSet, type RetrievalSet } from './lib/retrieval.js'

/** Sets whose documents have titles, headings or several passages: elsewhere there is nothing to add. */
const sets = ['scifact', 'cranfield', 'nfcorpus', 'time', 'product-docs']
const quickSets = ['time', 'product-docs']

/** What needs no model. Each is compared with the one before it. */
const variants: readonly { readonly name: string; readonly enrich: NonNullable<UltraFastRAGOptions['enrich']> }[] = [
  { name: 'none', enrich: false },
  { name: 'headings', enrich: 'headings' },
  { name: 'keywords', enrich: ['headings', 'keywords'] },
]

/** Words alone, and the library as it comes. */
const legs: readonly { readonly name: string; readonly options: UltraFastRAGOptions }[] = [
  { name: 'lexical', options: { embedder: false } },
  { name: 'hybrid', options: {} },
]

/** What title, headings and keywords do for the search: nDCG@10 by document, of 400-character passages. */
const bench: Bench = async ({ data, log, quick, table }) => {
  if (data === undefined) {
    log('skipped: the retrieval sets are not there (UFRAG_DATA)')
    return {}
  }
  const metrics: Metrics = {}
  const rows: string[][] = [['set', 'leg', 'enrich', 'nDCG@10', 'against the one before', '95%', 'ingest s']]
  for (const name of quick ? quickSets : sets) {
    const set = loadRetrievalSet(data, name)
    if (set === undefined) {
      log(`skipped: ${name} is not there`)
      continue
    }
    for (const leg of legs) {
      let before: readonly number[] | undefined
      for (const variant of variants) {
        const { ingestMs, scores } = await measure(set, { ...leg.options, enrich: variant.enrich })
        metrics[`ndcg.${name}.${leg.name}.${variant.name}`] = mean(scores)
        const seconds = (ingestMs / 1_000).toFixed(1)
        if (before === undefined) rows.push([name, leg.name, variant.name, mean(scores).toFixed(3), '', '', seconds])
        else {
          const { difference, high, low } = pairedBootstrap(before, scores)
          const range = `${low.toFixed(3)} to ${high.toFixed(3)}`
          rows.push([name, leg.name, variant.name, mean(scores).toFixed(3), signed(difference), range, seconds])
        }
        before = scores
      }
    }
  }
  table(rows)
  return metrics
}
export default bench

async function measure(
  set: RetrievalSet,
  options: UltraFastRAGOptions,
): Promise<{ readonly scores: readonly number[]; readonly ingestMs: number }> {
  const storage = mkdtempSync(join(tmpdir(), 'ufrag-bench-'))
  try {
    const rag = new UltraFastRAG({ ...options, storage })
    const began = performance.now()
    // A document without text is found by its title, which must not count twice.
    await rag.ingest(
      set.documents.map(({ id, title, text }) => (text.trim() === '' ? { id, text: title } : { id, title, text })),
    )
    const ingestMs = performance.now() - began
    await rag.warmUp()
    const scores: number[] = []
    for (const { relevant, text } of set.queries) {
      const hits = await rag.retrieve(text, { topK: 10, groupBy: 'document' })
      scores.push(
        ndcg(
          hits.map(({ chunk }) => chunk.documentId),
          relevant,
        ),
      )
    }
    await rag.close()
    return { scores, ingestMs }
  } finally {
    rmSync(storage, { recursive: true, force: true })
  }
}

function signed(value: number): string {
  return `${value < 0 ? '' : '+'}${value.toFixed(3)}`
}
