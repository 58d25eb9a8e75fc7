import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { mean, ndcg } from '../../src/eval/metrics.js'
import type { RungResult, RungTask } from '../children/ladder-rung.js'
import { readText } from './basic-pipeline.js'
import type { BenchContext } from './bench.js'
import { makeFill } from './fill.js'
import { markdownTable } from './markdown.js'
import { formatNumber, quantile } from './measure.js'
import { loadPdfs, loadTexts, madeQuestions, peerModel } from './peer-runs.js'
import { barPicture } from './picture.js'
import { prepackModel } from './prepack.js'
import type { Rung } from './rungs.js'
import { ways } from './ways.js'

/** Enough for what is compiled and opened at the start to be a small part of the time, little enough for minutes. */
const pages = 24
const characters = 120_000
const questionsAtOnce = 64

/** A rung, what it measured, and how well it found. */
export interface Climbed {
  readonly rung: Rung
  readonly result: RungResult
  /** nDCG@10 over the questions of the labelled texts. */
  readonly quality: number
  /** Of the text of all files, in a second of the ingest. */
  readonly charactersPerSecond: number
}

interface Climb {
  readonly name: string
  readonly title: string
  readonly rungs: readonly Rung[]
  /** Made passages that every rung stores beside the documents before it is asked. Default 0; else every rung embeds with the same model. */
  readonly filled?: number
}

/**
 * Ways to do the same with the same PDFs and labelled texts, each in a fresh process, once per round; medians. Prints a table, and writes it
 * and a picture into `docs/benchmarks` under `name`. Nothing, said aloud, without measuring data.
 */
export async function climbAll(
  { filled = 0, name, rungs, title }: Climb,
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
    const model = peerModel(data)
    await prepackModel(model)
    const task = {
      model,
      folder,
      files: files.map(({ path }) => path),
      ...(filled === 0 ? {} : { fill: await makeFill({ folder, model, passages: filled }) }),
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
    const characters = await countCharacters(task.files)
    const beside = filled === 0 ? '' : `asked beside ${filled.toLocaleString('en')} made passages; `
    const climbed = measured.map((one) => ({
      ...one,
      quality: quality(one.result),
      charactersPerSecond: (characters * 1000) / one.result.ingestMs,
    }))
    log(
      `${pdfs.pages} PDF pages and ${texts.corpus.documents.length} texts, ${characters.toLocaleString('en')} characters; ${beside}${questionsAtOnce} questions at once, ten alike`,
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

async function countCharacters(files: readonly string[]): Promise<number> {
  let characters = 0
  for (const file of files) characters += (await readText(file)).length
  return characters
}

async function measureRungs(
  rungs: readonly Rung[],
  { rounds, task }: { readonly task: Omit<RungTask, 'rung'>; readonly rounds: number },
  { child, log }: BenchContext,
): Promise<Pick<Climbed, 'result' | 'rung'>[]> {
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
  const megabytes = (bytes: number) => Math.round(bytes / 2 ** 20)
  const filled = climbed.some(({ result }) => result.filledBytes !== undefined)
  const rows = [
    [
      'rung',
      'adds',
      'ingest s',
      'characters/s',
      'chunks',
      'tokens',
      'first ms',
      'again ms',
      '10 alike s',
      `${questionsAtOnce} at once s`,
      'held before / peak MB',
      ...(filled ? ['filled MB'] : []),
      'delay p99 ms',
      'max ms',
      'nDCG@10',
    ],
    ...climbed.map(({ charactersPerSecond, quality, result, rung }) => [
      rung.name,
      rung.adds,
      formatNumber(result.ingestMs / 1000),
      formatNumber(charactersPerSecond),
      result.chunks,
      result.tokens,
      formatNumber(result.firstMs),
      formatNumber(result.repeatMs),
      formatNumber(result.similarMs / 1000),
      formatNumber(result.burstMs / 1000),
      `${megabytes(result.beforeBytes)} / ${megabytes(result.peakBytes)}`,
      ...(filled ? [megabytes(result.filledBytes ?? Number.NaN)] : []),
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
