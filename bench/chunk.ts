import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { split } from 'sentence-splitter'
import { createSentenceChunker } from '../src/chunk/sentence.js'
import { sentenceSpans } from '../src/text/sentences.js'
import type { Bench, BenchContext, Metrics } from './lib/bench.js'
import { measureChunkers } from './lib/chunkers.js'

/**
 * How fast text is cut into chunks, what each chunker is worth to search, and how far our sentences are those of the package
 * `sentence-splitter`.
 *
 * - `throughput.mbPerSecond`: UTF-8 megabytes of English prose per second through the sentence chunker (400 characters), one
 *   thread, best of the rounds; `throughput.sentencesMbPerSecond` for the sentences alone, `throughput.sentenceSplitterMbPerSecond`
 *   for the package.
 * - `agreement.sentenceSplitter`: F1 of the places where the two end a sentence within a paragraph, over all sources together. A
 *   place is the number of letters and digits before it, so that white space and quotes do not count. Places inside quotations
 *   and brackets, where the package never ends a sentence by design, are left out; `agreement.withQuotations` counts them, too.
 * - `chunksPerSecond.CHUNKER`: chunks that each chunker makes of the labelled sets, one thread, best of the rounds.
 * - `spanHit5.CHUNKER.SEARCHED.SET`: share of questions of which one of the first five chunks overlaps a labelled answer, searched by
 *   the words alone (`words`) or as the library does by default (`default`); `wholeSpan5` where one holds an answer whole. Longer
 *   chunks do better in both, so sizes are told beside.
 */
const bench: Bench = async (context) => {
  const sources = context.data === undefined ? [] : readSources(context.data)
  if (sources.length === 0) {
    context.log(`skipped: the measuring data is missing (${context.data ?? 'neither ../shared/data nor UFRAG_DATA'})`)
    return {}
  }
  return {
    ...measureThroughput(context, sources),
    ...measureAgreement(context, sources),
    ...(await measureChunkers(context)),
  }
}
export default bench

/** English prose: one text per document. */
interface Source {
  readonly name: string
  readonly texts: readonly string[]
}

function readSources(data: string): Source[] {
  const file = (path: string): string | undefined =>
    existsSync(join(data, path)) ? readFileSync(join(data, path), 'utf8') : undefined
  const corpus = (name: string, id?: string): string[] =>
    (file(`retrieval/${name}/corpus.jsonl`) ?? '')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as { id: string; text: string })
      .filter((document) => id === undefined || document.id === id)
      .map((document) => document.text)
  const office = (name: string): string[] => [file(`office/${name}.txt`)].filter((text) => text !== undefined)

  return [
    { name: 'essay', texts: office('paul_graham_essay') },
    { name: 'norwich-city', texts: office('norwich-city') },
    ...['time', 'covidqa', 'cisi', 'med'].map((name) => ({ name, texts: corpus(name) })),
    ...['state_of_the_union', 'wikitexts', 'pubmed'].map((id) => ({ name: id, texts: corpus('chunking-eval', id) })),
  ].filter(({ texts }) => texts.length > 0)
}

function measureThroughput({ quick, log }: BenchContext, sources: readonly Source[]): Metrics {
  // Sections as the pipeline makes them: at most 64 Ki code units.
  const sections = sources
    .flatMap(({ texts }) => texts)
    .flatMap((text) =>
      Array.from({ length: Math.ceil(text.length / 65_536) }, (_, i) => text.slice(i * 65_536, (i + 1) * 65_536)),
    )
  const chunker = createSentenceChunker({ chunkSize: 400, chunkOverlap: 0, minChunkSize: 0 })
  const rounds = quick ? 5 : 15
  const throughput = {
    'throughput.mbPerSecond': bestSpeed(sections, rounds, (text) => void chunker.chunk({ text, whole: [] })),
    'throughput.sentencesMbPerSecond': bestSpeed(sections, rounds, (text) => void sentenceSpans(text)),
    'throughput.sentenceSplitterMbPerSecond': bestSpeed(
      sections.slice(0, quick ? 2 : 8).map((text) => text.slice(0, 8_192)),
      2,
      (text) => void split(text),
    ),
  }
  log(`${(bytesOf(sections) / 1e6).toFixed(1)} MB in ${sections.length} sections, best of ${rounds} rounds`)
  return throughput
}

function bestSpeed(texts: readonly string[], rounds: number, work: (text: string) => void): number {
  const bytes = bytesOf(texts)
  let best = 0
  for (let round = 0; round < rounds; round++) {
    const start = performance.now()
    for (const text of texts) work(text)
    best = Math.max(best, bytes / 1_000 / (performance.now() - start))
  }
  return best
}

function bytesOf(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
}

/** Characters of each source that are compared: the package is slow. */
const sampleSize = { quick: 40_000, full: 150_000 }

