import assert from 'node:assert/strict'
import { RagError } from '../core/errors.js'
import { encodePiece, type Piece } from '../core/piece.js'
import type {
  Changes,
  CommitOptions,
  DocumentRecord,
  NewDocument,
  NewFailure,
  Store,
  StoreNamespace,
} from '../store/types.js'
import { hasCode, itWith, type NotApplicable, type RegisterTest, randomNumbers, rejectsWith } from './support.js'

/** How the suite gets its stores. */
export interface StoreHarness {
  /** An empty store. The suite closes it. */
  create(): Promise<Store>
  /** For stores that survive the process: opens again what a closed store has left. */
  readonly reopen: ((closed: Store) => Promise<Store>) | NotApplicable
}

/**
 * What every {@link Store} must do. Call it inside a `describe` with the `it` of your test framework:
 * `storeConformance(it, { create: async () => createMemoryStore(), reopen: { skip: 'it lives in memory' } })`.
 */
export function storeConformance(it: RegisterTest, harness: StoreHarness): void {
  const withStore = (name: string, run: (store: Store, namespace: StoreNamespace) => Promise<void>) =>
    it(name, async () => {
      const store = await harness.create()
      try {
        await run(store, store.namespace(''))
      } finally {
        await store.close()
      }
    })

  withStore('is empty at first', async (store, namespace) => {
    assert.match(store.id, /^[0-9a-f]{32}$/)
    assert.deepEqual(store.namespaces(), [])
    assert.equal(namespace.epoch(), 0)
    assert.equal(namespace.nextNumber(), 0)
    assert.deepEqual(namespace.counts(), { documents: 0, chunks: 0 })
    assert.equal(namespace.get('a'), undefined)
    assert.deepEqual([...namespace.list()], [])
    assert.deepEqual(listed(namespace.changes(0)), { epoch: 0, added: [], removed: [] })
    assert.equal(namespace.locate(0), undefined)
    assert.deepEqual(namespace.chunks([0, 7]), [undefined, undefined])
    assert.equal(namespace.text('a', 0, 10), '')
    assert.deepEqual([...namespace.failures()], [])
    assert.equal(await namespace.remove(['a']), 0)
    assert.equal(namespace.epoch(), 0)
  })

  withStore('gives back what was committed', async (_store, namespace) => {
    const sample = sampleDocument('guide', { seed: 1, pieces: 3, chunksPerPiece: 4, dimensions: 5 })
    const { record, unchanged } = await put(namespace, sample)

    assert.equal(unchanged, false)
    assert.deepEqual(
      { ...record, generation: 0, committedAt: 0 },
      { ...sample.document, id: 'guide', chunks: 12, base: 0, generation: 0, committedAt: 0 },
    )
    assert.ok(Math.abs(Date.now() - record.committedAt) < 60_000)
    assert.deepEqual(namespace.get('guide'), record)
    assert.deepEqual([...namespace.list()], [record])
    assert.deepEqual(namespace.counts(), { documents: 1, chunks: 12 })
    assert.equal(namespace.epoch(), 1)
    assertWhole(namespace, record, sample)
  })

  withStore(
    'shows nothing of a version before its commit, and nothing of an aborted one ever',
    async (store, namespace) => {
      const writer = namespace.begin('a')
      for (const { piece, vectors } of sampleDocument('a', { seed: 2, pieces: 2 }).pieces) {
        await writer.write(encodePiece(piece), piece.chunks.length, vectors)
      }
      assert.equal(namespace.get('a'), undefined)
      assert.equal(namespace.epoch(), 0)
      await writer.abort()
      await writer.abort()
      assert.equal(namespace.get('a'), undefined)
      assert.deepEqual(namespace.counts(), { documents: 0, chunks: 0 })
      assert.deepEqual(store.namespaces(), [])
      await rejectsWith(writer.commit(sampleDocument('a', { seed: 2 }).document), 'CLOSED')
    },
  )

  withStore('replaces a document whole, under new numbers', async (_store, namespace) => {
    const first = sampleDocument('a', { seed: 3, pieces: 2, chunksPerPiece: 3 })
    const second = sampleDocument('a', { seed: 4, pieces: 1, chunksPerPiece: 2 })
    const { record: old } = await put(namespace, first)
    const { record } = await put(namespace, second)

    assert.equal(record.base, old.base + old.chunks)
    assert.deepEqual(namespace.counts(), { documents: 1, chunks: 2 })
    assert.equal(namespace.locate(old.base), undefined)
    assert.deepEqual(namespace.chunks([old.base, record.base]), [undefined, expectedChunk(second, record, 0)])
    assertWhole(namespace, record, second)
  })

  withStore(
    'keeps a replaced version readable, for a while, for those who hold its record',
    async (_store, namespace) => {
      const first = sampleDocument('a', { seed: 5, pieces: 2, dimensions: 3 })
      const { record: old } = await put(namespace, first)
      await put(namespace, sampleDocument('a', { seed: 6 }))
      assert.deepEqual(
        [...namespace.pieces(old)],
        first.pieces.map(({ piece }) => encodePiece(piece)),
      )
      assert.equal([...namespace.vectors(old)].length, 2)
    },
  )

  withStore('drops a version with the content and pipeline of the current one', async (_store, namespace) => {
    const sample = sampleDocument('a', { seed: 7 })
    const { record } = await put(namespace, sample)
    const again = await put(namespace, sample)
    assert.equal(again.unchanged, true)
    assert.deepEqual(again.record, record)
    assert.equal(namespace.epoch(), 1)

    const other = await put(namespace, { ...sample, document: { ...sample.document, pipeline: 'other' } })
    assert.equal(other.unchanged, false)
    assert.equal(namespace.epoch(), 2)
  })

  withStore('never uses a number again, not even when everything was removed', async (_store, namespace) => {
    const { record: a } = await put(namespace, sampleDocument('a', { seed: 8, chunksPerPiece: 5 }))
    assert.equal(await namespace.remove(['a', 'unknown', 'a']), 1)
    assert.deepEqual(namespace.counts(), { documents: 0, chunks: 0 })
    assert.equal(namespace.epoch(), 2)
    assert.equal(namespace.locate(a.base), undefined)
    const { record: b } = await put(namespace, sampleDocument('b', { seed: 9 }))
    assert.equal(b.base, 5)
    assert.equal(namespace.epoch(), 3)
  })

  withStore('keeps namespaces apart', async (store, namespace) => {
    const other = store.namespace('other.one')
    const sample = sampleDocument('same', { seed: 10 })
    const { record: first } = await put(namespace, sample)
    const { record: second } = await put(other, { ...sample, document: { ...sample.document, title: 'Other' } })
    assert.notEqual(first.generation, second.generation)
    assert.equal(second.base, 0)
    assert.deepEqual(store.namespaces(), ['', 'other.one'])
    await namespace.remove(['same'])
    assert.equal(namespace.get('same'), undefined)
    assert.equal(other.get('same')?.title, 'Other')
    assert.equal(store.namespace('other.one').epoch(), 1)
    assert.deepEqual(store.namespaces(), ['', 'other.one'])
  })

  withStore('lists documents in the order of their ids in UTF-8, from any point', async (_store, namespace) => {
    const ids = ['b', 'a', 'a\u0000', 'ab', 'ä', '\u{1F600}', '\uFF21', 'Z', 'x'.repeat(1024), 'é'.repeat(512)]
    for (const [seed, id] of ids.entries()) await put(namespace, sampleDocument(id, { seed }))
    const sorted = [...ids].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    assert.deepEqual(
      [...namespace.list()].map(({ id }) => id),
      sorted,
    )
    for (const after of [...ids, '', 'aa', 'zzz', 'x'.repeat(5000)]) {
      assert.deepEqual(
        [...namespace.list({ after })].map(({ id }) => id),
        sorted.filter((id) => Buffer.compare(Buffer.from(id), Buffer.from(after)) > 0),
      )
    }
    for (const id of ids) assert.equal(namespace.get(id)?.id, id)
  })

  withStore('lists while documents come and go', async (_store, namespace) => {
    for (let seed = 0; seed < 150; seed++) await put(namespace, sampleDocument(`d${1000 + seed}`, { seed }))
    const seen: string[] = []
    for (const { id } of namespace.list()) {
      seen.push(id)
      if (seen.length === 70) await namespace.remove(['d1000', 'd1149'])
      if (seen.length === 80) await put(namespace, sampleDocument('d0000', { seed: 999 }))
    }
    assert.deepEqual(
      seen,
      Array.from({ length: 149 }, (_, place) => `d${1000 + place}`),
    )
  })

  withStore('refuses ids that it could not keep apart or keep at all', async (_store, namespace) => {
    for (const id of ['', 'x'.repeat(1025), 'é'.repeat(513), '\uD800']) {
      assert.throws(() => namespace.begin(id), hasCode('BAD_INPUT'))
      assert.equal(namespace.get(id), undefined)
      assert.equal(await namespace.remove([id]), 0)
    }
  })

  withStore('replaces the version that may be replaced, and no other', async (_store, namespace) => {
    const write = async (seed: number, replaces: number) => {
      const { record } = await put(namespace, sampleDocument('a', { seed }), { replaces })
      return record.generation
    }
    await rejectsWith(write(1, 7), 'LOCKED')
    assert.equal(namespace.get('a'), undefined)
    const first = await write(1, 0)
    await rejectsWith(write(2, 0), 'LOCKED')
    const second = await write(2, first)
    await rejectsWith(write(3, first), 'LOCKED')
    // What is stored already is there, whoever has stored it.
    assert.equal(await write(2, first), second)
    assert.equal(namespace.get('a')?.generation, second)
    assert.equal(namespace.counts().documents, 1)
  })

  withStore('refuses pieces out of order, foreign bytes, and vectors of another width', async (_store, namespace) => {
    const { pieces } = sampleDocument('a', { seed: 11, pieces: 2, chunksPerPiece: 2 })
    const [first, second] = pieces.map(({ piece }) => piece) as [Piece, Piece]
    await rejectsWith(namespace.begin('a').write(encodePiece(second), 2), 'BAD_INPUT')
    await rejectsWith(namespace.begin('a').write(new Uint8Array(100), 2), 'BAD_INPUT')
    await rejectsWith(namespace.begin('a').write(encodePiece(first), 2, new Float32Array(5)), 'BAD_INPUT')
    const writer = namespace.begin('a')
    await writer.write(encodePiece(first), 2, new Float32Array(6))
    await rejectsWith(writer.write(encodePiece(second), 2, new Float32Array(8)), 'BAD_INPUT')
    await writer.abort()
  })

  withStore('keeps its own copy of vectors', async (_store, namespace) => {
    const { document, pieces } = sampleDocument('a', { seed: 12, chunksPerPiece: 2 })
    const writer = namespace.begin('a')
    const vectors = Float32Array.of(1, 2, 3, 4)
    await writer.write(encodePiece((pieces[0] as SamplePiece).piece), 2, vectors)
    vectors.fill(0)
    const { record } = await writer.commit(document)
    for (const { vectors: read } of namespace.vectors(record)) read.fill(9)
    assert.deepEqual([...namespace.vectors(record)], [{ firstOrdinal: 0, vectors: Float32Array.of(1, 2, 3, 4) }])
  })

  withStore(
    'holds documents without chunks, without pieces and with pieces without chunks',
    async (_store, namespace) => {
      const empty = sampleDocument('empty', { seed: 13, pieces: 0 })
      const { record: first } = await put(namespace, empty)
      assertWhole(namespace, first, empty)
      const text = sampleDocument('text', { seed: 14, pieces: 2, chunksPerPiece: 0 })
      const { record: second } = await put(namespace, text)
      assertWhole(namespace, second, text)
      const mixed = withEmptyPieces(sampleDocument('mixed', { seed: 15, pieces: 5, chunksPerPiece: 2 }))
      const { record: third } = await put(namespace, mixed)
      assertWhole(namespace, third, mixed)
      assert.deepEqual(
        [first, second, third].map(({ base, chunks }) => [base, chunks]),
        [
          [0, 0],
          [0, 0],
          [0, third.chunks],
        ],
      )
      assert.equal(namespace.locate(0)?.id, 'mixed')
      assert.equal(await namespace.remove(['empty', 'text']), 2)
      assert.deepEqual(listed(namespace.changes(3)), { epoch: 5, added: [], removed: [] })
    },
  )

  withStore('keeps any text that JSON can carry in titles and metadata', async (_store, namespace) => {
    const odd = ['\u0000', '\uD800', '\u{1F600}', '__proto__', '"\\', '\u2028']
    const metadata = JSON.parse(JSON.stringify(Object.fromEntries(odd.map((text) => [text, [text, null, 1.5, true]]))))
    const sample = sampleDocument('a', { seed: 16 })
    const document = { ...sample.document, title: odd.join(''), metadata }
    await put(namespace, { ...sample, document })
    assert.deepEqual(namespace.get('a')?.metadata, metadata)
    assert.equal(namespace.get('a')?.title, odd.join(''))
  })

  withStore('remembers failures until the document succeeds or is removed', async (store, namespace) => {
    const fail = async (id: string, code: string) =>
      namespace.begin(id).abort({ code, message: `Failed with ${code}.` })
    await fail('a', 'CORRUPT')
    await fail('b', 'EMPTY')
    await fail('a', 'TIMEOUT')
    const found = [...namespace.failures()]
    assert.deepEqual(
      found.map(({ failedAt, ...rest }) => rest),
      [
        { documentId: 'a', code: 'TIMEOUT', message: 'Failed with TIMEOUT.', attempts: 2 },
        { documentId: 'b', code: 'EMPTY', message: 'Failed with EMPTY.', attempts: 1 },
      ],
    )
    assert.equal(namespace.epoch(), 0)
    assert.deepEqual(store.namespaces(), [])
    await put(namespace, sampleDocument('a', { seed: 17 }))
    await namespace.remove(['b'])
    assert.deepEqual([...namespace.failures()], [])
    await fail('a', 'EMPTY')
    assert.equal([...namespace.failures()][0]?.attempts, 1)
    assert.equal(namespace.get('a')?.id, 'a')
  })

  withStore('counts the attempts that failed the same way, of the same file', async (_store, namespace) => {
    const file = { size: 3, mtimeMs: 1_000.5, inode: 7, seenAt: 2_000 }
    const fail = async (failure: Partial<NewFailure>) => {
      await namespace
        .begin('a')
        .abort({ code: 'CORRUPT', message: 'Damaged.', source: 'x/a', file, tried: 'once', ...failure })
      return namespace.failure('a')
    }
    assert.equal(namespace.failure('a'), undefined)
    const { failedAt, ...first } = (await fail({})) ?? {}
    assert.deepEqual(first, {
      documentId: 'a',
      code: 'CORRUPT',
      message: 'Damaged.',
      source: 'x/a',
      file,
      tried: 'once',
      attempts: 1,
    })
    assert.equal(typeof failedAt, 'number')
    assert.equal((await fail({ code: 'EMPTY', file: { ...file, seenAt: 3_000 } }))?.attempts, 2)
    assert.deepEqual((await fail({ code: 'PROVIDER', blameless: true }))?.attempts, 2)
    assert.equal(namespace.failure('a')?.code, 'PROVIDER')
    assert.equal((await fail({ tried: 'otherwise' }))?.attempts, 1)
    assert.equal((await fail({ tried: 'otherwise', file: { ...file, mtimeMs: 1_001 } }))?.attempts, 1)
    assert.equal((await fail({ blameless: true }))?.attempts, 0)
    assert.deepEqual([...namespace.failures()], [namespace.failure('a')])
    assert.equal(namespace.failure('b'), undefined)
    assert.equal(namespace.failure(''), undefined)
  })

  withStore('notes that a version still holds, without a change that a reader sees', async (_store, namespace) => {
    const sample = sampleDocument('a', { seed: 27 })
    const file = { size: 1, mtimeMs: 2.5, inode: 3, seenAt: 4 }
    const { record: replaced } = await put(namespace, { ...sample, document: { ...sample.document, file } })
    const next = sampleDocument('a', { seed: 28, dimensions: 4 })
    const { record } = await put(namespace, { ...next, document: { ...next.document, file } })
    await put(namespace, sampleDocument('b', { seed: 29 }))
    await namespace.begin('a').abort({ code: 'EMPTY', message: 'Nothing in it.' })
    const changes = listed(namespace.changes(0))

    await namespace.confirm(replaced, { ...file, size: 9 })
    assert.deepEqual(namespace.get('a'), record, 'a version that was replaced is not confirmed')
    assert.equal(namespace.failure('a'), undefined)
    await namespace.confirm(record)
    assert.deepEqual(namespace.get('a'), record)
    const touched = { ...file, mtimeMs: 5 }
    await namespace.confirm(record, touched)
    const confirmed = { ...record, file: touched }
    assert.deepEqual(namespace.get('a'), confirmed)
    assert.deepEqual([...namespace.list()][0], confirmed)
    assert.equal(namespace.epoch(), 3)
    assert.deepEqual(
      listed(namespace.changes(0))?.added.map(({ id }) => id),
      changes?.added.map(({ id }) => id),
    )
    assert.deepEqual(namespace.locate(record.base), confirmed)
    assert.deepEqual([...namespace.pieces(record)], [...namespace.pieces(confirmed)])
    assertWhole(namespace, confirmed, next)
    assert.equal(await namespace.remove(['a']), 1)
    await namespace.confirm(confirmed, touched)
    assert.equal(namespace.get('a'), undefined)
    assert.deepEqual(namespace.counts().documents, 1)
  })

  withStore('collapses what cancelled out in its changes', async (_store, namespace) => {
    const { record: a } = await put(namespace, sampleDocument('a', { seed: 18 }))
    const { record: b } = await put(namespace, sampleDocument('b', { seed: 19, chunksPerPiece: 3 }))
    await put(namespace, sampleDocument('c', { seed: 20 }))
    await namespace.remove(['c', 'b'])
    const { record: again } = await put(namespace, sampleDocument('a', { seed: 21 }))
    assert.equal(namespace.epoch(), 6)
    assert.deepEqual(listed(namespace.changes(0)), { epoch: 6, added: [again], removed: [] })
    assert.deepEqual(listed(namespace.changes(6)), { epoch: 6, added: [], removed: [] })
    const since2 = listed(namespace.changes(2))
    assert.deepEqual(since2?.added, [again])
    assert.deepEqual(sortRanges(since2?.removed ?? []), [rangeOf(a), rangeOf(b)])
    assert.deepEqual(listed(namespace.changes(1)), { epoch: 6, added: [again], removed: [rangeOf(a)] })
    assert.equal(namespace.changes(7), undefined)
  })

  withStore(
    'lists more changes than it reads at a time, and of those removed meanwhile none twice or half',
    async (_store, namespace) => {
      const ids = Array.from({ length: 150 }, (_, i) => `d${i}`)
      for (const [i, id] of ids.entries()) await put(namespace, sampleDocument(id, { seed: 30 + i, pieces: 1 }))
      const changes = namespace.changes(10)
      const found: string[] = []
      for (const { id } of changes?.added ?? []) {
        found.push(id)
        if (id === 'd10') await namespace.remove(['d100', 'd149'])
        if (id === 'd20') await put(namespace, sampleDocument('later', { seed: 29 }))
      }
      const isOfLastPage = (id: string) => id === 'd100' || id === 'd149'
      assert.deepEqual(
        found.filter((id) => !isOfLastPage(id)),
        ids.slice(10).filter((id) => !isOfLastPage(id)),
      )
      assert.equal(changes?.epoch, 150)
      const since = listed(namespace.changes(150))
      assert.deepEqual(
        since?.added.map(({ id }) => id),
        ['later'],
      )
      assert.equal(since?.removed.length, 2)
    },
  )

  withStore('commits concurrent versions of one document one after the other', async (_store, namespace) => {
    const samples = Array.from({ length: 100 }, (_, seed) =>
      sampleDocument('same', { seed: 100 + seed, pieces: 1 + (seed % 3) }),
    )
    const results = await Promise.all(samples.map((sample) => put(namespace, sample)))
    const numbers = new Set(results.map(({ record }) => record.base))
    assert.equal(numbers.size, 100)
    assert.equal(namespace.epoch(), 100)
    assert.equal(namespace.counts().documents, 1)
    const winner = namespace.get('same') as DocumentRecord
    const place = results.findIndex(({ record }) => record.generation === winner.generation)
    assertWhole(namespace, winner, samples[place] as SampleDocument)
  })

  withStore('agrees with a plain model through a random history', async (store) => {
    for (let seed = 1; seed <= 6; seed++) await randomHistory(store.namespace(`history-${seed}`), seed)
  })

  withStore('has one maintainer at a time', async (store) => {
    const release = await store.acquireMaintenance()
    assert.ok(release)
    assert.equal(await store.acquireMaintenance(), undefined)
    await release()
    const second = await store.acquireMaintenance()
    assert.ok(second)
    await release()
    assert.equal(await store.acquireMaintenance(), undefined)
    await second()
  })

  it('refuses everything after close(), which may be called twice', async () => {
    const store = await harness.create()
    const namespace = store.namespace('')
    const { record } = await put(namespace, sampleDocument('a', { seed: 22 }))
    const writer = namespace.begin('b')
    const listing = namespace.list()[Symbol.iterator]()
    await Promise.all([store.close(), store.close()])
    await store.close()
    for (const call of [
      () => namespace.epoch(),
      () => namespace.counts(),
      () => namespace.get('a'),
      () => listing.next(),
      () => namespace.begin('c'),
      () => namespace.changes(0),
      () => [...namespace.pieces(record)],
      () => [...namespace.vectors(record)],
      () => namespace.locate(0),
      () => namespace.chunks([0]),
      () => namespace.text('a', 0, 1),
      () => namespace.failure('a'),
      () => [...namespace.failures()],
      () => store.namespaces(),
    ]) {
      assert.throws(call, hasCode('CLOSED'))
    }
    await rejectsWith(namespace.remove(['a']), 'CLOSED')
    await rejectsWith(namespace.confirm(record), 'CLOSED')
    await rejectsWith(writer.commit(sampleDocument('b', { seed: 23 }).document), 'CLOSED')
    await rejectsWith(store.acquireMaintenance(), 'CLOSED')
    await writer.abort()
  })

  it('finishes the commits under way when it is closed', async () => {
    const store = await harness.create()
    const namespace = store.namespace('')
    const commits = Array.from({ length: 20 }, (_, seed) => put(namespace, sampleDocument(`d${seed}`, { seed })))
    const settled = Promise.allSettled(commits)
    await store.close()
    for (const result of await settled) {
      if (result.status === 'rejected') assert.ok(RagError.isInstance(result.reason, 'CLOSED'), String(result.reason))
    }
  })

  itWith(it, 'holds the same after it was closed and opened again', harness.reopen, async (reopen) => {
    const store = await harness.create()
    const namespace = store.namespace('')
    const sample = sampleDocument('kept', { seed: 24, pieces: 4, chunksPerPiece: 3, dimensions: 4 })
    const { record } = await put(namespace, sample)
    const { record: gone } = await put(namespace, sampleDocument('gone', { seed: 25 }))
    await namespace.remove(['gone'])
    await namespace.begin('bad').abort({ code: 'EMPTY', message: 'Nothing in it.' })
    const changes = listed(namespace.changes(2))
    await store.close()

    const opened = await reopen(store)
    try {
      const again = opened.namespace('')
      assert.equal(opened.id, store.id)
      assert.equal(again.epoch(), 3)
      assert.deepEqual(again.counts(), { documents: 1, chunks: 12 })
      assert.deepEqual([...again.list()], [record])
      assert.deepEqual(listed(again.changes(2)), changes)
      assert.deepEqual(changes?.removed, [rangeOf(gone)])
      assertWhole(again, record, sample)
      assert.equal([...again.failures()][0]?.documentId, 'bad')
      const { record: next } = await put(again, sampleDocument('next', { seed: 26 }))
      assert.equal(next.base, gone.base + gone.chunks)
      assert.ok(next.generation > record.generation)
    } finally {
      await opened.close()
    }
  })
}

