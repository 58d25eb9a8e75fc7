import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { IngestReport } from '../../../src/index.js'
import { everything, inSoak } from '../../lib/soak.js'
import { failing, inTime, makeFolder, open } from './support.js'

const onPosix = process.platform !== 'win32'
const codesOf = ({ failed }: IngestReport) =>
  Object.fromEntries(failed.map(({ source, error }) => [source, error.code]))

describe('files that are none', () => {
  it.runIf(onPosix)('are told apart and never waited for, whichever way they are named', async () => {
    const root = makeFolder()
    execFileSync('mkfifo', [join(root, 'pipe')])
    symlinkSync('/dev/zero', join(root, 'endless'))
    mkdirSync(join(root, 'folder'))
    const rag = open({ root })
    const names = ['pipe', 'endless', '/dev/zero']
    const report = await inTime(rag.ingest([...names, ...names.map((path) => ({ path })), { path: 'folder' }]))
    expect(report.failed.map(({ error }) => error.code)).toEqual(Array(7).fill('UNSUPPORTED'))
    await inTime(rag.close())
  })

  it.runIf(onPosix)('are noticed also when they took the place of a file a moment ago', async () => {
    const root = makeFolder()
    const path = join(root, 'a.txt')
    writeFileSync(path, 'A fox.')
    const rag = open({ root })
    // A file is looked at before the input after it is asked for, and read by a thread that has yet to start.
    const swapped = async function* () {
      yield { path }
      rmSync(path)
      execFileSync('mkfifo', [path])
    }
    const report = await inTime(rag.ingest(swapped()))
    expect(report.failed.map(({ error }) => error.code)).toEqual(['UNSUPPORTED'])
    await inTime(rag.close())
  })

  it.runIf(onPosix)('links that lead in circles end the walk, not the process', async () => {
    const root = makeFolder()
    writeFileSync(join(root, 'a.txt'), 'A fox.')
    symlinkSync('.', join(root, 'self'))
    symlinkSync('loop', join(root, 'loop'))
    const report = await inTime(open({ root }).ingest(['.']))
    expect(report.documents).toBe(1)
    expect(codesOf(report)).toEqual({ loop: 'STORAGE' })
  })
})

describe('files in an unusual state', () => {
  it('fail by name: missing, empty, blank, binary, of unknown kind', async () => {
    const root = makeFolder()
    writeFileSync(join(root, 'empty.txt'), '')
    writeFileSync(join(root, 'blank.txt'), ' \n\t')
    writeFileSync(join(root, 'sparse.txt'), '')
    // It is hashed as a whole, on a machine that may be busy.
    truncateSync(join(root, 'sparse.txt'), everything ? 2 ** 30 : 2 ** 27)
    const report = await inTime(
      open({ root }).ingest(['.', 'missing.txt', 'file\0name', 'https://example.org/a.txt']),
      28_000,
    )
    expect(codesOf(report)).toEqual({
      'empty.txt': 'EMPTY',
      'blank.txt': 'EMPTY',
      'sparse.txt': 'UNSUPPORTED',
      'missing.txt': 'NOT_FOUND',
      'file\0name': 'NOT_FOUND',
      'https://example.org/a.txt': 'UNSUPPORTED',
    })
  })

  inSoak(
    'that change and vanish while they are read fail or are stored; the last state is found in the end',
    async () => {
      const root = makeFolder()
      const path = join(root, 'a.txt')
      const rag = open({ root })
      let goesOn = true
      const restless = (async () => {
        for (let round = 0; goesOn; round++) {
          if (round % 5 === 4) rmSync(path, { force: true })
          else writeFileSync(path, `word ${round} `.repeat(20_000 * (round % 4)))
          await new Promise((resolve) => setTimeout(resolve, 2))
        }
      })()
      for (let round = 0; round < 15; round++) {
        const { failed } = await inTime(rag.ingest(['a.txt']))
        for (const { error } of failed) expect(['NOT_FOUND', 'EMPTY', 'STORAGE']).toContain(error.code)
      }
      goesOn = false
      await restless
      writeFileSync(path, 'At last a zebra.')
      await rag.ingest(['a.txt'])
      expect((await rag.retrieve('zebra')).length).toBe(1)
      expect(await rag.retrieve('word')).toEqual([])
    },
  )

  it('of the store are not taken for documents', async () => {
    const root = makeFolder()
    writeFileSync(join(root, 'a.txt'), 'A fox.')
    const first = open({ root, storage: join(root, 'knowledge') })
    await first.ingest(['.'])
    await first.close()
    const rag = open({ root, storage: join(root, 'knowledge') })
    expect(await rag.ingest(['.', '**/*'])).toMatchObject({ failed: [] })
    const ids: string[] = []
    for await (const { id } of rag.documents()) ids.push(id)
    expect(ids).toEqual(['a.txt'])
  })

  it('are known by their path in the root, also when their name begins with two dots', async () => {
    const root = makeFolder()
    writeFileSync(join(root, '..notes.txt'), 'A fox.')
    const rag = open({ root })
    await rag.ingest(['..notes.txt'])
    expect((await rag.retrieve('fox'))[0]?.chunk.documentId).toBe('..notes.txt')
  })

  it('hold the program itself as well as any other text', async () => {
    const root = makeFolder()
    copyFileSync(new URL(import.meta.url), join(root, 'self.ts'))
    const rag = open({ root })
    expect(await rag.ingest(['self.ts'])).toMatchObject({ documents: 1, failed: [] })
    expect((await rag.retrieve('program itself'))[0]?.chunk.documentId).toBe('self.ts')
  })
})

