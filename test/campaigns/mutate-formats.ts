import { RagError } from '../../src/core/errors.js'
import { createCodeExtractor } from '../../src/extract/code.js'
import { createCsvExtractor } from '../../src/extract/csv.js'
import { createDocxExtractor } from '../../src/extract/docx.js'
import { createEmailExtractor } from '../../src/extract/email.js'
import { createEpubExtractor } from '../../src/extract/epub.js'
import { createJsonExtractor } from '../../src/extract/json.js'
import { createPptxExtractor } from '../../src/extract/pptx.js'
import type { Extractor } from '../../src/extract/types.js'
import { createXlsxExtractor } from '../../src/extract/xlsx.js'
import { randomNumbers } from '../../src/util/random.js'
import { makeDocx, makeEpub, makePptx, makeXlsx, paragraph, shape, textRow } from '../lib/office-files.js'
import { makeZip, type ZipEntry } from '../lib/zip.js'

/** A format with a sound document of it, and how to make one of a mutated inside. */
interface Subject {
  readonly name: string
  readonly extractor: Extractor
  readonly sound: Buffer
}

const words = (count: number) => Array.from({ length: count }, (_, place) => `word${place}`).join(' ')
const main = (content: Buffer): readonly ZipEntry[] => [{ name: 'word/document.xml', content }]
const wordXml = Buffer.from(
  `<w:document xmlns:w="x"><w:body>${paragraph('Title', '<w:pStyle w:val="Title"/>')}${paragraph(words(50)).repeat(5)}<w:tbl><w:tr><w:tc>${paragraph('a')}</w:tc></w:tr></w:tbl></w:body></w:document>`,
)

export const subjects: readonly Subject[] = [
  { name: 'docx', extractor: createDocxExtractor(), sound: makeDocx(paragraph(words(60)).repeat(8)) },
  {
    name: 'xlsx',
    extractor: createXlsxExtractor(),
    sound: makeXlsx([{ name: 'Data', rows: textRow(['a', 'b', words(9)]).repeat(30) }], ['x']),
  },
  {
    name: 'pptx',
    extractor: createPptxExtractor(),
    sound: makePptx([{ shapes: shape(['T'], 'title') + shape([words(40)]), notes: shape(['n'], 'body') }]),
  },
  {
    name: 'epub',
    extractor: createEpubExtractor(),
    sound: makeEpub([{ body: `<h1>A</h1><p>${words(80)}</p>`, title: 'A' }, { body: '<p>x</p>' }]),
  },
  {
    name: 'eml',
    extractor: createEmailExtractor(),
    sound: Buffer.from(
      `From: a@b\nSubject: =?utf-8?B?SGVsbG8=?=\nContent-Type: multipart/alternative; boundary="x"\n\n--x\n\n${words(30)}\n--x\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n<p>a=C3=A9</p>=\n--x--\n`,
    ),
  },
  {
    name: 'csv',
    extractor: createCsvExtractor(),
    sound: Buffer.from(`a,b,"c ""d"""\n${'1,"two, three",é\n'.repeat(20)}`),
  },
  {
    name: 'json',
    extractor: createJsonExtractor(),
    sound: Buffer.from(JSON.stringify([{ a: 'é', b: [1, 2, { c: null }] }, words(20)])),
  },
  {
    name: 'code',
    extractor: createCodeExtractor(),
    sound: Buffer.from(`class A {\n  b() {\n    c()\n  }\n}\n`.repeat(10)),
  },
]

/** Flips bytes, cuts off, repeats a piece, or puts a piece of another place. */
export function mutate(sound: Buffer, random: () => number): Buffer {
  const place = (length: number) => Math.floor(random() * length)
  const bytes = Buffer.from(sound)
  for (let flips = place(6); flips > 0; flips--) bytes[place(bytes.length)] = place(256)
  const kind = place(4)
  if (kind === 0) return bytes.subarray(0, place(bytes.length))
  const start = place(bytes.length)
  const piece = bytes.subarray(start, start + 1 + place(200))
  if (kind === 1) return Buffer.concat([bytes.subarray(0, start), piece, piece, bytes.subarray(start)])
  if (kind === 2) return Buffer.concat([bytes.subarray(0, start), bytes.subarray(place(bytes.length))])
  return bytes
}

const refusals: ReadonlySet<string> = new Set(['CORRUPT', 'EMPTY', 'NO_TEXT', 'ENCRYPTED', 'LIMIT', 'UNSUPPORTED'])

/** What became of the mutations of a format. */
export interface Outcome {
  readonly read: number
  readonly refused: number
  /** Neither text nor a typed error. */
  readonly wrong: readonly string[]
}

/** Reads `rounds` mutations of each format; of archives also such whose inside alone is mutated, as checksums would hide it. */
export async function mutateFormats(rounds: number, seed: number): Promise<Outcome> {
  const random = randomNumbers(seed)
  const outcome = { read: 0, refused: 0, wrong: [] as string[] }
  for (const { extractor, name, sound } of subjects) {
    for (let round = 0; round < rounds; round++) await readOne(name, extractor, mutate(sound, random), outcome)
  }
  const [docx] = subjects as readonly [Subject]
  for (let round = 0; round < rounds; round++) {
    await readOne('docx inside', docx.extractor, makeZip(main(mutate(wordXml, random))), outcome)
  }
  return outcome
}

async function readOne(
  name: string,
  extractor: Extractor,
  bytes: Buffer,
  outcome: { read: number; refused: number; wrong: string[] },
): Promise<void> {
  const source = {
    name,
    mediaType: extractor.mediaTypes[0] as string,
    size: bytes.length,
    bytes: async () => bytes,
    stream: async function* () {
      yield bytes
    },
  }
  try {
    let text = ''
    for await (const block of (await extractor.extract(source, { maxFileBytes: 1 << 26 })).blocks) {
      text += block.text
      if (!block.text.isWellFormed()) outcome.wrong.push(`${name}: a block is not well-formed`)
    }
    if (text.trim() === '') outcome.wrong.push(`${name}: an empty success`)
    if (text.length > 40 * bytes.length + 10_000)
      outcome.wrong.push(`${name}: ${text.length} units of ${bytes.length} bytes`)
    outcome.read++
  } catch (error) {
    if (RagError.isInstance(error) && refusals.has(error.code)) outcome.refused++
    else outcome.wrong.push(`${name}: ${error instanceof Error ? error.stack : String(error)}`)
  }
}
