import assert from 'node:assert/strict'
import { RagError, type RagErrorCode } from '../core/errors.js'
import type { Block, Extraction, ExtractOptions, Extractor, ExtractSource } from '../extract/types.js'
import { type FakeSourceOptions, fakeSource } from './fakes.js'
import {
  hasCode,
  isNotApplicable,
  itWith,
  type NotApplicable,
  type RegisterTest,
  randomNumbers,
  rejectsWithReason,
} from './support.js'

/** How the suite gets its extractors and their documents. */
export interface ExtractorHarness {
  /** An extractor with the same options every time. */
  create(): Extractor | Promise<Extractor>
  /**
   * A document of these paragraphs, in this order: each on a page of its own where there are pages. None gives a document that is in
   * order and holds no text.
   */
  document(paragraphs: readonly string[]): Uint8Array | Promise<Uint8Array>
  /** Set it when `document()` cannot write every script there is. */
  readonly unicode?: NotApplicable
  /** Set it when the format must be read whole, by `bytes()`: then `maxFileBytes` must hold. */
  readonly streaming?: NotApplicable
  /** Files that are not what they claim to be. */
  readonly corrupt: readonly Uint8Array[] | NotApplicable
  /** A file that only its password opens, and the text in it. The password is a word that no message would hold by chance. */
  readonly encrypted: { readonly bytes: Uint8Array; readonly password: string; readonly text: string } | NotApplicable
}

/**
 * What every {@link Extractor} must do. Call it inside a `describe` with the `it` of your test framework:
 *
 * ```ts
 * const document = (paragraphs: readonly string[]) => new TextEncoder().encode(paragraphs.join('\n\n'))
 * const none = { skip: 'any bytes are a text' }
 * extractorConformance(it, { create: createTextExtractor, document, corrupt: none, encrypted: none })
 * ```
 */
