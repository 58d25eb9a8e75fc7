import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { tokenizerFiles } from '../../test/fixtures/models/tokenizers.js'
import type { BenchContext } from './bench.js'
import { createTextGenerator } from './corpus.js'
import { writePdfFiles } from './pdf-files.js'
import { labelledSet } from './peer-runs.js'

const documents = 60
/** As long as those of the set whose place they take. */
const documentCharacters = 3_700

/**
 * A context with a folder of made documents, laid out as the measuring data, for benches that compare with others and have none: PDFs, a
 * labelled set, a tokenizer with as many words as BERT's. The folder is deleted when the process ends.
 */
export async function withMadeData(context: BenchContext): Promise<BenchContext & { data: string }> {
  const { data, log } = context
  if (data !== undefined) return { ...context, data }
  log(
    '! no measuring data: the documents are MADE, pages of plain text that are easy to read; compare these figures with no others',
  )
  const made = mkdtempSync(join(tmpdir(), 'ufrag-bench-data-'))
  process.once('exit', () => rmSync(made, { recursive: true, force: true }))
  await writePdfFiles(join(made, 'pdf', 'good'), { files: 30, pages: 8 })
  writeLabelledSet(join(made, 'retrieval', labelledSet))
  const tokenizer = tokenizerFiles({ tokenizer: 'wordpiece', vocabulary: 30_522, maxTokens: 512 })
  writeAll(join(made, 'tokenizer', 'bert-base-uncased'), tokenizer.files)
  return { ...context, data: made }
}

/** Each question is eight words from the middle of the document that answers it. */
function writeLabelledSet(folder: string): void {
  const generator = createTextGenerator(23)
  const rows = Array.from({ length: documents }, (_, id) => {
    const text = generator.document(documentCharacters)
    const words = text.split(/\s+/)
    const middle = Math.floor(words.length / 2)
    return { id: String(id), text, question: words.slice(middle, middle + 8).join(' ') }
  })
  const lines = (values: readonly object[]) => values.map((value) => `${JSON.stringify(value)}\n`).join('')
  writeAll(folder, {
    'corpus.jsonl': lines(rows.map(({ id, text }) => ({ id, text }))),
    'queries.jsonl': lines(rows.map(({ id, question }) => ({ id, text: question }))),
    'qrels.tsv': ['query-id\tdoc-id\trelevance', ...rows.map(({ id }) => `${id}\t${id}\t1`), ''].join('\n'),
  })
}

function writeAll(folder: string, files: Readonly<Record<string, string>>): void {
  mkdirSync(folder, { recursive: true })
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
}
