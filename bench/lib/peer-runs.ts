import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { mean, ndcg } from '../../src/eval/metrics.js'
import { createPdfExtractor } from '../../src/extract/pdf.js'
import { modelFolder } from '../../test/fixtures/models/model-folder.js'
import type { PeerResult, PeerTask } from '../children/peer-run.js'
import type { Usage } from '../rivals/contender.js'
import { type ContenderName, contenders } from '../rivals/index.js'
import type { BenchContext } from './bench.js'
import { createTextGenerator } from './corpus.js'
import { quantile } from './measure.js'
import { choosePdfs, chooseTexts, type KnownItem, type LabelledCorpus, type ReadPages } from './peer-corpus.js'
import { prepackModel } from './prepack.js'
import type { RetrievalQuery } from './retrieval.js'

/** One contender used in one way. */
export interface Run {
  readonly name: string
  readonly contender: ContenderName
  readonly style?: Usage['style']
  readonly dtype?: Usage['dtype']
  readonly chunkSize?: number
  readonly chunkOverlap?: number
  readonly headings?: boolean
}

/** What is common to the runs of a comparison. */
interface Comparison {
  readonly runs: readonly Run[]
  readonly task: Pick<PeerTask, 'corpus' | 'sample' | 'questions' | 'filled' | 'timed'>
  readonly rounds: number
}

/** The texts that are cut already. */
export const labelledSet = 'product-docs'

/** The weights that all contenders embed with: random ones, of the shape of all-MiniLM-L6-v2. Texts that share words are near to each other. */
export function peerModel(data: string): string {
  return modelFolder({
    size: 'minilm',
    weights: ['fp32', 'int8'],
    tokenizer: { file: join(data, 'tokenizer', 'bert-base-uncased', 'tokenizer.json') },
  })
}

/** Runs each contender in a fresh process, once per round, in the order given and the next time in reverse; medians by name. */
export async function runContenders(
  { rounds, runs, task }: Comparison,
  context: BenchContext,
): Promise<ReadonlyMap<string, PeerResult>> {
  const model = peerModel(context.data as string)
  await prepackModel(model)
  const results = new Map(runs.map(({ name }) => [name, [] as PeerResult[]]))
  for (let round = 0; round < rounds; round++) {
    for (const run of round % 2 === 0 ? runs : runs.toReversed()) {
      const { contender, name, ...given } = run
      const usage = { chunkOverlap: 0, chunkSize: 400, dtype: 'q8', headings: false, style: 'docs', ...given } as const
      const packages: Record<string, string> = {}
      for (const wanted of contenders[contender].packages) packages[wanted] = await context.peer(wanted)
      const argument: PeerTask = { ...task, contender, usage: { ...usage, model, packages } }
      const { result } = await context.child<PeerResult>('children/peer-run.ts', argument)
      results.get(name)?.push(result)
    }
  }
  return new Map([...results].map(([name, all]) => [name, middle(all)]))
}

/** The times and the memory are medians, the rest is the same in every round. */
function middle(all: readonly PeerResult[]): PeerResult {
  const median = (read: (result: PeerResult) => number) => quantile(all.map(read), 0.5)
  return {
    ...(all[0] as PeerResult),
    ingestMs: median(({ ingestMs }) => ingestMs),
    peakBytes: median(({ peakBytes }) => peakBytes),
    queryP50Ms: median(({ queryP50Ms }) => queryP50Ms),
    queryP95Ms: median(({ queryP95Ms }) => queryP95Ms),
  }
}

/** Of a rival's tokens ours must embed at least this share, else it has done less work and the comparison of ingests does not count. */
export const leastTokens = 0.9

/** Of the same pages: the files are the same, though one library counts a page without text and another does not. */
export function tokenRatio(ours: PeerResult, theirs: PeerResult): number {
  return ours.tokens / theirs.tokens
}

/** PDFs of about so many pages, with questions by words that stand in them; with the URL of pdf-parse, by words that it reads there as well. */
export function loadPdfs(data: string, pages: number, pdfParse?: string): ReturnType<typeof choosePdfs> {
  return choosePdfs(data, pages, pdfParse === undefined ? [readPages] : [readPages, readByPdfParse(pdfParse)])
}

export function loadTexts(data: string, characters: number): LabelledCorpus<RetrievalQuery> | undefined {
  return chooseTexts(data, { set: labelledSet, characters })
}

async function readPages(path: string): Promise<string[]> {
  const bytes = await readFile(path)
  const { blocks } = await createPdfExtractor({ layout: 'raw' }).extract(
    {
      name: basename(path),
      mediaType: 'application/pdf',
      size: bytes.length,
      bytes: async () => bytes,
      async *stream() {
        yield bytes
      },
    },
    { maxFileBytes: 1 << 30 },
  )
  const pages: string[] = []
  for await (const { page = 1, text } of blocks) pages[page - 1] = `${pages[page - 1] ?? ''}${text}`
  return pages
}

/** What is used of pdf-parse. */
interface PdfParse {
  readonly PDFParse: new (options: {
    readonly data: Uint8Array
  }) => {
    getText(): Promise<{ readonly pages: readonly { readonly num: number; readonly text: string }[] }>
    destroy(): Promise<void>
  }
}

function readByPdfParse(url: string): ReadPages {
  return async (path) => {
    const { PDFParse } = (await import(url)) as PdfParse
    const parser = new PDFParse({ data: new Uint8Array(await readFile(path)) })
    const pages: string[] = []
    for (const { num, text } of (await parser.getText()).pages) pages[num - 1] = text
    await parser.destroy()
    return pages
  }
}

/** Share of the questions of which one of ten hits is of the right file and has six of the eight words. */
export function hitRate(questions: readonly KnownItem[], { found }: PeerResult): number {
  const hits = questions.map(({ source, words }, place) =>
    (found[place] ?? []).some((hit) => {
      const text = hit.text.toLowerCase()
      return basename(hit.source) === source && words.filter((word) => text.includes(word)).length >= 6
    }),
  )
  return mean(hits.map(Number))
}

/** nDCG@10 of the passages found, a document ranked by its best one. */
export function ndcgOf(questions: readonly RetrievalQuery[], { found }: PeerResult): number {
  return mean(
    questions.map(({ relevant }, place) => {
      const ranked = [...new Set((found[place] ?? []).map(({ source }) => source))]
      return ndcg(ranked, relevant, { k: 10 })
    }),
  )
}

/** Questions of a dozen words to made passages; the first ten of a run are its warm-up. */
export function madeQuestions(count: number): string[] {
  const generator = createTextGenerator(17)
  return Array.from({ length: count }, () => generator.document(100).split(/\s+/).slice(0, 12).join(' '))
}