export function extractorConformance(it: RegisterTest, harness: ExtractorHarness): void {
  const { unicode = {}, streaming = {} } = harness
  const sourceOf = (mediaType: string, bytes: Uint8Array, options: Partial<FakeSourceOptions> = {}) =>
    fakeSource(bytes, { mediaType, ...options })
  const withExtractor = (name: string, run: (extractor: Extractor, mediaType: string) => Promise<void>) =>
    it(name, async () => {
      const extractor = await harness.create()
      await run(extractor, extractor.mediaTypes[0] ?? '')
    })
  const readBytes = async (bytes: Uint8Array, options: Partial<FakeSourceOptions> = {}) => {
    const extractor = await harness.create()
    return readAll(extractor, sourceOf(extractor.mediaTypes[0] ?? '', bytes, options))
  }

  withExtractor('tells what it is, the same every time', async ({ id, fingerprint, mediaTypes }) => {
    assert.ok(id.length > 0 && fingerprint.length > 0)
    assert.ok(mediaTypes.length > 0)
    for (const mediaType of mediaTypes) assert.match(mediaType, /^[a-z0-9.+-]+\/[a-z0-9.+-]+$/)
    const again = await harness.create()
    assert.deepEqual([again.id, again.fingerprint, again.mediaTypes], [id, fingerprint, mediaTypes])
  })

  it('gives every paragraph once, in order, in sound blocks', async () => {
    const paragraphs = ['The first paragraph.', 'A second one, of two sentences. Here.', 'The last: 3.14 (naïve).']
    const read = await readBytes(await harness.document(paragraphs))
    assertBlocks(read)
    assert.equal(words(read.text), words(paragraphs.join(' ')))
  })

  itWith(it, 'reads every script', unicode, async () => {
    const paragraphs = ['日本語の文章です。', 'Привет, мир', 'שלום עולם', '\u{1F600} 👩‍👩‍👧‍👦 𠮷', 'e\u0301\u0302 क्षि']
    const read = await readBytes(await harness.document(paragraphs))
    assertBlocks(read)
    assert.equal(words(read.text), words(paragraphs.join(' ')))
  })

  it('gives large documents in blocks of bounded length, whatever the length of a paragraph', async () => {
    const paragraphs = manyParagraphs(120)
    paragraphs.push(numbered(1, 12_000))
    const read = await readBytes(await harness.document(paragraphs))
    assertBlocks(read)
    assert.ok(read.blocks.length > 1)
    assert.equal(words(read.text), words(paragraphs.join(' ')))
  })

  it('gives the same, however the bytes come in, and leaves them alone', async () => {
    const bytes = await harness.document([...manyParagraphs(6), isNotApplicable(unicode) ? 'é' : '日本 \u{1F600} é'])
    const kept = Uint8Array.from(bytes)
    const whole = await readBytes(bytes)
    for (const partBytes of [1, 7, 1_000, 65_536]) assert.deepEqual(await readBytes(bytes, { partBytes }), whole)
    assert.deepEqual(await readBytes(bytes, { name: 'other' }), whole)
    assert.deepEqual(Uint8Array.from(bytes), kept)
  })

  withExtractor('reads several documents at once', async (extractor, mediaType) => {
    const documents = await Promise.all(
      [1, 2, 3, 4].map(async (count) => harness.document(manyParagraphs(count * 5, count))),
    )
    const together = await Promise.all(documents.map((bytes) => readAll(extractor, sourceOf(mediaType, bytes))))
    for (const [place, bytes] of documents.entries()) assert.deepEqual(together[place], await readBytes(bytes))
  })

  withExtractor('calls no bytes EMPTY, and a document without text EMPTY or NO_TEXT', async (extractor, mediaType) => {
    await assert.rejects(readAll(extractor, sourceOf(mediaType, new Uint8Array(0))), hasCode('EMPTY'))
    const blank = await harness.document(['', ''])
    await assert.rejects(
      readAll(extractor, sourceOf(mediaType, blank)),
      (error) => RagError.isInstance(error, 'EMPTY') || RagError.isInstance(error, 'NO_TEXT'),
    )
  })

  withExtractor('stops when it is aborted, before it begins and between blocks', async (extractor, mediaType) => {
    const bytes = await harness.document(manyParagraphs(400))
    const reason = new Error('enough')
    const early = sourceOf(mediaType, bytes)
    await rejectsWithReason(() => readAll(extractor, early, { ...defaults, signal: AbortSignal.abort(reason) }), reason)

    const controller = new AbortController()
    const late = sourceOf(mediaType, bytes)
    const options = { ...defaults, signal: controller.signal }
    await rejectsWithReason(async () => {
      for await (const _ of (await extractor.extract(late, options)).blocks) controller.abort(reason)
    }, reason)
    for (const { streams } of [early, late]) assert.equal(streams.ended, streams.begun)
  })

  withExtractor('ends what it has opened, wherever the reader stops', async (extractor, mediaType) => {
    const bytes = await harness.document(manyParagraphs(400))
    const whole = sourceOf(mediaType, bytes)
    const expected = await readAll(extractor, whole)
    const some = sourceOf(mediaType, bytes)
    for await (const _ of (await extractor.extract(some, defaults)).blocks) break
    const none = sourceOf(mediaType, bytes)
    await (await extractor.extract(none, defaults)).blocks[Symbol.asyncIterator]().return?.()
    for (const { streams } of [whole, some, none]) assert.equal(streams.ended, streams.begun)
    assert.deepEqual(await readAll(extractor, sourceOf(mediaType, bytes)), expected)
  })

  withExtractor('passes on what the source fails with, and ends it', async (extractor, mediaType) => {
    const failure = new Error('The disk is gone.')
    const source = sourceOf(mediaType, await harness.document(manyParagraphs(5)), { failure })
    await rejectsWithReason(() => readAll(extractor, source), failure)
    assert.equal(source.streams.ended, source.streams.begun)
  })

  const bounded = 'gives the first block long before it has read the last byte'
  itWith(it, bounded, streaming, async () => {
    const extractor = await harness.create()
    const bytes = await harness.document(manyParagraphs(3_000))
    const source = sourceOf(extractor.mediaTypes[0] ?? '', bytes)
    for await (const _ of (await extractor.extract(source, defaults)).blocks) break
    assert.ok(source.delivered <= bytes.length / 4, `${source.delivered} of ${bytes.length} bytes were read.`)
  })

  const limited = isNotApplicable(streaming) ? {} : { skip: 'it never holds a file whole' }
  itWith(it, 'refuses files above maxFileBytes as LIMIT', limited, async () => {
    const extractor = await harness.create()
    const bytes = await harness.document(['Some words.'])
    const source = sourceOf(extractor.mediaTypes[0] ?? '', bytes)
    await assert.rejects(readAll(extractor, source, { maxFileBytes: bytes.length - 1 }), hasCode('LIMIT'))
    await readAll(extractor, source, { maxFileBytes: bytes.length })
  })

  itWith(it, 'calls what it cannot read CORRUPT', harness.corrupt, async (files) => {
    for (const bytes of files) await assert.rejects(readBytes(bytes), hasCode('CORRUPT'))
  })

  it('reads a damaged document or refuses it with a code, and then reads the next', async () => {
    const secret = 'classified'
    const bytes = await harness.document([...manyParagraphs(3), secret])
    const whole = await readBytes(bytes)
    const random = randomNumbers(1)
    for (let round = 0; round < 24; round++) {
      // Not slice(), which of a Buffer is a view.
      const damaged = Uint8Array.from(bytes.subarray(0, round % 2 === 0 ? random() * bytes.length : bytes.length))
      for (let flips = round % 8; flips > 0; flips--) {
        damaged[Math.floor(random() * damaged.length)] = Math.floor(random() * 256)
      }
      await readBytes(damaged).then(assertBlocks, (error: unknown) => {
        assert.ok(RagError.isInstance(error) && refusals.has(error.code), String(error))
        assert.ok(!JSON.stringify(error).includes(secret), 'The text is in the error.')
      })
    }
    assert.deepEqual(await readBytes(bytes), whole)
  })

  itWith(it, 'opens an encrypted document with its password only', harness.encrypted, async (encrypted) => {
    const { bytes, password, text } = encrypted
    assert.equal(words((await readBytes(bytes, { password })).text), words(text))
    for (const wrong of [{}, { password: '' }, { password: `${password}x` }]) {
      await assert.rejects(readBytes(bytes, wrong), (error) => {
        assert.ok(RagError.isInstance(error, 'ENCRYPTED'), String(error))
        assert.ok(!JSON.stringify([error, error.message]).includes(password), 'The password is in the error.')
        return true
      })
    }
  })
}

