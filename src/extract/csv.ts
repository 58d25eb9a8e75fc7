import { RagError } from '../core/errors.js'
import { BlockBuffer } from './block-buffer.js'
import { refuseEmpty } from './blocks.js'
import { decodeText } from './decode.js'
import { type HeaderChoice, RowWriter } from './rows.js'
import type { Block, ExtractOptions, Extractor, ExtractSource } from './types.js'

/** Options of {@link createCsvExtractor}. */
export interface CsvExtractorOptions {
  /** Whether the first row names the columns. Default `'auto'`: when it looks like it. */
  readonly header?: HeaderChoice
  /** The character between fields. Default: a tab for `text/tab-separated-values`, else the likeliest of comma, semicolon, tab and bar. */
  readonly delimiter?: string
}

/** A row may not be longer; it is held whole. Bytes. */
const maxRowBytes = 1 << 20

/**
 * Reads CSV and TSV of any length in bounded memory, with the package `csv-parse`. A line per row, the names of the columns with the
 * fields of each (see {@link RowWriter}). Quotes inside fields without quotes, rows of any number of fields and every line end are read.
 * Rejects with `EMPTY`, `CORRUPT` (a quote that never ends) or `LIMIT` (a row above 1 MiB).
 */
export function createCsvExtractor({ header = 'auto', delimiter }: CsvExtractorOptions = {}): Extractor {
  return {
    id: 'csv',
    fingerprint: `csv/1 ${header} ${delimiter ?? 'auto'}`,
    mediaTypes: ['text/csv', 'text/tab-separated-values'],
    async extract(source, options) {
      return { blocks: refuseEmpty(csvBlocks(source, options, { header, delimiter }), source.name) }
    },
  }
}

interface Reading {
  readonly header: HeaderChoice
  readonly delimiter: string | undefined
}

async function* csvBlocks(
  source: ExtractSource,
  { signal }: ExtractOptions,
  { header, delimiter }: Reading,
): AsyncGenerator<Block, void, undefined> {
  const buffer = new BlockBuffer()
  const rows = new RowWriter(buffer, {}, header)
  const fixed = delimiter ?? (source.mediaType === 'text/tab-separated-values' ? '\t' : undefined)
  for await (const batch of rowBatches(source, fixed, signal)) {
    for (const row of batch) rows.add(row)
    yield* buffer.take()
  }
  rows.end()
  buffer.flush()
  yield* buffer.take()
}

type Row = readonly string[]

/** The parser is a stream that works at once: what it has made of a part is read before it gets the next one, so nothing gathers. */
async function* rowBatches(
  source: ExtractSource,
  fixed: string | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly Row[], void, undefined> {
  const { parse } = await import('csv-parse')
  let parser: ReturnType<typeof parse> | undefined
  const start = (delimiter: string) => {
    const made = parse({ ...parserOptions, delimiter })
    // It is asked for its error after each part; without a listener the process would be told.
    made.on('error', () => {})
    return made
  }
  const take = (from: NonNullable<typeof parser>) => {
    const batch: Row[] = []
    for (let row: Row | null = from.read(); row !== null; row = from.read()) batch.push(row)
    if (from.errored) throw rowError(source.name, from.errored)
    return batch
  }
  try {
    for await (const part of decodeText(source.stream())) {
      signal?.throwIfAborted()
      parser ??= start(fixed ?? likelyDelimiter(part))
      parser.write(part)
      yield take(parser)
    }
    if (parser === undefined) return
    parser.end()
    yield await remaining(parser, source.name)
  } finally {
    parser?.destroy()
  }
}

async function remaining(parser: AsyncIterable<Row>, name: string): Promise<Row[]> {
  const batch: Row[] = []
  try {
    for await (const row of parser) batch.push(row)
  } catch (cause) {
    throw rowError(name, cause)
  }
  return batch
}

const parserOptions = {
  // Told, since it would take the first one for that of the whole file. The longest comes first.
  record_delimiter: ['\r\n', '\n', '\r'],
  relax_column_count: true,
  relax_quotes: true,
  skip_empty_lines: true,
  max_record_size: maxRowBytes,
}

/** The separator that most of the first lines have, and in the same number. Quoted text does not count. */
function likelyDelimiter(part: string): string {
  const lines = part
    .slice(0, 32 * 1024)
    .replace(/"[^"]*"/g, '')
    .split(/\r\n|\n|\r/)
    .filter((line) => line.trim() !== '')
    .slice(0, 20)
  let best = { delimiter: ',', score: 0 }
  for (const delimiter of [',', ';', '\t', '|']) {
    const counts = lines.map((line) => line.split(delimiter).length - 1)
    const usual = counts.toSorted((a, b) => a - b)[counts.length >> 1] ?? 0
    const score = usual === 0 ? 0 : counts.filter((count) => count === usual).length + Math.min(usual, 10) / 100
    if (score > best.score) best = { delimiter, score }
  }
  return best.delimiter
}

function rowError(name: string, cause: unknown): RagError {
  const { code, lines } = cause as { readonly code?: unknown; readonly lines?: unknown }
  const data = { name, line: typeof lines === 'number' ? lines : undefined }
  if (code === 'CSV_MAX_RECORD_SIZE') {
    return new RagError('LIMIT', `"${name}" holds a row of more than ${maxRowBytes} bytes.`, {
      data: { ...data, maxRowBytes },
      hint: 'A quote that never ends may have swallowed what follows; or declare the file as text/plain.',
    })
  }
  // The parser's own messages quote the text, so they are not passed on.
  return new RagError('CORRUPT', `"${name}" is no sound CSV, near line ${data.line ?? '?'}.`, {
    data: { ...data, reason: typeof code === 'string' ? code : undefined },
    hint: 'Mend the quotes there, or declare the file as text/plain to read it as it is.',
  })
}
