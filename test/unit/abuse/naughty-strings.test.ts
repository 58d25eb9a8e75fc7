import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { RagError, type UltraFastRAG } from '../../../src/index.js'
import { everything } from '../../lib/soak.js'
import { makeFolder, open } from './support.js'

const list = join(process.env.UFRAG_DATA ?? join(import.meta.dirname, '../../../../shared/data'), 'abuse/blns.json')
const present = existsSync(list)
if (!present) console.warn(`Skipped: the list of naughty strings is not at ${list}; set UFRAG_DATA.`)

it.skipIf(!present).each(everything ? ['memory', 'disk'] : ['disk'])(
  'naughty strings come back as they were, as ids, titles, metadata and paths of metadata, from %s',
  async (kind) => {
    const strings = new Set(JSON.parse(readFileSync(list, 'utf8')) as string[])
    strings.delete('')
    const documents = [...strings].map((string, i) => ({
      id: string,
      title: string,
      text: `Word ${i}: ${string.replaceAll(/\p{Cc}/gu, ' ')}`,
      metadata: { string, [string]: i, inner: { [string]: string } },
    }))
    const rag = open({ ...(kind === 'memory' ? {} : { storage: makeFolder() }), embedder: 'hashing' })
    expect(await rag.ingest(documents)).toMatchObject({ documents: documents.length, failed: [] })
    for (const { id, title, metadata } of documents) {
      const found = []
      for await (const document of rag.documents({ filter: { $id: id, string: id } })) found.push(document)
      expect(found).toEqual([expect.objectContaining({ id, title })])
      expect(JSON.stringify(found[0]?.metadata)).toBe(JSON.stringify(metadata))
    }
    for (const id of strings) await asQuestion(rag, id)
    expect(await rag.remove({ documentId: [...strings] })).toBe(documents.length)
  },
)

/** Whatever the question, there is an answer or a reason. */
async function asQuestion(rag: UltraFastRAG, question: string): Promise<void> {
  const result = await rag.query(question).catch((error) => error)
  if (result instanceof Error) expect(RagError.isInstance(result, 'BAD_INPUT') && question.trim() === '').toBe(true)
  else expect(['answered', 'no-answer']).toContain(result.outcome)
}
