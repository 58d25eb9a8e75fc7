import { execFile } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { RagError, type UltraFastRAG } from '../../../src/index.js'
import { inSoak } from '../../lib/soak.js'
import { failing, inTime, makeFolder, open } from './support.js'

const storageOf = (kind: string) => (kind === 'memory' ? {} : { storage: makeFolder() })

async function collect(values: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of values);
}

/** How calls ended: `ok`, the codes of errors, or the errors that have none. */
const endings = (results: readonly PromiseSettledResult<unknown>[]) =>
  new Set(
    results.map((result) => {
      if (result.status === 'fulfilled') return 'ok'
      return RagError.isInstance(result.reason) ? result.reason.code : result.reason
    }),
  )

const allowed = (found: ReadonlySet<unknown>, ...codes: string[]) =>
  expect([...found].filter((ending) => !codes.includes(ending as string))).toEqual([])

describe.each(['memory', 'disk'])('with documents in %s', (kind) => {
  inSoak('shows one whole version, whatever happens to a document at once', async () => {
    const rag = open({ ...storageOf(kind), embedder: 'hashing' })
    const mixtures: string[][] = []
    const calls: Promise<unknown>[] = []
    const version = (i: number) => ({ id: 'same', text: `This is version v${i}. `.repeat(60) })
    const look = async () => {
      const hits = await rag.retrieve('version', { topK: 50 })
      const versions = new Set(hits.flatMap(({ chunk }) => chunk.text.match(/v\d+/g) ?? []))
      if (versions.size > 1) mixtures.push([...versions])
    }
    for (let i = 0; i < 250; i++) {
      calls.push(rag.ingestDocument(version(i)))
      if (i % 50 === 25) calls.push(rag.remove({ documentId: 'same' }))
      if (i % 3 === 0) calls.push(look())
    }
    await Promise.all(calls)
    expect(mixtures).toEqual([])
    const [hit] = await rag.retrieve('version')
    expect(hit?.chunk.text).toContain('v249')
    const { documents, chunks, indexes } = await rag.stats()
    expect(documents).toBe(1)
    expect([indexes.lexical.chunks, indexes.vector?.vectors]).toEqual([chunks, chunks])
  })

  inSoak('closes at any moment: calls end or are told so, and nothing is left behind', async () => {
    for (let round = 0; round < 8; round++) {
      const rag = open({ ...storageOf(kind), ...(round % 2 === 0 ? {} : { embedder: 'hashing' }) })
      const settled = Promise.allSettled(everything(rag))
      await new Promise((resolve) => setTimeout(resolve, round * 30))
      await inTime(Promise.all([rag.close(), rag.close()]))
      allowed(endings(await inTime(settled)), 'ok', 'CLOSED')
      await expect(rag.query('words')).rejects.toEqual(failing('CLOSED'))
    }
  })

  it('works on after aborts at any moment', async () => {
    const rag = open({ ...storageOf(kind), embedder: 'hashing' })
    const documents = (words: string) =>
      Array.from({ length: 10 }, (_, i) => ({ id: `${i}`, text: `${words} ${i}. `.repeat(50) }))
    for (let round = 0; round < 25; round++) {
      const stop = new AbortController()
      const { signal } = stop
      const calls = [
        rag.ingest(documents(`Round ${round}`), { signal }),
        rag.query('round', { signal }),
        rag.retrieve('round', { deadlineMs: round }),
        rag.reindex({ signal }),
        collect(rag.stream('round', { signal })),
      ]
      setTimeout(() => stop.abort('stopped'), round * 2)
      allowed(endings(await inTime(Promise.allSettled(calls))), 'ok', 'stopped', 'DEADLINE')
    }
    await rag.ingest(documents('Zebra'))
    const found = new Set((await rag.retrieve('zebra', { topK: 1000 })).map(({ chunk }) => chunk.documentId))
    expect(found.size).toBe(10)
    const { chunks, indexes } = await rag.stats()
    expect([indexes.lexical.chunks, indexes.vector?.vectors]).toEqual([chunks, chunks])
  })

  inSoak('serves many more namespaces than may be open', async () => {
    const rag = open({ ...storageOf(kind), limits: { maxOpenNamespaces: 2 }, maxWorkers: 1 })
    const calls = Array.from({ length: 200 }, async (_, i) => {
      const tenant = i % 40
      const namespace = rag.namespace(`tenant-${tenant}`)
      await new Promise((resolve) => setTimeout(resolve, (i * 7) % 60))
      await namespace.ingest([{ id: `${i}`, text: `Canary${tenant} sings.` }])
      const found = (await namespace.retrieve(`canary${tenant}`, { topK: 10 })).map(({ chunk }) => chunk.documentId)
      expect(found).toContain(`${i}`)
      expect(await namespace.retrieve(`canary${(tenant + 1) % 40}`)).toEqual([])
    })
    await inTime(Promise.all(calls), 25_000)
  })
})

