import { escapeXml, makeDocx, makeEpub, makeXlsx, paragraph, textRow } from '../lib/office-files.js'
import { makePdf } from '../unit/extract/helpers.js'

/** What a file says: each sentence names the document, its version, its own number and how many there are, so that a mixture shows. */
export interface MixedContent {
  readonly word: string
  readonly version: number
  readonly sentences: number
}

type Make = (sentences: readonly string[]) => string | Buffer | Promise<Buffer>

const makers: Readonly<Record<string, Make>> = {
  txt: (sentences) => sentences.join(' '),
  md: (sentences) => `# Record\n\n${sentences.map((sentence) => `- ${sentence}`).join('\n')}\n`,
  html: (sentences) => `<html><body><h1>Record</h1>${sentences.map((one) => `<p>${one}</p>`).join('')}</body></html>`,
  csv: (sentences) => `Place,Sentence\n${sentences.map((sentence, place) => `${place},"${sentence}"`).join('\n')}\n`,
  json: (sentences) => JSON.stringify({ record: sentences.map((sentence) => ({ sentence })) }),
  jsonl: (sentences) => sentences.map((sentence) => JSON.stringify({ sentence })).join('\n'),
  py: (sentences) => sentences.map((one, place) => `def part${place}():\n    return "${one}"\n`).join('\n'),
  eml: (sentences) => `From: a@example.com\nSubject: Record\nContent-Type: text/plain\n\n${sentences.join('\n')}\n`,
  docx: (sentences) => makeDocx(sentences.map((sentence) => paragraph(sentence)).join('')),
  xlsx: (sentences) => makeXlsx([{ name: 'Record', rows: sentences.map((one) => textRow([one, 'x'])).join('') }]),
  epub: (sentences) => makeEpub([{ body: sentences.map((one) => `<p>${escapeXml(one)}</p>`).join('') }]),
  // Of several pages the lines, which differ in a number alone, would be taken for running headers.
  pdf: (sentences) => makePdf([sentences.slice(0, 40).join('\n')]),
}

/** Files that nobody can read, each for a reason of its own. */
const broken: Readonly<Record<string, string | Buffer>> = {
  txt: ' \n',
  pdf: '%PDF-1.7\nThis is no PDF at all.',
  docx: 'no archive',
  xlsx: Buffer.from('PK\x03\x04 and nothing else', 'latin1'),
  json: '{"sentence": "without an end',
}

export const mixedEndings = Object.keys(makers)
export const brokenEndings = Object.keys(broken)

/** The bytes of a file of this kind. Those of a broken one differ from version to version, too. */
export async function mixedFile(ending: string, content: MixedContent | number): Promise<string | Buffer> {
  if (typeof content === 'number') {
    const bytes = broken[ending] as string | Buffer
    return typeof bytes === 'string' ? bytes + ' '.repeat(content) : Buffer.concat([bytes, Buffer.alloc(content, 120)])
  }
  return (makers[ending] as Make)(sentencesOf(ending, content))
}

export function sentencesOf(ending: string, { word, version, sentences }: MixedContent): string[] {
  const count = ending === 'pdf' ? Math.min(sentences, 40) : sentences
  return Array.from(
    { length: count },
    (_, place) => `Document ${word} in version v${version} says as number ${place} of ${count} that all is well.`,
  )
}

/** The version that passages of one document are of; an error when they are of several, or do not say everything. */
export function versionSaid(word: string, texts: readonly string[]): number {
  const all = texts.join('\n')
  const said = [...all.matchAll(/Document\s+(\w+)\s+in\s+version\s+v(\d+)\s+says\s+as\s+number\s+(\d+)\s+of\s+(\d+)/g)]
  const different = (place: number) => [...new Set(said.map((match) => match[place]))]
  const [words, versions, numbers, counts] = [1, 2, 3, 4].map(different) as [string[], string[], string[], string[]]
  if (words.length !== 1 || words[0] !== word || versions.length !== 1 || counts.length !== 1)
    throw new Error(`${word} is a mixture: ${JSON.stringify({ words, versions, counts })}`)
  if (numbers.length !== Number(counts[0]))
    throw new Error(`${word} has ${numbers.length} of ${counts[0]} sentences of version ${versions[0]}.`)
  return Number(versions[0])
}
