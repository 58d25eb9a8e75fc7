import assert from 'node:assert/strict'
import { RagError } from '../core/errors.js'
import { encodePiece, type Piece } from '../core/piece.js'
import { RangeSet } from '../core/range-set.js'
import type { LexicalDocumentPart, LexicalIndex, LexicalSearchOptions } from '../lexical-index/types.js'
import {
  hasCode,
  itWith,
  type NotApplicable,
  nextLoopTurn,
  type RegisterTest,
  randomNumbers,
  rejectsWith,
  shuffled,
} from './support.js'

/** How the suite gets its lexical indexes. */
export interface LexicalIndexHarness {
  /** An empty index. The suite closes it. */
  create(): Promise<LexicalIndex>
  /** For indexes that `persist()`: opens again what a closed index has left. */
  readonly reopen: ((closed: LexicalIndex) => Promise<LexicalIndex>) | NotApplicable
}

/**
 * What every {@link LexicalIndex} must do. Call it inside a `describe` with the `it` of your test framework:
 * `lexicalIndexConformance(it, { create: () => createBm25Index(), reopen: { skip: 'it lives in memory' } })`. How well it ranks is for
 * the index's own tests; asked here is only what any ranking by words must do.
 */
export function lexicalIndexConformance(it: RegisterTest, harness: LexicalIndexHarness): void {
  const withIndex = (name: string, run: (index: LexicalIndex) => Promise<void>) =>
    it(name, async () => {
      const index = await harness.create()
      try {
        await run(index)
      } finally {
        await index.close()
      }
    })

  withIndex('is empty at first, and still tells the terms of a question', async (index) => {
    assert.ok(index.id.length > 0 && index.fingerprint.length > 0)
    assert.equal(index.epoch, 0)
    const { chunks, documents, segments, bytes } = index.stats()
    assert.deepEqual([chunks, documents, segments], [0, 0, 0])
    assert.ok(bytes >= 0)
    const { matches, terms } = await index.search('zebra', { topK: 5 })
    assert.deepEqual(matches, [])
    assert.deepEqual(
      terms.map(({ documentFrequency }) => documentFrequency),
      [0],
    )
    await index.persist()
    const other = await harness.create()
    assert.equal(other.fingerprint, index.fingerprint)
    await other.close()
  })

  withIndex(
    'looks words up in the language that is asked for, and in all where it has no documents of it',
    async (index) => {
      await publish(index, 1, [plain(0, 'Die Katzen schlafen')], { language: 'german' })
      await publish(index, 2, [plain(1, 'The cats sleep')], { language: 'english' })
      const found = async (text: string, language?: string) => {
        const { matches } = await index.search(text, { topK: 5, ...(language === undefined ? {} : { language }) })
        return matches.map(({ number }) => number)
      }
      assert.deepEqual(await found('Katze'), [0])
      assert.deepEqual(await found('Katze', 'german'), [0])
      assert.deepEqual(await found('Katze', 'de-AT'), [0])
      assert.deepEqual(await found('sleeping', 'en'), [1])
      assert.deepEqual(await found('sleeping', 'german'), [])
      assert.deepEqual(await found('sleeping', 'finnish'), [1])
      assert.deepEqual(await found('Katze', ''), [0])
    },
  )

  withIndex('finds passages by their words, their headings and the title of their document', async (index) => {
    await publish(index, 1, [
      { base: 7, title: 'Zebra care', chunks: [{ text: 'Feeding.', headings: ['Winter'] }, { text: 'Grooming.' }] },
      { base: 20, title: 'Horses', chunks: [{ text: 'Feeding.' }, { text: 'Stables.' }] },
    ])
    assert.deepEqual(await find(index, 'stables'), [21])
    assert.deepEqual(await find(index, 'winter'), [7])
    assert.deepEqual(
      (await find(index, 'zebra')).toSorted((a, b) => a - b),
      [7, 8],
    )
    assert.equal((await find(index, 'zebra grooming'))[0], 8)
    assert.deepEqual(await find(index, 'zebra unheard'), await find(index, 'zebra'))
  })

  withIndex('numbers the passages of a document from its base, across pieces and parts', async (index) => {
    const chunks = consecutive(0, 23).map((place) => ({ text: `marker${place} common words` }))
    await publish(index, 1, [{ base: 100, title: 'Long', chunks }], { chunksPerPiece: 2, piecesPerPart: 3 })
    for (const place of [0, 1, 5, 6, 22]) assert.deepEqual(await find(index, `marker${place}`), [100 + place])
    const { chunks: count, documents, bytes } = index.stats()
    assert.deepEqual([count, documents], [23, 1])
    assert.ok(bytes > 0)
  })

  withIndex('shows what is staged at once with publish(), and what was aborted never', async (index) => {
    const update = index.update()
    for (const part of partsOf(plain(1, 'zebra'))) await update.add(part)
    await nextLoopTurn()
    assert.deepEqual(await find(index, 'zebra'), [])
    update.abort()
    update.abort()
    assert.equal(index.epoch, 0)
    await publish(index, 4, [plain(2, 'zebra')])
    assert.deepEqual(await find(index, 'zebra'), [2])
    assert.equal(index.epoch, 4)
    await publish(index, 9, [])
    assert.equal(index.epoch, 9)
  })

  withIndex('has one update at a time, which takes nothing more when it has ended', async (index) => {
    const update = index.update()
    assert.throws(() => index.update(), RagError.isInstance)
    await update.publish(1)
    await assert.rejects(update.add(partsOf(plain(1, 'zebra'))[0] as LexicalDocumentPart), RagError.isInstance)
    await assert.rejects(update.publish(2), RagError.isInstance)
    const aborted = index.update()
    aborted.abort()
    await assert.rejects(aborted.publish(2), RagError.isInstance)
    assert.equal(index.epoch, 1)
  })

  withIndex('replaces a document: the old passages go with the publication that brings the new ones', async (index) => {
    const texts = (epoch: number) => consecutive(0, 40).map((place) => `marker text ${epoch} ${place}`)
    await publish(index, 1, [plain(0, ...texts(1))])
    let done = false
    let searches = 0
    const searching = async () => {
      for (; !done; searches++) {
        const found = await find(index, 'marker', { topK: 1_000 })
        assert.equal(found.length, 40)
        assert.equal(new Set(found.map((number) => Math.floor(number / 100))).size, 1)
        await nextLoopTurn()
      }
    }
    const publishing = async () => {
      for (let epoch = 2; epoch < 25 && !done; epoch++) {
        await publish(index, epoch, [plain(epoch * 100, ...texts(epoch))], { removed: [[0, epoch * 100]] })
        await nextLoopTurn()
      }
    }
    const stop = () => {
      done = true
    }
    await Promise.all([searching().finally(stop), publishing().finally(stop)])
    assert.ok(searches > 0)
  })

  withIndex('removes any numbers, of whole documents or parts, and ignores unknown ones', async (index) => {
    await publish(index, 1, [plain(0, 'zebra one', 'zebra two', 'zebra three'), plain(10, 'zebra four')])
    await publish(index, 2, [], {
      removed: [
        [1, 2],
        [5, 9],
        [7, 7],
        [1_000, 1e15],
      ],
    })
    assert.deepEqual(await found('zebra'), [0, 2, 10])
    assert.deepEqual(await find(index, 'two'), [])
    assert.deepEqual([index.stats().chunks, index.stats().documents], [3, 2])
    await publish(index, 3, [], { removed: [[0, 3]] })
    assert.deepEqual(await found('zebra'), [10])
    assert.deepEqual([index.stats().chunks, index.stats().documents], [1, 1])
    await publish(index, 4, [], { removed: [[0, Number.MAX_SAFE_INTEGER]] })
    assert.deepEqual(await found('zebra'), [])
    assert.deepEqual([index.stats().chunks, index.stats().documents], [0, 0])

    async function found(text: string): Promise<number[]> {
      return (await find(index, text)).toSorted((a, b) => a - b)
    }
  })

  withIndex('agrees with a list of who holds which word, through a random history', async (index) => {
    const random = randomNumbers(1)
    const pick = (below: number) => Math.floor(random() * below)
    const words = consecutive(0, 26).map((place) => `word${String.fromCharCode(97 + place)}x`)
    const living = new Map<number, string>()
    let base = 2 ** 32 - 50
    for (let epoch = 1; epoch <= 30; epoch++) {
      const documents = consecutive(0, pick(4)).map(() => {
        const texts = consecutive(0, 1 + pick(6)).map(() =>
          consecutive(0, 1 + pick(8))
            .map(() => words[pick(words.length)])
            .join(' '),
        )
        const document = plain(base, ...texts)
        base += texts.length + pick(3)
        return document
      })
      const start = base - 60 + pick(60)
      const removed: [number, number][] = random() < 0.5 ? [[start, start + pick(12)]] : []
      // What is removed in the update that adds it must be removed before; so only older numbers are.
      const oldest = Math.min(base, ...documents.map((document) => document.base))
      const older = removed.map(([from, to]): [number, number] => [Math.min(from, oldest), Math.min(to, oldest)])
      await publish(index, epoch, documents, { removed: older })
      for (const [from, to] of older) for (let number = from; number < to; number++) living.delete(number)
      for (const document of documents) {
        for (const [place, { text }] of document.chunks.entries()) living.set(document.base + place, text)
      }
      assert.equal(index.stats().chunks, living.size)
      const word = words[pick(words.length)] as string
      const holders = [...living].filter(([, text]) => text.split(' ').includes(word)).map(([number]) => number)
      const allow = RangeSet.from([...living.keys()].filter(() => random() < 0.5).map((one) => [one, one + 1] as const))
      const { matches, terms } = await index.search(word, { topK: 1_000 })
      assertOrder(matches)
      assert.deepEqual(matches.map(({ number }) => number).sort(ascending), holders.sort(ascending))
      assert.deepEqual(
        terms.map(({ documentFrequency }) => documentFrequency),
        [holders.length],
      )
      const allowed = holders.filter((number) => allow.has(number))
      const among = await find(index, word, { topK: 1_000, allow })
      assert.deepEqual(among.sort(ascending), allowed)
      assert.equal((await find(index, word, { topK: 3, allow })).length, Math.min(3, allowed.length))
    }
  })

  withIndex('orders by score, and equal scores by number', async (index) => {
    for (const [place, base] of shuffled([30, 10, 20, 50, 40], 1).entries()) {
      await publish(index, place + 1, [plain(base, 'same words', 'other')])
    }
    assert.deepEqual(await find(index, 'words'), [10, 20, 30, 40, 50])
    assert.deepEqual(await find(index, 'words', { topK: 2 }), [10, 20])
    await publish(index, 9, [plain(60, 'same words, and rarely a quokka', 'other')])
    const { matches } = await index.search('quokka words', { topK: 9 })
    assert.equal(matches[0]?.number, 60)
    assertOrder(matches)
    assert.deepEqual(await index.search('quokka words', { topK: 9 }), await index.search('quokka words', { topK: 9 }))
  })

  withIndex('finds as many as are asked for and there, and nothing that is not allowed', async (index) => {
    await publish(
      index,
      1,
      consecutive(0, 60).map((place) => plain(place * 10, `zebra ${'grass '.repeat(place % 7)}`, 'lion')),
    )
    const holders = consecutive(0, 60).map((place) => place * 10)
    const best = (await find(index, 'zebra', { topK: 1 }))[0] ?? Number.NaN
    for (const ranges of [
      [],
      [[0, 1e15]],
      [[5, 10]],
      [[0, 105]],
      [
        [1, best],
        [best + 1, 600],
      ].filter(([from = 0, to = 0]) => to > from),
      holders.filter((number) => number % 40 === 0).map((number) => [number, number + 2]),
      [[600, 2 ** 40]],
    ] as [number, number][][]) {
      const allow = RangeSet.from(ranges)
      const allowed = holders.filter((number) => allow.has(number))
      for (const topK of [0, 1, 7, 1e9]) {
        const found = await find(index, 'zebra', { topK, allow })
        assert.equal(found.length, Math.min(topK, allowed.length))
        assert.ok(found.every((number) => allowed.includes(number)))
        assert.equal(new Set(found).size, found.length)
      }
    }
    assert.equal((await find(index, 'zebra', { topK: 1e9 })).length, 60)
    assert.deepEqual(await find(index, 'zebra', { topK: 0 }), [])
  })

  withIndex('lets the whole document count beside the passage, unless its weight is 0', async (index) => {
    await publish(index, 1, [
      plain(10, 'A zebra grazes.', 'Engines and gears.', 'Wheels and axles.'),
      plain(20, 'A zebra grazes.', 'One zebra sleeps.', 'Some zebra runs.'),
    ])
    const scores = async (options: Partial<LexicalSearchOptions>) => {
      const { matches } = await index.search('zebra', { topK: 9, ...options })
      const scoreOf = (wanted: number) => matches.find(({ number }) => number === wanted)?.score ?? Number.NaN
      return [scoreOf(10), scoreOf(20)] as const
    }
    const [alone, other] = await scores({ documentWeight: 0 })
    assert.equal(alone, other)
    const [weak, strong] = await scores({ documentWeight: 2 })
    assert.ok(strong > weak)
    assert.deepEqual(await scores({}), await scores({ documentWeight: 0.5 }))
  })

  withIndex('scores other numbers too, as a search that reached so deep would', async (index) => {
    await publish(
      index,
      1,
      consecutive(0, 40).map((place) => plain(place * 10, `zebra ${'grass '.repeat(place % 7)}`, 'lion')),
    )
    await publish(index, 2, [], { removed: [[50, 51]] })
    const asked = [390, 0, 1, 50, 7, 1e15, 120]
    for (const documentWeight of [0, 0.5]) {
      const { matches } = await index.search('zebra grass', { topK: 1_000, documentWeight })
      const scores = new Map(matches.map(({ number, score }) => [number, score]))
      let asking = 0
      const alsoScore = async () => {
        asking++
        return asked
      }
      const found = await index.search('zebra grass', { topK: 2, documentWeight, alsoScore })
      assert.deepEqual(found.matches, matches.slice(0, 2))
      assert.deepEqual(
        found.also,
        [390, 0, 120].map((number) => ({ number, score: scores.get(number) })),
      )
      assert.equal(asking, 1)
    }
    const problem = new Error('the other search failed')
    await assert.rejects(index.search('zebra', { topK: 2, alsoScore: () => Promise.reject(problem) }), problem)
  })

  withIndex('tells how rare the terms are', async (index) => {
    await publish(index, 1, [plain(0, 'zebra', 'zebra lion', 'lion', 'tiger'), plain(10, 'zebra')])
    const { terms } = await index.search('zebra tiger quokka', { topK: 1 })
    const frequencies = terms.map(({ documentFrequency }) => documentFrequency)
    assert.deepEqual(frequencies.toSorted(ascending), [0, 1, 3])
    for (const { term, idf, documentFrequency } of terms) {
      assert.ok(term.length > 0)
      assert.ok(Math.abs(idf - Math.log(1 + (5 - documentFrequency + 0.5) / (documentFrequency + 0.5))) < 1e-6)
    }
  })

  withIndex('finds nothing for a question without words, and takes any question there is', async (index) => {
    await publish(index, 1, [plain(0, 'zebra')])
    for (const text of ['', ' \n\t', '?!…', '\u0000', 'unheard']) {
      assert.deepEqual((await index.search(text, { topK: 9 })).matches, [])
    }
    for (const text of [
      '\uD800',
      '__proto__ constructor toString',
      'x'.repeat(100_000),
      '\u{1F600}',
      '-zebra* (OR "',
    ]) {
      assertOrder((await index.search(text, { topK: 9 })).matches)
    }
    assert.deepEqual(await find(index, `zebra ${'noise '.repeat(50_000)}`), [0])
  })

  withIndex('reads any script, whatever its case and form', async (index) => {
    const texts = [
      'Über den Fluß',
      'naïve café',
      '東京は日本の首都です',
      'Красная площадь',
      'ﬁnale',
      'שלום עולם',
      'İstanbul',
    ]
    const numbers = texts.map((_, place) => place * 10)
    await publish(
      index,
      1,
      texts.map((text, place) => plain(place * 10, text)),
      { language: 'english' },
    )
    for (const [question, place] of [
      ['ÜBER', 0],
      ['u\u0308ber', 0],
      ['CAFÉ', 1],
      ['cafe\u0301', 1],
      ['首都', 2],
      ['КРАСНАЯ', 3],
      ['finale', 4],
      ['שלום', 5],
    ] as const) {
      assert.deepEqual(await find(index, question), [numbers[place]], question)
    }
  })

  withIndex('keeps numbers apart that differ beyond 32 bits', async (index) => {
    const bases = [5, 2 ** 32 + 5, 2 ** 45 + 5]
    await publish(
      index,
      1,
      bases.map((base) => plain(base, 'zebra')),
    )
    assert.deepEqual(await find(index, 'zebra'), bases)
    assert.deepEqual(await find(index, 'zebra', { allow: RangeSet.from([[2 ** 32, 2 ** 33]]) }), [2 ** 32 + 5])
    await publish(index, 2, [], { removed: [[2 ** 32 + 5, 2 ** 32 + 6]] })
    assert.deepEqual(await find(index, 'zebra'), [5, 2 ** 45 + 5])
  })

  withIndex('keeps its own copy of what is staged', async (index) => {
    for (const repeat of [1, 2_000]) {
      const update = index.update()
      const parts = partsOf(plain(repeat, 'zebra '.repeat(repeat)))
      for (const part of parts) await update.add(part)
      for (const { pieces } of parts) for (const piece of pieces) piece.fill(0)
      await update.publish(repeat)
    }
    assert.deepEqual((await find(index, 'zebra')).toSorted(ascending), [1, 2_000])
  })

  withIndex('fails the update, not the index, when a piece cannot be read', async (index) => {
    await publish(index, 1, [plain(1, 'zebra')])
    for (const size of [0, 10, 10_000]) {
      const update = index.update()
      const part = { base: 2, title: '', language: 'en', pieces: [new Uint8Array(size).fill(255)] }
      await assert.rejects(
        update.add(part).then(() => update.publish(2)),
        hasCode('INTEGRITY'),
      )
      update.abort()
    }
    assert.deepEqual(await find(index, 'zebra'), [1])
    assert.equal(index.epoch, 1)
    await publish(index, 2, [plain(3, 'zebra')])
    assert.deepEqual(await find(index, 'zebra'), [1, 3])
  })

  it('refuses everything after close(), which is safe before first use, twice and during an update', async () => {
    const unused = await harness.create()
    await Promise.all([unused.close(), unused.close()])

    const index = await harness.create()
    const update = index.update()
    for (const part of partsOf(plain(1, 'zebra '.repeat(5_000)))) await update.add(part)
    const running = Promise.allSettled([update.publish(1), index.search('zebra', { topK: 1 })])
    await index.close()
    await index.close()
    for (const result of await running) {
      if (result.status === 'rejected') assert.ok(RagError.isInstance(result.reason, 'CLOSED'), String(result.reason))
    }
    await rejectsWith(index.search('zebra', { topK: 1 }), 'CLOSED')
    assert.throws(() => index.update(), hasCode('CLOSED'))
  })

  it('is at rest after settled(), where it has that, and finds what it found', async () => {
    const index = await harness.create()
    for (let base = 0; base < 120; base += 10) await publish(index, base + 1, [plain(base, 'zebra', 'lion')])
    const before = await find(index, 'zebra')
    await index.settled?.()
    assert.equal(index.stats().building, false)
    assert.deepEqual(await find(index, 'zebra'), before)
    await index.close()
    await index.settled?.()
  })

  itWith(it, 'is after persist() what it was, and without it what it was before', harness.reopen, async (reopen) => {
    let index = await harness.create()
    await publish(index, 3, [plain(0, 'zebra one', 'zebra two'), plain(10, 'lion'), plain(20, 'zebra')])
    await publish(index, 5, [plain(30, 'zebra three')], { removed: [[20, 21]] })
    const ask = () => Promise.all(['zebra', 'lion two', 'three'].map((text) => index.search(text, { topK: 9 })))
    const [answers, { chunks, documents }] = [await ask(), index.stats()]
    const { fingerprint } = index
    await Promise.all([index.persist(), index.persist()])
    await index.persist()
    await index.close()

    index = await reopen(index)
    assert.equal(index.epoch, 5)
    assert.equal(index.fingerprint, fingerprint)
    assert.deepEqual(await ask(), answers)
    assert.deepEqual([index.stats().chunks, index.stats().documents], [chunks, documents])
    await publish(index, 8, [plain(40, 'zebra four')], { removed: [[0, 1]] })
    assert.deepEqual((await find(index, 'zebra')).toSorted(ascending), [1, 30, 40])
    await index.close()

    index = await reopen(index)
    assert.equal(index.epoch, 5)
    assert.deepEqual(await ask(), answers)
    await index.close()
  })
}