function everything(rag: UltraFastRAG): Promise<unknown>[] {
  return Array.from({ length: 4 }, (_, k) => [
    rag.ingest(Array.from({ length: 15 }, (_, i) => ({ id: `${k}-${i}`, text: `Words ${k} ${i}. `.repeat(60) }))),
    rag.retrieve('words'),
    rag.query('words?'),
    collect(rag.stream('words?')),
    collect(rag.documents()),
    rag.remove({ documentId: `${k}-1` }),
    rag.namespace(`tenant-${k}`).ingest([{ id: 'a', text: 'More words.' }]),
    rag.reindex(),
    rag.stats(),
    rag.warmUp(),
  ]).flat()
}

inSoak('two instances on one folder agree while both ingest and remove', async () => {
  const storage = makeFolder()
  const [one, other] = [open({ storage }), open({ storage })]
  const some = (prefix: string) =>
    Array.from({ length: 60 }, (_, i) => ({ id: `${prefix}${i}`, text: `${prefix} fox ${i}.` }))
  await Promise.all([one.ingest(some('alpha')), other.ingest(some('beta'))])
  await Promise.all(
    some('alpha').flatMap(({ id }, i) => [
      (i % 2 === 0 ? one : other).remove({ documentId: id }),
      (i % 2 === 0 ? other : one).retrieve('alpha beta', { topK: 200 }),
    ]),
  )
  for (const rag of [one, other]) {
    expect(await rag.retrieve('alpha', { topK: 200 })).toEqual([])
    expect((await rag.retrieve('beta', { topK: 200 })).length).toBe(60)
  }
})

it('opens again after the store could not be opened, and tells every caller why', async () => {
  const storage = `${makeFolder()}/store`
  writeFileSync(storage, 'in the way')
  const rag = open({ storage, limits: { maxOpenNamespaces: 1 } })
  const calls = Array.from({ length: 20 }, (_, i) => rag.namespace(`n${i}`).retrieve('x'))
  allowed(endings(await Promise.allSettled(calls)), 'STORAGE')
  rmSync(storage)
  await rag.namespace('n1').ingest([{ id: 'a', text: 'A fox.' }])
  expect((await rag.namespace('n1').retrieve('fox')).length).toBe(1)
})

describe('the process', () => {
  const script = (body: string) => `
    const { UltraFastRAG } = await import(${JSON.stringify(new URL('../../../dist/index.js', import.meta.url).href)})
    const rag = new UltraFastRAG({ storage: ${JSON.stringify(makeFolder())}, embedder: 'hashing' })
    await rag.ingest([{ id: 'a', text: 'A fox.' }])
    ${body}`
  const run = (body: string) =>
    inTime(promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script(body)]), 15_000)

  it.each([
    ['after close()', 'await rag.query("fox"); await rag.close()'],
    ['without close()', 'await rag.query("fox")'],
    [
      'after deadlines and aborts',
      'await rag.query("fox", { deadlineMs: 600_000 }); await rag.query("fox", { signal: AbortSignal.abort() }).catch(() => {})',
    ],
    [
      'with a stream that nobody reads to its end',
      'for await (const event of rag.stream("fox")) if (event.type === "sources") break',
    ],
    ['with a stream that nobody ends', 'await rag.stream("fox", { deadlineMs: 600_000 }).next()'],
  ])('ends by itself %s, saying nothing', async (_, body) => {
    expect(await run(body)).toEqual({ stdout: '', stderr: '' })
  })
})
