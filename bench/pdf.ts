import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type BadPdfOutcome, unhandledOutcomes } from './children/pdf-bad.js'
import type { PdfLayouts } from './children/pdf-clean.js'
import type { PdfReading, PdfReadingResult } from './children/pdf-read.js'
import type { Bench, BenchContext } from './lib/bench.js'
import { quantile } from './lib/measure.js'

/** Files are read in so many groups; within each, ours and pdf-parse take turns, so that a busy spell of the machine hits both. */
const groupCount = 4
/** A bad file must have ended by then, in milliseconds. */
const badLimitMs = 10_000

/**
 * PDF to text against pdf-parse: pages per second on the same files (`speedup.pdfParse`, and by CPU time, which depends less on what
 * else the machine does, `speedup.pdfParseCpu`), how much of the words is the same (`quality.tokenF1`), what becomes of broken and
 * hostile files (`bad.unhandled`, to be 0), and whether memory stays flat when four times as much is read (`memory.peak4x`, to be
 * about 1). All of these are of the layout `raw`.
 *
 * Of the layout `clean`: how much of the words that others expect it gives (`pdf.expectedF1`, mean over the files of Docling, whose
 * expectations leave running lines out as well), which share of the lines that stand on more than half of the pages is left
 * (`pdf.headerLeak`; of lines with a word in them), in which share of the files the rest is the same as in `raw` (`pdf.sameBody`, by an F1 of .97), and how
 * its pages per second compare with `raw` (`pdf.cleanSpeed`).
 */
const pdf: Bench = async (context) => {
  if (context.data === undefined) {
    context.log('! skipped: the PDF files are in the measuring data, which is not here')
    return {}
  }
  const good = listPdfs(join(context.data, 'pdf', 'good'))
  const rival = await context.peer('pdf-parse')
  return {
    ...(await compare(context, good, rival)),
    ...(await readBad(context, listPdfs(join(context.data, 'pdf', 'bad')))),
    ...(await readAgain(context, good)),
    ...(await readClean(context, good, join(context.data, 'pdf', 'expected', 'docling'))),
  }
}

export default pdf

function listPdfs(folder: string): readonly string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.pdf'))
    .sort()
    .map((name) => join(folder, name))
}

function readIn(context: BenchContext, reading: PdfReading) {
  return context.child<PdfReadingResult>('children/pdf-read.ts', reading)
}

async function compare(context: BenchContext, files: readonly string[], rival: string) {
  const groups = Array.from({ length: groupCount }, (_, g) => files.filter((_, i) => i % groupCount === g))
  const ours = { pages: 0, milliseconds: 0, cpuMilliseconds: 0, texts: new Map<string, string>() }
  const theirs = { pages: 0, milliseconds: 0, cpuMilliseconds: 0, texts: new Map<string, string>() }
  for (let round = 0; round < (context.quick ? 1 : 2); round++) {
    for (const [place, group] of groups.entries()) {
      const sides = [
        { total: ours, reading: {} },
        { total: theirs, reading: { rival } },
      ]
      // The first to run changes each time.
      if ((place + round) % 2 === 1) sides.reverse()
      for (const { total, reading } of sides) {
        const { result } = await readIn(context, { ...reading, files: group, rounds: 1, withText: round === 0 })
        total.pages += result.pages
        total.milliseconds += result.milliseconds
        total.cpuMilliseconds += result.cpuMilliseconds
        for (const [i, text] of result.texts.entries()) total.texts.set(group[i] as string, text)
      }
    }
  }
  const rows = [
    { name: 'ours', ...ours },
    { name: 'pdf-parse', ...theirs },
  ].map(({ name, pages, milliseconds, cpuMilliseconds }) => [
    ...[name, pages, (milliseconds / 1000).toFixed(1), ((1000 * pages) / milliseconds).toFixed(0)],
    (cpuMilliseconds / pages).toFixed(1),
  ])
  context.table([['reader', 'pages', 'seconds', 'pages/s', 'CPU ms/page'], ...rows])
  return {
    'speedup.pdfParse': theirs.milliseconds / ours.milliseconds,
    'speedup.pdfParseCpu': theirs.cpuMilliseconds / ours.cpuMilliseconds,
    ...likeness(context, files, ours.texts, theirs.texts),
  }
}

function likeness(
  context: BenchContext,
  files: readonly string[],
  ours: ReadonlyMap<string, string>,
  theirs: ReadonlyMap<string, string>,
) {
  const rows = files.map((file) => ({ file, f1: tokenF1(ours.get(file) ?? '', theirs.get(file) ?? '') }))
  rows.sort((a, b) => a.f1 - b.f1)
  context.log('least alike:')
  context.table([['file', 'token F1'], ...rows.slice(0, 12).map(({ file, f1 }) => [basename(file), f1.toFixed(3)])])
  const median = rows[rows.length >> 1]?.f1 ?? Number.NaN
  context.log(`median ${median.toFixed(3)} of ${rows.length} files`)
  return { 'quality.tokenF1': rows.reduce((sum, { f1 }) => sum + f1, 0) / rows.length }
}

