import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Worker } from 'node:worker_threads'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import type { RagErrorCode } from '../../../src/core/errors.js'
import { encodePiece } from '../../../src/core/piece.js'
import { getBytes, openEnvironment, transact } from '../../../src/lmdb/environment.js'
import { type LmdbStoreOptions, openLmdbStore } from '../../../src/store/lmdb.js'
import { keys, rows } from '../../../src/store/lmdb-layout.js'
import { execute, type TransactionContext } from '../../../src/store/lmdb-transactions.js'
import { acquireMaintenanceLock } from '../../../src/store/maintenance-lock.js'
import type { NewDocument, Store } from '../../../src/store/types.js'
import { assertWhole, put, sampleDocument } from '../../../src/testing/store-suite.js'
import { checkContents, eventually, killCampaign, leftovers, runChild } from '../../campaigns/store-campaign.js'
import { inSoak } from '../../lib/soak.js'

const root = mkdtempSync(join(tmpdir(), 'ufrag-lmdb-'))
const opened: Store[] = []
let folders = 0

afterEach(async () => {
  for (const store of opened.splice(0)) await store.close()
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

function newFolder(): string {
  return join(root, `${folders++}`)
}

async function open(options: LmdbStoreOptions): Promise<Store> {
  const store = await openLmdbStore(options)
  opened.push(store)
  return store
}

function code(expected: RagErrorCode) {
  return expect.objectContaining({ name: 'RagError', code: expected, hint: expect.any(String) })
}

describe('a store that cannot be opened', () => {
  it('says so when a file is in the place of the folder', async () => {
    const file = newFolder()
    writeFileSync(file, 'x')
    await expect(open({ directory: file })).rejects.toEqual(code('STORAGE'))
    await expect(open({ directory: join(file, 'below') })).rejects.toEqual(code('STORAGE'))
  })

  it('says so when there is nothing to read', async () => {
    const directory = newFolder()
    await expect(open({ directory, readOnly: true })).rejects.toEqual(code('STORAGE'))
    expect(existsSync(directory)).toBe(false)
    mkdirSync(directory)
    await expect(open({ directory, readOnly: true })).rejects.toEqual(code('STORAGE'))
  })

  it.each([
    ['text', Buffer.from('not a store')],
    ['a page of text', Buffer.alloc(20_000, 'A')],
    ['zeros', Buffer.alloc(20_000)],
  ])('is CORRUPT when its file holds %s, which would otherwise end the process', async (_what, bytes) => {
    const directory = newFolder()
    mkdirSync(directory)
    writeFileSync(join(directory, 'store.mdb'), bytes)
    await expect(open({ directory })).rejects.toEqual(code('CORRUPT'))
    expect(readFileSync(join(directory, 'store.mdb'))).toEqual(bytes)
  })

  inSoak(
    'is CORRUPT at every length its file may have been cut off at, or reads without ending the process',
    async () => {
      const directory = newFolder()
      const store = await openLmdbStore({ directory })
      const sample = sampleDocument('a', { seed: 1, pieces: 12, chunksPerPiece: 20, chunkSize: 1000 })
      await put(store.namespace(''), sample)
      await store.close()
      const whole = readFileSync(join(directory, 'store.mdb'))
      const script = `
      import { openLmdbStore } from ${source('store/lmdb.ts')}
      import { truncateSync } from 'node:fs'
      import { RagError } from ${source('core/errors.ts')}
      import { writeFileSync, readFileSync } from 'node:fs'
      const [directory, readOnly] = process.argv.slice(2)
      const file = directory + '/store.mdb'
      const whole = readFileSync(file)
      const outcomes = new Set()
      for (let size = whole.length - 1; size > 0; size -= 3001) {
        writeFileSync(file, whole.subarray(0, size))
        try {
          const store = await openLmdbStore({ directory, readOnly: readOnly === 'true' })
          try {
            for (const record of store.namespace('').list()) for (const piece of store.namespace('').pieces(record)) void piece
            outcomes.add('read')
          } finally { await store.close() }
        } catch (error) { outcomes.add(RagError.isInstance(error) ? error.code : String(error)) }
      }
      console.log(JSON.stringify([...outcomes]))`
      for (const readOnly of [true, false]) {
        writeFileSync(join(directory, 'store.mdb'), whole)
        const outcomes = JSON.parse(runScript(script, [directory, String(readOnly)])) as string[]
        for (const outcome of outcomes) expect(['CORRUPT', 'INTEGRITY', 'NOT_FOUND', 'read']).toContain(outcome)
        expect(outcomes).toContain('CORRUPT')
      }
    },
  )

  it('is UNSUPPORTED_VERSION when a newer version wrote it, and is left as it was', async () => {
    const directory = newFolder()
    await (await openLmdbStore({ directory })).close()
    const environment = await openEnvironment({ directory, readOnly: false, mapSize: 2 ** 30 })
    transact(environment, () => environment.putSync(keys.format, rows.encode({ version: 2, id: 'x' })))
    await environment.close()
    const before = readFileSync(join(directory, 'store.mdb'))
    await expect(open({ directory })).rejects.toEqual(code('UNSUPPORTED_VERSION'))
    await expect(open({ directory, readOnly: true })).rejects.toEqual(code('UNSUPPORTED_VERSION'))
    expect(readFileSync(join(directory, 'store.mdb'))).toEqual(before)
  })

  it('is CORRUPT when the environment belongs to somebody else', async () => {
    const directory = newFolder()
    mkdirSync(directory)
    const environment = await openEnvironment({ directory, readOnly: false, mapSize: 2 ** 30 })
    transact(environment, () => environment.putSync(keys.namespace('theirs'), new Uint8Array(3)))
    await environment.close()
    await expect(open({ directory })).rejects.toEqual(code('CORRUPT'))
  })

  it.skipIf(process.getuid?.() !== 0)(
    'says so when this user may not write the folder, which can still be read (needs root to try)',
    async () => {
      const directory = newFolder()
      const store = await openLmdbStore({ directory })
      await put(store.namespace(''), sampleDocument('a', { seed: 1 }))
      await store.close()
      execFileSync('chmod', ['-R', 'a-w', directory])
      execFileSync('chmod', ['a+rx', root, directory])
      const script = `
      import { openLmdbStore } from ${source('store/lmdb.ts')}
      const directory = process.argv[2]
      await (await openLmdbStore({ directory: process.argv[3] })).close()
      process.setuid(65534)
      const outcomes = []
      for (const options of [{ directory }, { directory: directory + '/new' }, { directory, readOnly: true }]) {
        await openLmdbStore(options).then(async (store) => { outcomes.push(store.namespace('').epoch()); await store.close() }, (error) => outcomes.push(error.code))
      }
      console.log(JSON.stringify(outcomes))`
      expect(JSON.parse(runScript(script, [directory, newFolder()]))).toEqual(['STORAGE', 'STORAGE', 1])
    },
  )
})

describe('a store opened read-only', () => {
  it('reads, sees what others commit, and writes nothing', async () => {
    const directory = newFolder()
    const writable = await open({ directory })
    await put(writable.namespace(''), sampleDocument('a', { seed: 1 }))
    const store = await open({ directory, readOnly: true })
    expect(store.id).toBe(writable.id)
    expect(store.capabilities).toEqual({ persistent: true, shared: true, readOnly: true })
    expect(store.namespace('').epoch()).toBe(1)
    await put(writable.namespace(''), sampleDocument('b', { seed: 2 }))
    expect(store.namespace('').epoch()).toBe(2)
    expect(() => store.namespace('').begin('c')).toThrow(code('READ_ONLY'))
    await expect(store.namespace('').remove(['a'])).rejects.toEqual(code('READ_ONLY'))
    expect(await store.acquireMaintenance()).toBeUndefined()
  })

  it.skipIf(!canMount())(
    'works on a read-only file system, where writing says READ_ONLY (needs the right to mount)',
    async () => {
      const directory = newFolder()
      const store = await openLmdbStore({ directory })
      await put(store.namespace(''), sampleDocument('a', { seed: 1 }))
      await store.close()
      execFileSync('mount', ['--bind', directory, directory])
      try {
        execFileSync('mount', ['-o', 'remount,bind,ro', directory])
        const reader = await openLmdbStore({ directory, readOnly: true })
        expect(reader.namespace('').get('a')?.id).toBe('a')
        await reader.close()
        await expect(open({ directory })).rejects.toEqual(code('READ_ONLY'))
      } finally {
        // Lazily: the library keeps a file open that it opened without a lock file.
        execFileSync('umount', ['-l', directory])
      }
    },
  )
})

describe('what is written', () => {
  it('is flushed to disk before a commit is acknowledged', async (context) => {
    if (spawnSync('strace', ['-V']).error !== undefined) context.skip('strace is not installed')
    const trace = join(root, 'trace')
    const script = `
      import { openLmdbStore } from ${source('store/lmdb.ts')}
      import { put, sampleDocument } from ${source('testing/store-suite.ts')}
      import { writeSync } from 'node:fs'
      const store = await openLmdbStore({ directory: process.argv[2] })
      writeSync(1, 'MARK ready\\n')
      for (let seed = 0; seed < 20; seed++) {
        await put(store.namespace(''), sampleDocument('d' + seed, { seed }))
        writeSync(1, 'MARK acknowledged\\n')
      }
      await store.close()`
    const file = scriptFile(script)
    const traced = ['-f', '-o', trace, '-e', 'trace=write,pwrite64,pwritev,fdatasync,fsync,msync,openat', '-s', '40']
    execFileSync('strace', [...traced, process.execPath, '--import', 'tsx', file, newFolder()], { stdio: 'pipe' })

    let data = 0
    let flushes = 0
    let acknowledged = 0
    const [, ...steps] = readFileSync(trace, 'utf8').split(/MARK (?:ready|acknowledged)/)
    for (const step of steps.slice(0, -1)) {
      data += /pwrite/.test(step) ? 1 : 0
      flushes += /(?:fdatasync|fsync|msync)\(.*|(?:fdatasync|fsync|msync) resumed/.test(step) ? 1 : 0
      acknowledged++
    }
    expect({ acknowledged, data, flushes }).toEqual({ acknowledged: 20, data: 20, flushes: 20 })
  })

  it('survives kills at random moments: all that was acknowledged, and nothing half', async () => {
    const { acknowledged } = await killCampaign({ directory: newFolder(), seed: 3, kills: 2 })
    expect(acknowledged).toBeGreaterThan(20)
  }, 120_000)

  it('is not lost or doubled when two processes write other documents and the same ones', async () => {
    const directory = newFolder()
    const known = new Map<string, number>()
    const common = { directory, documents: 12, operations: 60, lanes: 3 }
    const lastOfShared = new Map<string, Set<number>>()
    await Promise.all([
      ...[1, 2].map((seed) =>
        runChild({ ...common, seed, prefix: `own${seed}-` }, ({ stage, id, seed: version }) => {
          if (stage === 'acknowledged') known.set(id, version)
        }),
      ),
      ...[3, 4].map((seed) =>
        runChild({ ...common, seed, prefix: 'shared' }, ({ stage, id, seed: version }) => {
          if (stage === 'acknowledged') lastOfShared.set(id, (lastOfShared.get(id) ?? new Set()).add(version))
        }),
      ),
    ])
    const store = await open({ directory, retireMs: 0 })
    const namespace = store.namespace('')
    for (const [id, versions] of lastOfShared) {
      const hash = namespace.get(id)?.contentHash
      const seed = [...versions].find((version) => hash === (version === 0 ? undefined : `hash-${version}`))
      expect(seed, `${id} is at no version that was acknowledged`).toBeDefined()
      known.set(id, seed ?? 0)
    }
    checkContents(namespace, known)
    await eventually(async () => expect(await leftovers(directory)).toEqual({ journals: 0, retired: 0, strays: 0 }))
  })

  it('is seen by another process at once', async () => {
    const directory = newFolder()
    const store = await open({ directory })
    const namespace = store.namespace('')
    let puts = 0
    await runChild({ directory, seed: 1, prefix: 'd', documents: 3, operations: 60, lanes: 1 }, ({ stage, seed }) => {
      if (stage === 'acknowledged' && seed !== 0) puts++
      // The child goes on meanwhile, so the epoch may be ahead; it is never behind.
      expect(namespace.epoch()).toBeGreaterThanOrEqual(puts)
    })
    expect(puts).toBeGreaterThan(30)
    expect(namespace.changes(0)?.epoch).toBe(namespace.epoch())
  })

  it('fails with STORAGE_FULL on a full disk, keeps what was there, and goes on when there is space', async (context) => {
    if (!canMount()) context.skip('needs the right to mount a small file system')
    const directory = newFolder()
    mkdirSync(directory)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', directory])
    try {
      const store = await openLmdbStore({ directory, retireMs: 0 })
      const namespace = store.namespace('')
      const kept = sampleDocument('kept', { seed: 1, pieces: 20, chunksPerPiece: 20, chunkSize: 1500 })
      const { record } = await put(namespace, kept)
      const ballast = join(directory, 'ballast')
      writeFileSync(ballast, Buffer.alloc(10 << 20))

      const large = sampleDocument('large', { seed: 2, pieces: 500, chunksPerPiece: 20, chunkSize: 1500 })
      await expect(put(namespace, large)).rejects.toEqual(
        expect.objectContaining({ code: 'STORAGE_FULL', retryable: true }),
      )
      const small = await Promise.allSettled(
        Array.from({ length: 200 }, (_, seed) =>
          put(
            namespace,
            sampleDocument(`s${seed}`, { seed: 100 + seed, pieces: 3, chunksPerPiece: 20, chunkSize: 1500 }),
          ),
        ),
      )
      for (const result of small) {
        if (result.status === 'rejected') expect(result.reason).toEqual(code('STORAGE_FULL'))
      }
      expect(small.some(({ status }) => status === 'rejected')).toBe(true)
      assertWhole(namespace, record, kept)
      expect(namespace.get('large')).toBeUndefined()

      rmSync(ballast)
      const after = sampleDocument('after', { seed: 3, pieces: 20, chunksPerPiece: 20, chunkSize: 1500 })
      const { record: written } = await put(namespace, after)
      assertWhole(namespace, written, after)
      await store.close()
      const again = await openLmdbStore({ directory })
      assertWhole(again.namespace(''), record, kept)
      assertWhole(again.namespace(''), written, after)
      await again.close()
    } finally {
      execFileSync('umount', [directory])
    }
  })

  it('takes documents in place of those that were removed, on a disk that stays full', async (context) => {
    if (!canMount()) context.skip('needs the right to mount a small file system')
    const directory = newFolder()
    mkdirSync(directory)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', directory])
    const of = (id: string, seed: number) =>
      sampleDocument(id, { seed, pieces: 10, chunksPerPiece: 20, chunkSize: 1500 })
    try {
      const store = await openLmdbStore({ directory, retireMs: 0 })
      const namespace = store.namespace('')
      const ids: string[] = []
      await expect(async () => {
        for (let seed = 1; ; seed++) {
          await put(namespace, of(`d${seed}`, seed))
          ids.push(`d${seed}`)
        }
      }).rejects.toEqual(code('STORAGE_FULL'))
      writeFileSync(
        join(directory, 'ballast'),
        Buffer.alloc(statfsSync(directory).bavail * statfsSync(directory).bsize),
      )

      expect(await namespace.remove(ids)).toBe(ids.length)
      await eventually(async () => expect((await leftovers(directory)).retired).toBe(0))
      const { record } = await put(namespace, of('after', 1000))
      assertWhole(namespace, record, of('after', 1000))
      await store.close()
    } finally {
      execFileSync('umount', [directory])
    }
  })

  it('rejects with WORKER when the writing thread dies, and the next write starts another', async () => {
    const threads: Worker[] = []
    const remember = (worker: Worker) => threads.push(worker)
    process.on('worker', remember)
    try {
      const directory = newFolder()
      const store = await open({ directory, retireMs: 0 })
      const namespace = store.namespace('')
      await put(namespace, sampleDocument('a', { seed: 1 }))
      const large = sampleDocument('large', { seed: 2, pieces: 120, chunksPerPiece: 20, chunkSize: 1500 })
      const writer = namespace.begin('large')
      for (const { piece } of large.pieces.slice(0, 100)) await writer.write(encodePiece(piece), piece.chunks.length)
      // Between two transactions: inside one, the library could not end the thread.
      await eventually(async () => expect((await leftovers(directory)).journals).toBe(1))
      await new Promise((resolve) => setTimeout(resolve, 300))
      const ended = threads.at(-1)?.terminate()
      threads.at(-1)?.emit('error', new Error('Out of memory.'))
      await expect(writer.commit(large.document)).rejects.toEqual(code('WORKER'))
      await ended
      await writer.abort()
      expect(namespace.get('large')).toBeUndefined()

      const { record } = await put(namespace, large)
      assertWhole(namespace, record, large)
      expect(threads.length).toBe(2)
      await eventually(async () => expect(await leftovers(directory)).toEqual({ journals: 0, retired: 0, strays: 0 }))
    } finally {
      process.off('worker', remember)
    }
  })

  it('reports a document that cannot travel to the writing thread, and goes on', async () => {
    const store = await open({ directory: newFolder() })
    const namespace = store.namespace('')
    const sample = sampleDocument('a', { seed: 1 })
    const odd = { ...sample.document, metadata: { call: () => 1 } } as unknown as NewDocument
    await expect(put(namespace, { ...sample, document: odd })).rejects.toThrow(/could not be cloned/)
    await put(namespace, sample)
  })
})

describe('versions that nobody needs', () => {
  inSoak('are deleted after their time, and their space is used again', async () => {
    const directory = newFolder()
    const store = await open({ directory, retireMs: 0 })
    const namespace = store.namespace('')
    const write = (seed: number) =>
      put(namespace, sampleDocument('a', { seed, pieces: 40, chunksPerPiece: 20, chunkSize: 1500 }))
    let sizeAfterFive = 0
    for (let seed = 1; seed <= 20; seed++) {
      await write(seed)
      await eventually(async () => expect(await leftovers(directory)).toEqual({ journals: 0, retired: 0, strays: 0 }))
      if (seed === 5) sizeAfterFive = statSync(join(directory, 'store.mdb')).size
    }
    expect(statSync(join(directory, 'store.mdb')).size).toBeLessThan(1.3 * sizeAfterFive)
  })

  it('stay readable until then, and are NOT_FOUND, not empty, afterwards', async () => {
    const directory = newFolder()
    const store = await open({ directory, retireMs: 1500 })
    const namespace = store.namespace('')
    const { record } = await put(namespace, sampleDocument('a', { seed: 1, pieces: 3, dimensions: 2 }))
    await put(namespace, sampleDocument('a', { seed: 2 }))
    expect([...namespace.pieces(record)]).toHaveLength(3)
    await eventually(async () => expect((await leftovers(directory)).retired).toBe(0))
    expect(() => [...namespace.pieces(record)]).toThrow(code('NOT_FOUND'))
    expect(() => [...namespace.vectors(record)]).toThrow(code('NOT_FOUND'))
  })

  it('include what was being written when the store was closed or the version aborted', async () => {
    const directory = newFolder()
    const store = await openLmdbStore({ directory, retireMs: 0 })
    const { pieces } = sampleDocument('a', { seed: 1, pieces: 100, chunksPerPiece: 20, chunkSize: 1500 })
    const abandoned = store.namespace('').begin('a')
    const aborted = store.namespace('').begin('b')
    for (const { piece } of pieces) {
      await abandoned.write(encodePiece(piece), piece.chunks.length)
      await aborted.write(encodePiece(piece), piece.chunks.length)
    }
    await aborted.abort()
    expect((await leftovers(directory)).journals).toBe(1)
    await store.close()
    expect((await leftovers(directory)).journals).toBe(0)
    await open({ directory, retireMs: 0 })
    await eventually(async () => expect(await leftovers(directory)).toEqual({ journals: 0, retired: 0, strays: 0 }))
  })

  it('include what a process wrote whose pid is used again, and not what a living one writes', async () => {
    const directory = newFolder()
    await (await openLmdbStore({ directory })).close()
    const environment = await openEnvironment({ directory, readOnly: false, mapSize: 2 ** 30 })
    const claim = { documentId: 'a', namespace: '', session: 'theirs', startedAt: 0 }
    const own = readFileSync('/proc/self/stat', 'latin1')
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
    const start = own.slice(own.lastIndexOf(')') + 2).split(' ')[19]
    transact(environment, () => {
      for (const [generation, processStart] of [
        [900, 'another boot:1'],
        [901, `${boot}:${start}`],
      ] as const) {
        environment.putSync(keys.journal(generation), rows.encode({ ...claim, pid: process.pid, processStart }))
        environment.putSync(keys.piece(generation, 0), new Uint8Array(10))
      }
    })
    await environment.close()
    await open({ directory, retireMs: 0 })
    await eventually(async () => expect(await leftovers(directory)).toEqual({ journals: 1, retired: 0, strays: 0 }))
    const again = await openEnvironment({ directory, readOnly: true, mapSize: 2 ** 30 })
    expect(getBytes(again, keys.piece(900, 0))).toBeUndefined()
    expect(getBytes(again, keys.piece(901, 0))).toBeDefined()
    await again.close()
  })
})

describe('a store that was damaged on disk', () => {
  it('tells with INTEGRITY which document is affected', async () => {
    const directory = newFolder()
    const store = await openLmdbStore({ directory })
    const { record } = await put(store.namespace(''), sampleDocument('a', { seed: 1, pieces: 2, dimensions: 3 }))
    await store.close()
    const environment = await openEnvironment({ directory, readOnly: false, mapSize: 2 ** 30 })
    transact(environment, () => {
      for (const key of [keys.piece(record.generation, 1), keys.vectors(record.generation, 0)]) {
        const bytes = getBytes(environment, key) as Uint8Array
        bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) ^ 1
        environment.putSync(key, bytes)
      }
    })
    await environment.close()
    const again = await open({ directory })
    const namespace = again.namespace('')
    expect(namespace.chunks([record.base])[0]?.ordinal).toBe(0)
    expect(() => namespace.chunks([record.base + record.chunks - 1])).toThrow(code('INTEGRITY'))
    expect(() => [...namespace.pieces(record)]).toThrow(code('INTEGRITY'))
    expect(() => [...namespace.vectors(record)]).toThrow(code('INTEGRITY'))
  })
})

describe('the log', () => {
  it('forgets old removals, and says so to readers that need them', async () => {
    const directory = newFolder()
    mkdirSync(directory)
    const environment = await openEnvironment({ directory, readOnly: false, mapSize: 2 ** 30 })
    const context: TransactionContext = {
      environment,
      reserve: () => undefined,
      session: 's',
      endedSessions: [],
      maxRemovals: 10,
      now: Date.now,
    }
    transact(environment, () => environment.putSync(keys.format, rows.encode({ version: 1, id: '0'.repeat(32) })))
    const { document, pieces } = sampleDocument('a', { seed: 1 })
    for (let step = 0; step < 30; step++) {
      const bytes = encodePiece((pieces[0] as (typeof pieces)[number]).piece)
      transact(environment, () =>
        execute(context, {
          kind: 'commit',
          version: { namespace: '', documentId: 'a', generation: undefined },
          content: { place: 0, pieces: [{ bytes, vectors: undefined }] },
          directory: Float64Array.of(0, 0, 0, -1),
          chunks: 2,
          document: { ...document, contentHash: `hash-${step}` },
        }),
      )
    }
    await environment.close()

    const namespace = (await open({ directory })).namespace('')
    const answered = Array.from({ length: 31 }, (_, since) => namespace.changes(since) !== undefined)
    const first = answered.indexOf(true, 1)
    expect(answered[0]).toBe(true)
    expect(first).toBeGreaterThan(15)
    expect(first).toBeLessThan(23)
    expect(answered.slice(first).every(Boolean)).toBe(true)
    expect(namespace.changes(first)?.removed).toEqual([[2 * (first - 1), 2 * first]])
  })
})

describe('a process', () => {
  inSoak('ends although it never closed its store, and when it exits in the middle of writing', () => {
    const script = `
      import { openLmdbStore } from ${source('store/lmdb.ts')}
      import { put, sampleDocument } from ${source('testing/store-suite.ts')}
      const [directory, how] = process.argv.slice(2)
      const namespace = (await openLmdbStore({ directory })).namespace('')
      await put(namespace, sampleDocument('a', { seed: 1 }))
      if (how === 'exit') {
        for (let seed = 0; seed < 50; seed++) void put(namespace, sampleDocument('b' + seed, { seed, pieces: 30, chunksPerPiece: 20, chunkSize: 1000 })).catch(() => {})
        setTimeout(() => process.exit(0), 40)
      } else console.log('done')`
    expect(runScript(script, [newFolder(), 'return'])).toBe('done\n')
    for (let run = 0; run < 4; run++) runScript(script, [newFolder(), 'exit'])
  })

  it('has its close() settle in a process that does nothing else', () => {
    const script = `
      import { openLmdbStore } from ${source('store/lmdb.ts')}
      import { put, sampleDocument } from ${source('testing/store-suite.ts')}
      const store = await openLmdbStore({ directory: process.argv[2] })
      await put(store.namespace(''), sampleDocument('a', { seed: 1 }))
      await store.close()
      console.log('closed')`
    expect(runScript(script, [newFolder()])).toBe('closed\n')
  })

  inSoak(
    'stores a document of 160 MB within 512 MB, and killed half-way leaves the earlier version whole',
    async () => {
      const directory = newFolder()
      const earlier = sampleDocument('big', { seed: 1, pieces: 3 })
      const store = await openLmdbStore({ directory })
      const { record } = await put(store.namespace(''), earlier)
      await store.close()
      const script = `
      import { openLmdbStore } from ${source('store/lmdb.ts')}
      import { sampleDocument } from ${source('testing/store-suite.ts')}
      import { encodePiece } from ${source('core/piece.ts')}
      import { readFileSync } from 'node:fs'
      const [directory, until] = process.argv.slice(2)
      const store = await openLmdbStore({ directory })
      const writer = store.namespace('').begin('big')
      const { document, pieces: [{ piece }] } = sampleDocument('big', { seed: 2, chunksPerPiece: 80, chunkSize: 400 })
      for (let place = 0; place < 5000; place++) {
        const shift = place * piece.text.length
        const chunks = piece.chunks.map((chunk) => ({ ...chunk, span: { start: chunk.span.start + shift, end: chunk.span.end + shift } }))
        await writer.write(encodePiece({ ...piece, firstOrdinal: place * 80, start: shift, chunks }), 80)
        if (place === Number(until)) process.kill(process.pid, 'SIGKILL')
      }
      const { record } = await writer.commit(document)
      const peak = Number(/VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'latin1'))[1]) / 1024
      console.log(JSON.stringify({ chunks: record.chunks, peak, last: store.namespace('').chunks([record.base + 399_999])[0].ordinal }))
      await store.close()`
      const file = scriptFile(script)
      expect(spawnSync(process.execPath, ['--import', 'tsx', file, directory, '2500']).signal).toBe('SIGKILL')
      const between = await openLmdbStore({ directory, retireMs: 0 })
      assertWhole(between.namespace(''), record, earlier)
      await eventually(async () => expect(await leftovers(directory)).toEqual({ journals: 0, retired: 0, strays: 0 }))
      await between.close()
      const { chunks, peak, last } = JSON.parse(runScript(script, [directory, '-1']))
      expect({ chunks, last }).toEqual({ chunks: 400_000, last: 399_999 })
      expect(peak).toBeLessThan(512)
    },
    120_000,
  )
})

describe('the maintenance lock', () => {
  it('is taken over from a dead process, by one only', async () => {
    const directory = newFolder()
    mkdirSync(directory)
    for (let round = 1; round <= 20; round++) {
      const file = join(directory, `maintainer-${round * 100}.lock`)
      writeFileSync(file, '{"pid":1,"processStart":"another boot:1"}')
      const attempts = await Promise.all(Array.from({ length: 8 }, () => acquireMaintenanceLock(directory)))
      const [release, ...others] = attempts.filter((attempt) => attempt !== undefined)
      expect(others).toEqual([])
      expect(await acquireMaintenanceLock(directory)).toBeUndefined()
      await release?.()
      expect(existsSync(file)).toBe(false)
    }
  })

  it('is held by one of several processes', async () => {
    const directory = newFolder()
    await (await openLmdbStore({ directory })).close()
    const script = scriptFile(`
      import { acquireMaintenanceLock } from ${source('store/maintenance-lock.ts')}
      let acquired = 0
      for (let attempt = 0; attempt < 200; attempt++) if (await acquireMaintenanceLock(process.argv[2])) acquired++
      process.stdout.write(String(acquired))
      process.stdin.once('data', () => process.exit(0))`)
    const children = Array.from({ length: 3 }, () => spawn(process.execPath, ['--import', 'tsx', script, directory]))
    const counts = await Promise.all(children.map(async (child) => Number((await once(child.stdout, 'data'))[0])))
    for (const child of children) child.stdin.write('end')
    expect(counts.sort()).toEqual([0, 0, 1])
  })

  it('is released by close(), and not by releasing it twice', async () => {
    const directory = newFolder()
    const first = await openLmdbStore({ directory })
    expect(await first.acquireMaintenance()).toBeDefined()
    const second = await open({ directory })
    expect(await second.acquireMaintenance()).toBeUndefined()
    await first.close()
    expect(await second.acquireMaintenance()).toBeDefined()
  })
})

it('acknowledges nothing more once its folder was deleted', async () => {
  const directory = newFolder()
  const store = await open({ directory })
  const namespace = store.namespace('')
  await put(namespace, sampleDocument('a', { seed: 1 }))
  rmSync(directory, { recursive: true })
  await expect(put(namespace, sampleDocument('b', { seed: 2 }))).rejects.toEqual(code('STORAGE'))
  await expect(store.acquireMaintenance()).rejects.toEqual(code('STORAGE'))
  expect(namespace.get('a')?.id).toBe('a')
})

function canMount(): boolean {
  const place = mkdtempSync(join(tmpdir(), 'ufrag-mount-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', place], { stdio: 'ignore' })
    execFileSync('umount', [place])
    return true
  } catch {
    // Not allowed, or not this system: the tests that need it are skipped by name.
    return false
  } finally {
    rmSync(place, { recursive: true, force: true })
  }
}

/** A module of the sources, as a script imports it. */
function source(path: string): string {
  return JSON.stringify(new URL(`../../../src/${path}`, import.meta.url).pathname)
}

function scriptFile(script: string): string {
  const file = join(root, `script-${folders++}.mts`)
  writeFileSync(file, script)
  return file
}

/** Runs a module in a process of its own and returns what it printed; throws when it fails or is killed. */
function runScript(script: string, options: readonly string[]): string {
  return execFileSync(process.execPath, ['--import', 'tsx', scriptFile(script), ...options], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: new URL('../../..', import.meta.url).pathname,
  })
}