const defaults: ExtractOptions = { maxFileBytes: 1 << 30 }
/** Why a document may be refused. */
const refusals: ReadonlySet<RagErrorCode> = new Set(['ENCRYPTED', 'CORRUPT', 'EMPTY', 'NO_TEXT', 'LIMIT'])
const maxBlockUnits = 64 * 1024
const kinds: ReadonlySet<string> = new Set(['text', 'heading', 'code', 'table'] satisfies Block['kind'][])

/** A document that was read to its end. */
interface Read extends Omit<Extraction, 'blocks'> {
  readonly blocks: readonly Block[]
  readonly text: string
}

async function readAll(extractor: Extractor, source: ExtractSource, options = defaults): Promise<Read> {
  const { blocks, ...facts } = await extractor.extract(source, options)
  const list: Block[] = []
  for await (const block of blocks) list.push(block)
  return { ...facts, blocks: list, text: list.map(({ text }) => text).join('') }
}

function assertBlocks({ blocks, pages, title }: Read): void {
  if (title !== undefined) assert.ok(title.trim() !== '' && title.isWellFormed())
  let latest = 1
  for (const { text, kind, page, headings = [] } of blocks) {
    assert.ok(text.length <= maxBlockUnits, `A block has ${text.length} code units.`)
    assert.ok(text.isWellFormed(), 'A block is not well-formed UTF-16.')
    assert.ok(kinds.has(kind))
    for (const heading of headings) assert.ok(typeof heading === 'string' && heading.isWellFormed())
    if (kind === 'heading') assert.ok(headings.length > 0 || text.trim().length > 0)
    if (page === undefined) continue
    assert.ok(Number.isInteger(page) && page >= latest, `Page ${page} comes after page ${latest}.`)
    assert.ok(pages === undefined || page <= pages)
    latest = page
  }
}

/** Without the white space, which every format has its own of. */
function words(text: string): string {
  return text.replace(/\s+/g, '')
}

function manyParagraphs(count: number, seed = 1): string[] {
  return Array.from({ length: count }, (_, place) => `Paragraph ${seed} ${place}. ${numbered(place, 60)}`)
}

function numbered(seed: number, count: number): string {
  return Array.from({ length: count }, (_, place) => `word${seed}x${place}`).join(' ')
}
