import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { mean, ndcg } from '../../src/eval/metrics.js'
import type { RungResult, RungTask } from '../children/ladder-rung.js'
import type { BenchContext } from './bench.js'
import { markdownTable } from './markdown.js'
import { formatNumber, quantile } from './measure.js'
import { loadPdfs, loadTexts, madeQuestions, peerModel } from './peer-runs.js'
import { barPicture } from './picture.js'
import type { Rung } from './rungs.js'
import { ways } from './ways.js'

/** A rung takes seconds for some hundred chunks. */
const pages = 12
const characters = 60_000
const questionsAtOnce = 64

/** A rung, what it measured, and how well it found. */
export interface Climbed {
  readonly rung: Rung
  readonly result: RungResult
  /** nDCG@10 over the questions of the labelled texts. */
  readonly quality: number
}

/**
 * Ways to do the same with the same PDFs and labelled texts, each in a fresh process, once per round; medians. Prints a table, and writes it
 * and a picture into `docs/benchmarks` under `name`. Nothing, said aloud, without measuring data.
 */
export async function climbAll(
  { name, rungs, title }: { readonly name: string; readonly title: string; readonly rungs: readonly Rung[] },
  context: BenchContext,
): Promise<readonly Climbed[]> {
  const { data, log, quick } = context
  const texts = data === undefined ? undefined : loadTexts(data, characters)
  if (data === undefined || texts === undefined || texts.corpus.kind !== 'text') {
    log('! skipped: everything (no measuring data)')
    return []
  }
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-bench-ladder-'))
  try {
    const pdfs = await loadPdfs(data, pages)
    const files = writeFiles(folder, pdfs.corpus.kind === 'pdf' ? pdfs.corpus.files : [], texts.corpus.documents)
    const task = {
      model: peerModel(data),
      folder,
      files: files.map(({ path }) => path),
      questions: texts.questions.map(({ text }) => text),
      similar: ways,
      burst: madeQuestions(questionsAtOnce),
    }
    const idOf = new Map(files.map(({ id, path }) => [basename(path), id]))
    const quality = ({ found }: RungResult) =>
      mean(
        texts.questions.map(({ relevant }, place) => {
          const ranked = [...new Set(found[place]?.map((file) => idOf.get(file) ?? file))]
          return ndcg(ranked, relevant, { k: 10 })
        }),
      )
    const measured = await measureRungs(rungs, { task, rounds: quick ? 1 : 3 }, context)
    const climbed = measured.map((one) => ({ ...one, quality: quality(one.result) }))
    log(
      `${pdfs.pages} PDF pages and ${texts.corpus.documents.length} texts, ${questionsAtOnce} questions at once, ten alike`,
    )
    report({ climbed, name, title }, context)
    return climbed
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function writeFiles(
  folder: string,
  pdfs: readonly string[],
  documents: readonly { readonly id: string; readonly text: string }[],
): { readonly path: string; readonly id: string }[] {
  const files = pdfs.map((path, place) => {
    const copy = join(folder, `paper-${place}.pdf`)
    copyFileSync(path, copy)
    return { path: copy, id: copy }
  })
  const write = (name: string, id: string, text: string) => {
    const path = join(folder, name)
    writeFileSync(path, text)
    return { path, id }
  }
  return [
    ...files,
    ...documents.map(({ id, text }, place) => write(`document-${place}.txt`, id, text)),
    write('tower.txt', 'tower', 'The tower in the city is 120 metres tall and has 30 floors.\n'),
  ]
}

async function measureRungs(
  rungs: readonly Rung[],
  { rounds, task }: { readonly task: Omit<RungTask, 'rung'>; readonly rounds: number },
  { child, log }: BenchContext,
): Promise<Omit<Climbed, 'quality'>[]> {
  const all = rungs.map((rung) => ({ rung, results: [] as RungResult[] }))
  for (let round = 0; round < rounds; round++) {
    for (const { results, rung } of round % 2 === 0 ? all : all.toReversed()) {
      const { result } = await child<RungResult>('children/ladder-rung.ts', { ...task, rung } satisfies RungTask)
      results.push(result)
      log(`${rung.name}: ${(result.ingestMs / 1000).toFixed(1)} s`)
    }
  }
  return all.map(({ results, rung }) => ({ rung, result: middle(results) }))
}

/** Medians of the rounds; what is found is the same in each. */
function middle(results: readonly RungResult[]): RungResult {
  const first = results[0] as RungResult
  const entries = Object.entries(first).map(([key, value]) => {
    const values = results.map((result) => result[key as keyof RungResult])
    return [key, typeof value === 'number' ? quantile(values as number[], 0.5) : value]
  })
  return Object.fromEntries(entries) as RungResult
}

function report(
  { climbed, name, title }: { readonly climbed: readonly Climbed[]; readonly name: string; readonly title: string },
  { table, write }: BenchContext,
): void {
  const rows = [
    [
      'rung',
      'adds',
      'ingest s',
      'chunks/s',
      'first ms',
      'again ms',
      '10 alike s',
      `${questionsAtOnce} at once s`,
      'peak MB',
      'delay p99 ms',
      'max ms',
      'nDCG@10',
    ],
    ...climbed.map(({ quality, result, rung }) => [
      rung.name,
      rung.adds,
      formatNumber(result.ingestMs / 1000),
      formatNumber((result.chunks * 1000) / result.ingestMs),
      formatNumber(result.firstMs),
      formatNumber(result.repeatMs),
      formatNumber(result.similarMs / 1000),
      formatNumber(result.burstMs / 1000),
      Math.round(result.peakBytes / 2 ** 20),
      formatNumber(result.delayP99Ms),
      formatNumber(result.delayMaxMs),
      quality.toFixed(3),
    ]),
  ]
  table(rows)
  write(`${name}.md`, markdownTable(rows))
  const panel = (heading: string, read: (result: RungResult) => number) => ({
    title: heading,
    values: climbed.map(({ result }) => read(result)),
    format: formatNumber,
  })
  const panels = [
    panel('Ingest, seconds', ({ ingestMs }) => ingestMs / 1000),
    panel('A question for the first time, ms', ({ firstMs }) => firstMs),
    panel('The same question again, ms', ({ repeatMs }) => repeatMs),
    panel('Ten alike, a model of 200 ms, seconds', ({ similarMs }) => similarMs / 1000),
    panel('Peak anonymous memory, MB', ({ peakBytes }) => peakBytes / 2 ** 20),
    panel('Longest delay of the event loop, ms', ({ delayMaxMs }) => delayMaxMs),
  ]
  const names = climbed.map(({ rung }) => rung.name)
  write(`${name}.svg`, barPicture(title, names, panels))
}
