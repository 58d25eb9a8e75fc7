import assert from 'node:assert/strict'
import type { Chunker, ChunkOptions, Section, SectionSpan } from '../chunk/types.js'
import { hasCode, type RegisterTest, randomNumbers } from './support.js'

/** How the suite gets its chunkers. */
export interface ChunkerHarness {
  /** A chunker with these options. Throws, or rejects with, `BAD_OPTION` when one is out of range. */
  create(options: ChunkOptions): Chunker | Promise<Chunker>
}

/**
 * What every {@link Chunker} must do. Call it inside a `describe` with the `it` of your test framework:
 * `chunkerConformance(it, { create: (options) => createSentenceChunker(options) })`.
 */
export function chunkerConformance(it: RegisterTest, harness: ChunkerHarness): void {
  const cut = async (section: Section, options: Partial<ChunkOptions> = {}) =>
    (await harness.create({ ...defaults, ...options })).chunk(section)

  it('tells what it is, and by its fingerprint which options it cuts with', async () => {
    const chunker = await harness.create(defaults)
    assert.ok(chunker.id.length > 0)
    const fingerprints = new Set<string>()
    for (const change of [{}, { chunkSize: 401 }, { chunkOverlap: 50 }, { minChunkSize: 50 }]) {
      const { fingerprint } = await harness.create({ ...defaults, ...change })
      assert.equal((await harness.create({ ...defaults, ...change })).fingerprint, fingerprint)
      fingerprints.add(fingerprint)
    }
    assert.equal(fingerprints.size, 4)
  })

  it('gives no chunk for nothing and for white space', async () => {
    for (const text of ['', ' ', ' \n\t\u00a0\u3000\r\n']) {
      assert.deepEqual(await cut({ text, whole: [] }), [])
      if (text !== '') assert.deepEqual(await cut({ text, whole: [{ start: 0, end: text.length }] }), [])
    }
  })

  it('cuts any text into trimmed, ascending chunks within the sizes, and leaves out nothing but white space', async () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = randomNumbers(seed)
      const section = randomSection(random)
      const options = randomOptions(random)
      assertChunks(section, await cut(section, options), options)
    }
  })

  it('cuts between grapheme clusters, never inside one that fits into a chunk', async () => {
    for (const cluster of ['👩‍👩‍👧‍👦', 'e\u0301\u0302', '🇩🇪', '각', 'क्षि', '👍🏽', '1️⃣', '𠮷', '\r\n']) {
      const text = `x${cluster.repeat(60)}x`
      const borders = new Set([...new Intl.Segmenter().segment(text)].map(({ index }) => index)).add(text.length)
      for (const { start, end } of await cut({ text, whole: [] }, { chunkSize: 29 })) {
        assert.ok(borders.has(start) && borders.has(end), `A cluster of ${cluster.length} was cut.`)
      }
    }
  })

  it('cuts a cluster that is longer than a chunk, and a section without any place to cut', async () => {
    const options = { ...defaults, chunkSize: 20 }
    for (const text of [`e${'\u0301'.repeat(100)}`, '👩\u200d'.repeat(50), 'x'.repeat(65_536), '漢'.repeat(65_536)]) {
      const section = { text, whole: [] }
      const chunks = await cut(section, options)
      assertChunks(section, chunks, options)
      assert.ok(chunks.length >= text.length / 20)
    }
  })

  it('keeps stretches whole where the size allows, and cuts the others', async () => {
    const code = '```\nlet a = 1. Then\n\nlet b = 2? Or\n```'
    const text = `${'Words before. '.repeat(8)}\n${code}\n${'Words behind! '.repeat(8)}`
    const start = text.indexOf(code)
    const whole = [{ start, end: start + code.length }]
    for (const chunkSize of [code.length, code.length + 1, 60, 100, 400]) {
      const chunks = await cut({ text, whole }, { chunkSize })
      assertChunks({ text, whole }, chunks, { ...defaults, chunkSize })
      const holder = chunks.find((chunk) => chunk.start <= start && chunk.end >= start + code.length)
      assert.ok(holder !== undefined, `${code.length} characters were cut with a size of ${chunkSize}.`)
    }
    assertChunks({ text, whole }, await cut({ text, whole }, { chunkSize: 20 }), { ...defaults, chunkSize: 20 })
  })

  it('is pure: the same section gives the same chunks, and is left alone, also when several come at once', async () => {
    const sections = Array.from({ length: 12 }, (_, seed) => {
      const { text, whole } = randomSection(randomNumbers(1_000 + seed))
      return Object.freeze({ text, whole: Object.freeze(whole.map((span) => Object.freeze(span))) })
    })
    const options = Object.freeze({ chunkSize: 60, chunkOverlap: 10, minChunkSize: 10 })
    const chunker = await harness.create(options)
    const first: (readonly SectionSpan[])[] = []
    for (const section of sections) first.push(await chunker.chunk(section))
    assert.deepEqual(await Promise.all(sections.map((section) => chunker.chunk(section))), first)
    const other = await harness.create(options)
    assert.deepEqual(
      await Promise.all(sections.toReversed().map((section) => other.chunk(section))),
      first.toReversed(),
    )
  })

  it('refuses options that are out of range when it is made', async () => {
    for (const change of [
      { chunkSize: 19 },
      { chunkSize: 60_001 },
      { chunkSize: 50.5 },
      { chunkSize: Number.NaN },
      { chunkOverlap: 200 },
      { chunkOverlap: -1 },
      { minChunkSize: -1 },
      { minChunkSize: Number.NaN },
    ]) {
      await assert.rejects(async () => harness.create({ ...defaults, ...change }), hasCode('BAD_OPTION'))
    }
    for (const change of [{ chunkSize: 20 }, { chunkSize: 60_000 }, { chunkOverlap: 199 }]) {
      await harness.create({ ...defaults, ...change })
    }
  })
}