/** A document with what its pieces decode to. */
export interface SampleDocument {
  readonly document: NewDocument
  readonly id: string
  readonly pieces: readonly SamplePiece[]
  /** The extracted text. */
  readonly text: string
}

/** A piece with the vectors of its chunks. */
export interface SamplePiece {
  readonly piece: Piece
  readonly vectors: Float32Array | undefined
}

/** Shape of {@link sampleDocument}. */
export interface SampleOptions {
  /** The same seed gives the same document. */
  readonly seed: number
  /** Default 1. */
  readonly pieces?: number
  /** Default 2. */
  readonly chunksPerPiece?: number
  /** Characters of a chunk. Default 40. */
  readonly chunkSize?: number
  /** Width of its vectors. Default 0: none. */
  readonly dimensions?: number
}

/** A made-up document: every chunk and vector differs from every other. */
export function sampleDocument(id: string, options: SampleOptions): SampleDocument {
  const { seed, pieces: pieceCount = 1, chunksPerPiece = 2, chunkSize = 40, dimensions = 0 } = options
  const random = randomNumbers(seed)
  let start = 0
  const pieces = Array.from({ length: pieceCount }, (_, place): SamplePiece => {
    const texts = Array.from({ length: chunksPerPiece }, (_, row) =>
      `${seed} ${place}.${row} é\u{1F600} ${Math.floor(random() * 1e9)}`.padEnd(chunkSize, ' ab').slice(0, chunkSize),
    )
    const chunks = texts.map((_, row) => {
      const span = { start: start + row * chunkSize, end: start + (row + 1) * chunkSize, page: place + 1 }
      const own = row % 2 === 0 ? {} : { metadata: { row } }
      return { id: chunkId(seed, place, row), span, headings: [`Part ${place}`], ...own }
    })
    // What lies behind the last chunk belongs to the text and to no chunk.
    const text = `${texts.join('')}\n${place}\n`
    const vectors = dimensions === 0 ? undefined : Float32Array.from({ length: chunksPerPiece * dimensions }, random)
    const piece = { firstOrdinal: place * chunksPerPiece, start, text, chunks }
    start += text.length
    return { piece, vectors }
  })
  const text = pieces.map(({ piece }) => piece.text).join('')
  const document: NewDocument = {
    title: `Title ${seed}`,
    source: `memory:${id}`,
    mediaType: 'text/plain',
    language: 'en',
    metadata: { seed, nested: { list: [1, 'two', null] } },
    characters: text.length,
    pages: pieceCount,
    contentHash: `hash-${seed}`,
    pipeline: 'pipeline-1',
    ...(dimensions === 0 ? {} : { embedder: `embedder-${dimensions}` }),
  }
  return { document, id, pieces, text }
}