function measureAgreement({ quick, log, table }: BenchContext, sources: readonly Source[]): Metrics {
  const rows: (string | number)[][] = [
    ['source', 'both', 'only ours', 'only theirs', 'in quotations', 'F1', 'with quotations'],
  ]
  const all = createTally()
  for (const { name, texts } of sources) {
    const tally = createTally()
    let left = quick ? sampleSize.quick : sampleSize.full
    for (const paragraph of texts.flatMap((text) => text.split(/\n\s*\n/))) {
      if (left <= 0) break
      left -= paragraph.length
      compare(paragraph, tally)
    }
    rows.push([name, ...tallyRow(tally)])
    addTally(all, tally)
  }
  rows.push(['all', ...tallyRow(all)])
  table(rows)

  for (const [kind, examples] of [...all.disagreements].sort((a, b) => b[1].length - a[1].length)) {
    log(`${examples.length} x ${kind}`)
    // Spread over all sources; the same ones in every run.
    const step = Math.ceil(examples.length / 4)
    for (let i = 0; i < examples.length; i += step) log(`    ${examples[i]}`)
  }
  return { 'agreement.sentenceSplitter': f1(all), 'agreement.withQuotations': f1(all, all.inPairs) }
}

interface Tally {
  both: number
  ours: number
  theirs: number
  /** Only ours, inside quotations or brackets. */
  inPairs: number
  readonly disagreements: Map<string, string[]>
}

function createTally(): Tally {
  return { both: 0, ours: 0, theirs: 0, inPairs: 0, disagreements: new Map() }
}

function addTally(sum: Tally, tally: Tally): void {
  sum.both += tally.both
  sum.ours += tally.ours
  sum.theirs += tally.theirs
  sum.inPairs += tally.inPairs
  for (const [kind, examples] of tally.disagreements) {
    sum.disagreements.set(kind, [...(sum.disagreements.get(kind) ?? []), ...examples])
  }
}

function tallyRow(tally: Tally): (string | number)[] {
  const { both, ours, theirs, inPairs } = tally
  return [both, ours, theirs, inPairs, f1(tally).toFixed(3), f1(tally, inPairs).toFixed(3)]
}

function f1({ both, ours, theirs }: Tally, inPairs = 0): number {
  return (2 * both) / (2 * both + ours + theirs + inPairs)
}

/** Adds the sentence ends within one paragraph to the tally. */
function compare(paragraph: string, tally: Tally): void {
  const lettersBefore = countLetters(paragraph)
  const ours = sentenceSpans(paragraph).filter((_, i) => i % 2 === 1)
  const nodes = split(paragraph).filter((node) => node.type === 'Sentence')
  const theirs = nodes.map((node) => node.range[1])
  const pairs = nodes.flatMap((node) => node.contexts.map((context) => context.range))
  const last = lettersBefore[paragraph.length] as number
  const byPlace = (ends: readonly number[]): Map<number, number> =>
    new Map(
      ends.map((end) => [lettersBefore[end] as number, end] as const).filter(([place]) => place > 0 && place < last),
    )

  const ourPlaces = byPlace(ours)
  const theirPlaces = byPlace(theirs)
  const disagree = (kind: string, end: number): void => {
    const around = `${paragraph.slice(Math.max(0, end - 40), end)} | ${paragraph.slice(end, end + 25)}`
    const examples = tally.disagreements.get(kind) ?? []
    tally.disagreements.set(kind, [...examples, JSON.stringify(around)])
  }
  for (const [place, end] of ourPlaces) {
    if (theirPlaces.has(place)) tally.both++
    else if (pairs.some(([start, stop]) => end > start && end <= stop + 1)) {
      tally.inPairs++
      disagree('only ours: inside a quotation or brackets', end)
    } else {
      tally.ours++
      disagree(`only ours: ${kindOfOurs(paragraph, end)}`, end)
    }
  }
  for (const [place, end] of theirPlaces) {
    if (ourPlaces.has(place)) continue
    tally.theirs++
    disagree(`only theirs: ${kindOfTheirs(paragraph, end)}`, end)
  }
}

function kindOfOurs(paragraph: string, end: number): string {
  if (/\d\s?\.$/.test(paragraph.slice(0, end))) return 'after a number'
  return /[.!?…][\s"'”’)\]]*$/.test(paragraph.slice(0, end)) ? 'after a stop' : 'at a line end'
}

function kindOfTheirs(paragraph: string, end: number): string {
  if (/^\s*["'“‘([]*\p{Ll}/u.test(paragraph.slice(end, end + 10))) return 'before lower case'
  return /(^|[\s.(])\p{L}{1,4}\s?\.$/u.test(paragraph.slice(Math.max(0, end - 10), end))
    ? 'after a short word'
    : 'elsewhere'
}

function countLetters(text: string): Uint32Array {
  const counts = new Uint32Array(text.length + 1)
  for (let i = 0; i < text.length; i++)
    counts[i + 1] = (counts[i] as number) + (/[\p{L}\p{N}]/u.test(text.charAt(i)) ? 1 : 0)
  return counts
}