const defaults: ChunkOptions = { chunkSize: 400, chunkOverlap: 0, minChunkSize: 0 }

/** Everything the contract says about the chunks of one section. */
function assertChunks({ text }: Section, chunks: readonly SectionSpan[], options: ChunkOptions): void {
  let covered = 0
  let previous: SectionSpan = { start: -1, end: -1 }
  for (const { start, end } of chunks) {
    assert.ok(Number.isInteger(start) && Number.isInteger(end) && start >= 0 && end <= text.length && start < end)
    assert.ok(start > previous.start && end > previous.end, 'The chunks do not ascend.')
    const part = text.slice(start, end)
    assert.equal(part, part.trim(), 'A chunk begins or ends with white space.')
    assert.ok(part.isWellFormed(), 'A surrogate pair was cut.')
    assert.ok(part.length <= options.chunkSize + options.minChunkSize, `A chunk has ${part.length} characters.`)
    assert.equal(text.slice(covered, start).trim(), '', 'Text was left out.')
    assert.ok(previous.end - start <= options.chunkOverlap, `Chunks overlap by ${previous.end - start} characters.`)
    covered = end
    previous = { start, end }
  }
  assert.equal(text.slice(covered).trim(), '', 'The end of the text was left out.')
}

/** Writing in many scripts, with the trouble it makes where text is cut. */
const fragments: readonly string[] = [
  ...[' ', ' ', ' ', ' ', '\n', '\n\n', '\r\n', '\t', '\u00a0', '\u3000', '\f', '\u2028'],
  ...['the', 'Word', 'a', 'naïve', 'U.S.', 'Dr.', '3.14', 'e.g.', 'x@y.org', 'x'.repeat(70)],
  ...['.', '. ', '! ', '? ', '… ', ', ', '; ', '—', '." ', '(', ')', '"', '*', '[1]'],
  ...['今天', '天气很好', '。', '，', '「', '」', '日本語です', '한국어', 'สวัสดีครับ', 'यह है', '।', 'مرحبا', '؟', 'שלום'],
  ...['👩‍👩‍👧‍👦', '👍🏽', '🇩🇪', '❤️', '1️⃣', 'é', '\u0301', '\u200d', '𠮷', '\u0000', '\ufeff'],
  ...['- ', '1) ', '# ', '| a | b |\n', '```\n', '> '],
]

function randomSection(random: () => number): Section {
  const count = Math.floor(random() * 150)
  const text = Array.from({ length: count }, () => fragments[Math.floor(random() * fragments.length)]).join('')
  const borders = [...new Intl.Segmenter().segment(text)].map(({ index }) => index).filter(() => random() < 0.02)
  const whole: SectionSpan[] = []
  for (let place = 0; place + 1 < borders.length; place += 2) {
    whole.push({ start: borders[place] as number, end: borders[place + 1] as number })
  }
  return { text, whole }
}

function randomOptions(random: () => number): ChunkOptions {
  const chunkSize = 20 + Math.floor(random() * 180)
  return {
    chunkSize,
    chunkOverlap: random() < 0.5 ? 0 : Math.floor(random() * 0.49 * chunkSize),
    minChunkSize: random() < 0.5 ? 0 : Math.floor(random() * chunkSize),
  }
}
