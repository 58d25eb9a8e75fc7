import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { UltraFastRAG, type UltraFastRAGOptions } from '../../../src/index.js'
import { makeDocx, makeEpub, makePptx, makeXlsx, paragraph, shape, textRow } from '../../lib/office-files.js'
import { makeZip } from '../../lib/zip.js'

const root = mkdtempSync(join(tmpdir(), 'ufrag-formats-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const folder = join(root, 'files')
mkdirSync(folder)
const files: Readonly<Record<string, string | Buffer>> = {
  'letter.docx': makeDocx(
    `${paragraph('Fees', '<w:pStyle w:val="berschrift1"/>')}${paragraph('The walrus pays nothing.')}`,
  ),
  'sheet.xlsx': makeXlsx([{ name: 'Animals', rows: textRow(['Animal', 'Legs']) + textRow(['ostrich', '2']) }]),
  'talk.pptx': makePptx([
    { shapes: shape(['First']) },
    { shapes: shape(['Plans'], 'title') + shape(['Feed the pelican.']) },
  ]),
  'book.epub': makeEpub([{ body: '<p>A marmot whistles.</p>', title: 'Alps' }]),
  'mail.eml': 'From: a@example.org\nSubject: Lunch\n\nThe badger brings cake.\n',
  'list.csv': 'animal,food\nheron,fish\n',
  'data.json': '[{"animal":"lynx","seen":3}]',
  'lines.jsonl': '{"animal":"stoat"}\n',
  'tool.py': 'def count_otters(pond):\n    return len(pond)\n',
  'noise.bin': Buffer.from(Array.from({ length: 4_000 }, (_, place) => (place * 7_919) & 0xff)),
  'pack.zip': makeZip([{ name: 'a.txt', content: 'words' }]),
  'broken.xlsx': 'no workbook',
}
for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)

describe('an archive beyond the limits that were set', () => {
  const file = join(root, 'long.docx')
  writeFileSync(file, makeDocx(paragraph('The walrus sings. '.repeat(80_000))))
  const limits: readonly (readonly [keyof NonNullable<UltraFastRAGOptions['limits']>, number])[] = [
    ['maxArchiveEntries', 3],
    ['maxArchiveBytes', 1_000_000],
    ['maxArchiveRatio', 20],
  ]

  it.each(limits)('is LIMIT, says that %s may be raised, and is read again when it was', async (limit, least) => {
    const open = (most: number) =>
      new UltraFastRAG({
        root,
        storage: join(root, limit),
        embedder: false,
        maxWorkers: 1,
        limits: { maxArchiveRatio: 9_999, [limit]: most },
      })
    const strict = open(least)
    for (let attempt = 0; attempt < 3; attempt++) {
      const [failure] = (await strict.ingest(file)).failed
      expect(failure?.error).toMatchObject({ code: 'LIMIT', hint: expect.stringContaining(`limits.${limit}`) })
    }
    expect(await strict.ingest(file)).toMatchObject({ quarantined: [{ code: 'LIMIT' }] })
    await strict.close()
    const lenient = open(limit === 'maxArchiveBytes' ? 10_000_000 : 9_999)
    expect(await lenient.ingest(file)).toMatchObject({ failed: [], documents: 1 })
    await lenient.close()
  })
})

describe('a folder of every format', () => {
  it('is read, found again with page and heading, and what cannot be read is told by its code', async () => {
    const rag = new UltraFastRAG({ root: folder })
    const report = await rag.ingest([folder])
    expect(report.failed.map(({ error, source }) => [source, (error as { code?: string }).code]).sort()).toEqual([
      ['broken.xlsx', 'CORRUPT'],
      ['noise.bin', 'UNSUPPORTED'],
      ['pack.zip', 'UNSUPPORTED'],
    ])
    const found = async (question: string) => {
      const [hit] = await rag.retrieve(question, { topK: 1 })
      const { documentId, headings, span, text } = hit?.chunk ?? {}
      return [documentId, headings?.join() ?? '', span?.page, text?.trim()]
    }
    expect(await found('walrus')).toEqual(['letter.docx', 'Fees', undefined, 'The walrus pays nothing.'])
    expect(await found('ostrich')).toEqual(['sheet.xlsx', 'Animals', 1, 'Animal: ostrich | Legs: 2'])
    expect(await found('pelican')).toEqual(['talk.pptx', 'Plans', 2, 'Feed the pelican.'])
    expect(await found('marmot')).toEqual(['book.epub', 'Alps', undefined, 'A marmot whistles.'])
    expect(await found('heron')).toEqual(['list.csv', '', undefined, 'animal: heron | food: fish'])
    expect(await found('lynx')).toEqual(['data.json', '', undefined, 'animal: lynx\nseen: 3'])
    expect(await found('stoat')).toEqual(['lines.jsonl', '', undefined, 'animal: stoat'])
    expect((await found('badger'))[0]).toBe('mail.eml')
    expect((await found('count_otters')).slice(0, 2)).toEqual(['tool.py', 'count_otters()'])
    await rag.close()
  })

  it('takes the path of the text in JSON, and refuses one that is none', async () => {
    const rag = new UltraFastRAG({ root: folder, extractor: { json: { text: '*.animal' }, csv: { header: false } } })
    await rag.ingest(['data.json', 'list.csv'])
    expect((await rag.retrieve('lynx'))[0]?.chunk.text).toBe('lynx')
    expect((await rag.retrieve('heron'))[0]?.chunk.text).toContain('heron | fish')
    await rag.close()
    expect(() => new UltraFastRAG({ extractor: { json: { text: 'a..b' } } })).toThrow(
      expect.objectContaining({ code: 'BAD_OPTION' }),
    )
  })
})