function chunkId(seed: number, place: number, row: number): string {
  return [seed, place, row, 0].map((part) => part.toString(16).padStart(8, '0')).join('')
}

/** The same document, with pieces before, between and behind that hold text and no chunks. */
function withEmptyPieces(sample: SampleDocument): SampleDocument {
  let firstOrdinal = 0
  const pieces = sample.pieces.map(({ piece, vectors }, place): SamplePiece => {
    const chunks = place % 2 === 0 ? [] : piece.chunks
    const changed = { ...piece, firstOrdinal, chunks }
    firstOrdinal += chunks.length
    return { piece: changed, vectors: chunks.length === 0 ? undefined : vectors }
  })
  return { ...sample, pieces }
}

/** Writes a sample document and commits it. */
export async function put(
  namespace: StoreNamespace,
  { id, document, pieces }: SampleDocument,
  options?: CommitOptions,
): Promise<{ readonly record: DocumentRecord; readonly unchanged: boolean }> {
  const writer = namespace.begin(id)
  try {
    for (const { piece, vectors } of pieces) await writer.write(encodePiece(piece), piece.chunks.length, vectors)
    return await writer.commit(document, options)
  } catch (error) {
    await writer.abort()
    throw error
  }
}

/** Every way of reading a current document gives the sample. */
export function assertWhole(namespace: StoreNamespace, record: DocumentRecord, sample: SampleDocument): void {
  const encoded = sample.pieces.map(({ piece }) => encodePiece(piece))
  assert.deepEqual([...namespace.pieces(record)], encoded)
  const firstWith = (ordinal: number) =>
    sample.pieces.findIndex(({ piece }) => piece.firstOrdinal + piece.chunks.length > ordinal)
  for (const ordinal of new Set([1, Math.floor(record.chunks / 2), record.chunks - 1])) {
    if (ordinal > 0 && ordinal < record.chunks) {
      assert.deepEqual([...namespace.pieces(record, ordinal)], encoded.slice(firstWith(ordinal)))
    }
  }
  assert.deepEqual([...namespace.pieces(record, Math.max(1, record.chunks))], [])
  const vectorsFrom = (piece: number) =>
    sample.pieces
      .slice(piece)
      .flatMap(({ piece: { firstOrdinal }, vectors }) => (vectors ? [{ firstOrdinal, vectors }] : []))
  assert.deepEqual([...namespace.vectors(record)], vectorsFrom(0))
  for (const ordinal of new Set([1, Math.floor(record.chunks / 2), record.chunks - 1])) {
    if (ordinal > 0 && ordinal < record.chunks) {
      assert.deepEqual([...namespace.vectors(record, ordinal)], vectorsFrom(firstWith(ordinal)))
    }
  }
  assert.deepEqual([...namespace.vectors(record, Math.max(1, record.chunks))], [])
  const ordinals = Array.from({ length: record.chunks }, (_, ordinal) => ordinal).reverse()
  assert.deepEqual(
    namespace.chunks(ordinals.map((ordinal) => record.base + ordinal)),
    ordinals.map((ordinal) => expectedChunk(sample, record, ordinal)),
  )
  for (const ordinal of ordinals) assert.deepEqual(namespace.locate(record.base + ordinal), record)
  const { length } = sample.text
  for (const [start, end] of [
    [0, length],
    [-5, length + 5],
    [1, 1],
    [Math.floor(length / 3), Math.floor(length / 2)],
    [length - 1, length],
    [length, length + 10],
  ] as const) {
    assert.equal(namespace.text(record.id, start, end), sample.text.slice(Math.max(0, start), Math.max(0, end)))
  }
}

