import type { Bench } from './lib/bench.js'
import { type Climbed, climbAll } from './lib/climb.js'
import { rungs } from './lib/rungs.js'

/** Beside the documents, so that there is something to search: from 20,000 vectors on graphs are built. */
const filled = 30_000

/**
 * What is each optimization worth? The same PDFs and texts, the same weights of the shape of all-MiniLM-L6-v2, one optimization more on every rung, each
 * in a fresh process. A rung may lose, and some do: on a processor a batch as it comes is slower than one text at a time, because all are
 * padded to the longest. Before anything is asked, every rung stores the same made passages with their vectors beside what it ingested, and waits until
 * they are indexed. `ladder.…Speedup` compare the first rung with the last (`ingestSpeedupPerToken`: by the tokens that each embeds, since the
 * last embeds titles and headings as well), `ladder.memoryRatio` is the last over the first: at the peak of the
 * ingest, models included; `memoryRatioFilled`, what is held once all is filled.
 */
const bench: Bench = async (context) => {
  const climbed = await climbAll({ filled, name: 'ladder', title: 'One optimization at a time', rungs }, context)
  const [first, last] = [climbed[0], climbed.at(-1)] as [Climbed | undefined, Climbed | undefined]
  if (first === undefined || last === undefined) return {}
  const [before, after] = [first.result, last.result]
  return {
    'ladder.ingestSpeedup': before.ingestMs / after.ingestMs,
    'ladder.ingestSpeedupPerToken': before.ingestMs / before.tokens / (after.ingestMs / after.tokens),
    'ladder.firstQuerySpeedup': before.firstMs / after.firstMs,
    'ladder.repeatQuerySpeedup': before.repeatMs / after.repeatMs,
    'ladder.tenSimilarSpeedup': before.similarMs / after.similarMs,
    'ladder.memoryRatio': after.peakBytes / before.peakBytes,
    'ladder.memoryRatioFilled': (after.filledBytes ?? Number.NaN) / (before.filledBytes ?? Number.NaN),
    'ladder.loopDelayP99Ms': after.delayP99Ms,
  }
}

export default bench