describe('a storage folder', () => {
  it('whose path is a file, or lies below one, is refused; close() is safe', async () => {
    const file = join(makeFolder(), 'file')
    writeFileSync(file, 'x')
    for (const storage of [file, join(file, 'below')]) {
      const rag = open({ storage })
      const calls = [rag.ingest([{ text: 'x' }]), rag.query('x'), rag.namespace('a').query('x'), rag.stats()]
      for (const result of await Promise.allSettled(calls)) {
        expect(result).toEqual({ status: 'rejected', reason: failing('STORAGE') })
      }
      await inTime(rag.close())
    }
  })

  it('answers without its indexes when those cannot be read, and tells the logger', async () => {
    const storage = makeFolder()
    const first = open({ storage })
    await first.ingest([{ id: 'a', text: 'A fox.' }])
    await first.close()
    const manifest = join(storage, 'indexes', '@root', 'manifest')
    rmSync(manifest)
    mkdirSync(manifest)
    const warnings: string[] = []
    const warn = (message: string) => warnings.push(message)
    const rag = open({ storage, logger: { debug() {}, info() {}, warn, error: warn } })
    expect((await rag.retrieve('fox')).length).toBe(1)
    expect(warnings.length).toBe(1)
    expect(await rag.ingest([{ id: 'b', text: 'A fox again.' }])).toMatchObject({ documents: 1 })
    expect((await rag.retrieve('fox')).length).toBe(2)
  })

  it('keeps the indexes of every namespace below its own folder', async () => {
    const storage = join(makeFolder(), 'store')
    const names = ['.', '..', '...', 'a.', 'A'.repeat(128), 'a'.repeat(128), 'Tenant', 'tenant']
    const warnings: unknown[] = []
    const warn = (message: string) => warnings.push(message)
    const logger = { debug() {}, info() {}, warn, error: warn }
    const first = open({ storage, logger })
    for (const name of names) await first.namespace(name).ingest([{ id: 'a', text: `A fox of ${name}.` }])
    await first.close()
    expect(readdirSync(join(storage, 'indexes'), { withFileTypes: true }).map((entry) => entry.isDirectory())).toEqual(
      names.map(() => true),
    )
    expect(readdirSync(storage).filter((name) => !/^(indexes|store\.mdb.*|maintainer-\d+\.lock)$/.test(name))).toEqual(
      [],
    )
    const again = open({ storage, logger })
    for (const name of names) {
      expect((await again.namespace(name).retrieve('fox')).map(({ chunk }) => chunk.text)).toEqual([
        `A fox of ${name}.`,
      ])
    }
    expect(warnings).toEqual([])
  })
})