/** F1 of the tokens as multisets. */
function tokenF1(ours: string, theirs: string): number {
  const left = countTokens(ours)
  const right = countTokens(theirs)
  let common = 0
  for (const [token, count] of left) common += Math.min(count, right.get(token) ?? 0)
  const total = sum(left) + sum(right)
  return total === 0 ? 1 : (2 * common) / total
}

/**
 * A token is a run of letters of one script, a run of digits, or one CJK character, in lower case and compatibility form without
 * accents: spaces between scripts and the order of accents are layout. Words broken at line ends are joined on both sides.
 */
function countTokens(text: string): ReadonlyMap<string, number> {
  const plain = text.normalize('NFKD').replace(/\p{M}/gu, '')
  const whole = plain.replace(/(\p{Ll})-[^\S\n]*\n\s*(\p{Ll})/gu, '$1$2').toLowerCase()
  const counts = new Map<string, number>()
  for (const [token] of whole.matchAll(tokens)) counts.set(token, (counts.get(token) ?? 0) + 1)
  return counts
}

const cjk = '\\p{sc=Han}\\p{sc=Hiragana}\\p{sc=Katakana}'
const tokens = new RegExp(`[${cjk}]|\\p{sc=Latin}+|\\p{N}+|(?:(?![\\p{sc=Latin}${cjk}])\\p{L})+`, 'gu')

function sum(counts: ReadonlyMap<string, number>): number {
  let total = 0
  for (const count of counts.values()) total += count
  return total
}

async function readBad(context: BenchContext, files: readonly string[]) {
  const { result } = await context.child<readonly BadPdfOutcome[]>('children/pdf-bad.ts', {
    files,
    limitMs: badLimitMs,
  })
  const kinds = [...new Set(result.map(({ outcome }) => outcome))].sort()
  context.log(`${files.length} bad files:`)
  context.table([
    ['outcome', 'files', 'slowest ms', 'which'],
    ...kinds.map((kind) => {
      const rows = result.filter(({ outcome }) => outcome === kind)
      const slowest = rows.reduce((a, b) => (b.milliseconds > a.milliseconds ? b : a))
      return [kind, rows.length, slowest.milliseconds, basename(slowest.file)]
    }),
  ])
  return { 'bad.unhandled': result.filter(({ outcome }) => unhandledOutcomes.has(outcome)).length }
}

async function readAgain(context: BenchContext, files: readonly string[]) {
  const some = files.filter((_, i) => i % groupCount === 0)
  const once = await readIn(context, { files: some, rounds: 1, withText: false })
  const often = await readIn(context, { files: some, rounds: 4, withText: false })
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`
  context.log(
    `peak memory, read once ${megabytes(once.peakAnonymousBytes)}, four times ${megabytes(often.peakAnonymousBytes)}`,
  )
  return { 'memory.peak4x': often.peakAnonymousBytes / once.peakAnonymousBytes }
}

async function readClean(context: BenchContext, good: readonly string[], folder: string) {
  const layouts = async (files: readonly string[]) =>
    (await context.child<readonly PdfLayouts[]>('children/pdf-clean.ts', files)).result
  const expected = (existsSync(folder) ? listPdfs(folder) : []).filter((file) => existsSync(markdownOf(file)))
  const scores = (await layouts(expected)).map(({ clean, raw }, i) => {
    const file = expected[i] as string
    // Places of pictures are comments there.
    const text = readFileSync(markdownOf(file), 'utf8').replaceAll(/<!--.*?-->/gs, ' ')
    return { file, clean: tokenF1(clean, text), raw: tokenF1(raw, text) }
  })
  context.table([
    ['expected by Docling', 'F1 of raw', 'F1 of clean'],
    ...scores.map(({ clean, file, raw }) => [basename(file), raw.toFixed(3), clean.toFixed(3)]),
  ])
  const all = await layouts(good)
  const bodies = all.map(({ cleanBody, rawBody }, i) => ({ file: good[i] as string, f1: tokenF1(cleanBody, rawBody) }))
  const apart = bodies.filter(({ f1 }) => f1 < leastBodyF1).sort((a, b) => a.f1 - b.f1)
  context.log(
    `${bodies.length - apart.length} of ${bodies.length} files have the same body in both layouts (F1 of ${leastBodyF1}); the others:`,
  )
  context.table([['file', 'F1 of clean against raw'], ...apart.map(({ f1, file }) => [basename(file), f1.toFixed(3)])])
  const total = (value: (one: PdfLayouts) => number) => all.reduce((sum, one) => sum + value(one), 0)
  return {
    'pdf.expectedF1': scores.reduce((sum, { clean }) => sum + clean, 0) / scores.length,
    'pdf.bodyF1Median': quantile(
      bodies.map(({ f1 }) => f1),
      0.5,
    ),
    'pdf.sameBody': 1 - apart.length / bodies.length,
    'pdf.headerLeak': total(({ leaked }) => leaked) / total(({ repeated }) => repeated),
    'pdf.cleanSpeed': total(({ rawMs }) => rawMs) / total(({ cleanMs }) => cleanMs),
  }
}

/** Of the words of a file, without lines that stand on more than half of its pages, in the layout `clean` against `raw`. */
const leastBodyF1 = 0.97

function markdownOf(file: string): string {
  return file.replace(/\.pdf$/, '.md')
}