function expectedChunk(sample: SampleDocument, record: DocumentRecord, ordinal: number) {
  const { piece } = sample.pieces.find(
    ({ piece: { firstOrdinal, chunks } }) => ordinal >= firstOrdinal && ordinal < firstOrdinal + chunks.length,
  ) as SamplePiece
  const chunk = piece.chunks[ordinal - piece.firstOrdinal] as Piece['chunks'][number]
  return {
    id: chunk.id,
    documentId: record.id,
    ordinal,
    text: sample.text.slice(chunk.span.start, chunk.span.end),
    span: chunk.span,
    title: record.title,
    headings: chunk.headings,
    language: record.language,
    metadata: { ...record.metadata, ...chunk.metadata },
  }
}

/** Random puts, repeats and removals, checked against a map and a list of events. */
async function randomHistory(namespace: StoreNamespace, seed: number): Promise<void> {
  const random = randomNumbers(seed)
  const pick = (below: number) => Math.floor(random() * below)
  const current = new Map<
    string,
    { readonly record: DocumentRecord; readonly sample: SampleDocument; readonly at: number }
  >()
  const removals: { readonly at: number; readonly range: readonly [number, number]; readonly addedAt: number }[] = []
  let epoch = 0
  let nextNumber = 0

  for (let step = 0; step < 60; step++) {
    const id = `d${pick(8)}`
    const before = current.get(id)
    if (random() < 0.3) {
      assert.equal(await namespace.remove([id]), before === undefined ? 0 : 1)
      if (before === undefined) continue
      removals.push({ at: ++epoch, range: rangeOf(before.record), addedAt: before.at })
      current.delete(id)
    } else {
      const sample = sampleDocument(id, {
        seed: seed * 10_000 + (random() < 0.2 ? 1 : step + 2),
        pieces: pick(4),
        chunksPerPiece: pick(4),
        dimensions: pick(3),
      })
      const same = before?.sample.document.contentHash === sample.document.contentHash
      const { record, unchanged } = await put(namespace, sampleWithoutStrayVectors(sample))
      assert.equal(unchanged, same)
      if (same) continue
      assert.equal(record.base, nextNumber)
      nextNumber += record.chunks
      assert.equal(namespace.nextNumber(), nextNumber)
      epoch++
      if (before !== undefined) removals.push({ at: epoch, range: rangeOf(before.record), addedAt: before.at })
      current.set(id, { record, sample: sampleWithoutStrayVectors(sample), at: epoch })
    }
    assert.equal(namespace.epoch(), epoch)
    if (step % 7 === 0) check()
  }
  check()

  function check(): void {
    const documents = [...current.values()].sort((a, b) => a.at - b.at)
    assert.deepEqual(namespace.counts(), {
      documents: documents.length,
      chunks: documents.reduce((sum, { record }) => sum + record.chunks, 0),
    })
    assert.deepEqual(
      [...namespace.list()],
      documents.map(({ record }) => record).sort((a, b) => (a.id < b.id ? -1 : 1)),
    )
    for (const { record, sample } of documents) assertWhole(namespace, record, sample)
    for (let number = -1; number <= nextNumber; number++) {
      const owner = documents.find(({ record: { base, chunks } }) => number >= base && number < base + chunks)
      assert.deepEqual(namespace.locate(number), owner?.record)
    }
    for (let since = 0; since <= epoch; since++) {
      const changes = listed(namespace.changes(since))
      assert.equal(changes?.epoch, epoch)
      assert.deepEqual(
        changes.added,
        documents.filter(({ at }) => at > since).map(({ record }) => record),
      )
      const removed = removals.filter(
        ({ at, addedAt, range: [start, end] }) => at > since && addedAt <= since && end > start,
      )
      assert.deepEqual(sortRanges(changes.removed), sortRanges(removed.map(({ range }) => range)))
    }
  }
}

/** A document of pieces without chunks has no vectors either. */
function sampleWithoutStrayVectors(sample: SampleDocument): SampleDocument {
  const pieces = sample.pieces.map(({ piece, vectors }) => ({
    piece,
    vectors: piece.chunks.length === 0 ? undefined : vectors,
  }))
  return { ...sample, pieces }
}

function rangeOf({ base, chunks }: DocumentRecord): readonly [number, number] {
  return [base, base + chunks]
}

/** With what it lists as an array. */
function listed(changes: Changes | undefined) {
  return changes && { ...changes, added: [...changes.added] }
}

function sortRanges(ranges: readonly (readonly [number, number])[]): (readonly [number, number])[] {
  return [...ranges].sort((a, b) => a[0] - b[0])
}
