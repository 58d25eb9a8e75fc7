import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { readDataset } from '../../../src/eval/dataset.js'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

const beir = {
  'corpus.jsonl':
    '{"_id": "d1", "title": "Towers", "text": "The Eiffel Tower."}\n{"_id": "d2", "text": "Bread.", "metadata": {}}\n',
  'queries.jsonl':
    '{"_id": "q1", "text": "tower?"}\n{"_id": "q2", "text": "nobody judged this"}\n{"_id": "q3", "text": "x"}\n',
  'qrels/test.tsv': 'query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\nq3\td2\t0\n',
}

function setOf(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-set-'))
  folders.push(folder)
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), content)
  }
  return folder
}

describe('a data set', () => {
  it('in the layout of BEIR is read, without questions that have no relevant document', async () => {
    const folder = setOf(beir)
    expect(await readDataset(folder)).toEqual({
      name: basename(folder),
      documents: [
        { id: 'd1', title: 'Towers', text: 'The Eiffel Tower.' },
        { id: 'd2', title: '', text: 'Bread.' },
      ],
      queries: [{ id: 'q1', text: 'tower?', relevant: new Map([['d1', 2]]) }],
    })
  })

  it('may have plain ids, judgements beside the corpus, no heading, four columns, a byte order mark and Windows lines', async () => {
    const folder = setOf({
      'corpus.jsonl': '\ufeff{"id": 7, "text": "seven\u2028eight"}\r\n\r\n',
      'queries.jsonl': '{"id": "q", "text": "which?"}\r\n',
      'qrels.tsv': 'q\t0\t7\t1\r\n',
    })
    const { documents, queries } = await readDataset(folder)
    expect(documents).toEqual([{ id: '7', title: '', text: 'seven\u2028eight' }])
    expect(queries[0]?.relevant).toEqual(new Map([['7', 1]]))
  })

  it('takes the judgements of another split when it is told to', async () => {
    const folder = setOf({ ...beir, 'qrels/dev.tsv': 'q3\td2\t1\n' })
    const { queries } = await readDataset(folder, { split: 'dev' })
    expect(queries.map(({ id }) => id)).toEqual(['q3'])
  })

  it('counts a relevant document that the corpus does not have', async () => {
    const folder = setOf({ ...beir, 'qrels/test.tsv': 'q1\td1\t1\nq1\tgone\t1\n' })
    expect((await readDataset(folder)).queries[0]?.relevant.size).toBe(2)
  })

  it('that is not there, or not whole, is named with what is missing', async () => {
    await expect(readDataset(join(tmpdir(), 'ufrag-no-such-set'))).rejects.toMatchObject({ code: 'NOT_FOUND' })
    const { 'qrels/test.tsv': _, ...rest } = beir
    const error = await readDataset(setOf(rest)).catch((reason) => reason)
    expect(error).toMatchObject({ code: 'NOT_FOUND', data: { found: ['corpus.jsonl', 'queries.jsonl'] } })
    expect(error.message).toContain('qrels')
  })

  it.each([
    ['corpus.jsonl', '{"_id": "d1", "text": "a"}\n{"_id": \n', 2],
    ['corpus.jsonl', '{"text": "without an id"}\n', 1],
    ['corpus.jsonl', '{"_id": "d1"}\n', 1],
    ['corpus.jsonl', '{"_id": "d1", "text": "a"}\n{"_id": "d1", "text": "b"}\n', 2],
    ['queries.jsonl', '["q1"]\n', 1],
    ['qrels/test.tsv', 'q1\td1\t1\nq1\td2\n', 2],
    ['qrels/test.tsv', 'q1\td1\t1\nq1\td2\tvery\n', 2],
  ])('with a bad line in %s names file and line', async (name, content, line) => {
    const error = await readDataset(setOf({ ...beir, [name]: content })).catch((reason) => reason)
    expect(error).toMatchObject({ code: 'CORRUPT', data: { line } })
    expect(error.data.file).toContain(basename(name))
    expect(JSON.stringify(error)).not.toContain('without an id')
  })

  it('whose judgements are of another set is refused', async () => {
    const foreign = setOf({ ...beir, 'qrels/test.tsv': 'q1\tother-1\t1\n' })
    await expect(readDataset(foreign)).rejects.toMatchObject({ code: 'CORRUPT' })
    const unasked = setOf({ ...beir, 'qrels/test.tsv': 'other\td1\t1\n' })
    await expect(readDataset(unasked)).rejects.toMatchObject({ code: 'CORRUPT' })
  })
})