/** A document as the suite writes it down. */
interface SuiteDocument {
  readonly base: number
  readonly title: string
  readonly chunks: readonly { readonly text: string; readonly headings?: readonly string[] }[]
}

interface Publication {
  readonly removed?: readonly (readonly [number, number])[]
  readonly language?: string
  readonly chunksPerPiece?: number
  readonly piecesPerPart?: number
}

function plain(base: number, ...texts: string[]): SuiteDocument {
  return { base, title: '', chunks: texts.map((text) => ({ text })) }
}

async function publish(
  index: LexicalIndex,
  epoch: number,
  documents: readonly SuiteDocument[],
  publication: Publication = {},
): Promise<void> {
  const update = index.update()
  update.remove(publication.removed ?? [])
  for (const document of documents) for (const part of partsOf(document, publication)) await update.add(part)
  await update.publish(epoch)
}

function partsOf(
  { base, title, chunks }: SuiteDocument,
  { language = 'en', chunksPerPiece = 3, piecesPerPart = 1 }: Publication = {},
): LexicalDocumentPart[] {
  const pieces: Uint8Array[] = []
  let start = 0
  for (let firstOrdinal = 0; firstOrdinal < chunks.length; firstOrdinal += chunksPerPiece) {
    const own = chunks.slice(firstOrdinal, firstOrdinal + chunksPerPiece)
    let place = start
    const spans = own.map(({ text, headings = [] }): Piece['chunks'][number] => {
      const span = { start: place, end: place + text.length }
      place = span.end + 1
      return { id: '0'.repeat(32), span, headings }
    })
    const text = own.map((chunk) => `${chunk.text}\n`).join('')
    pieces.push(encodePiece({ firstOrdinal, start, text, chunks: spans }))
    start += text.length
  }
  return consecutive(0, Math.ceil(pieces.length / piecesPerPart)).map((place) => {
    return { base, title, language, pieces: pieces.slice(place * piecesPerPart, (place + 1) * piecesPerPart) }
  })
}

/** Numbers found, best first. */
async function find(index: LexicalIndex, text: string, options: Partial<LexicalSearchOptions> = {}): Promise<number[]> {
  return (await index.search(text, { topK: 10, ...options })).matches.map(({ number }) => number)
}

function assertOrder(matches: readonly { readonly number: number; readonly score: number }[]): void {
  for (const [rank, { number, score }] of matches.entries()) {
    assert.ok(Number.isFinite(score))
    const before = matches[rank - 1]
    if (before === undefined) continue
    assert.ok(before.score > score || (before.score === score && before.number < number))
  }
}

function consecutive(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, place) => first + place)
}

function ascending(a: number, b: number): number {
  return a - b
}
