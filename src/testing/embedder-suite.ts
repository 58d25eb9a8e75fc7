import assert from 'node:assert/strict'
import { RagError } from '../core/errors.js'
import type { Embedder, Embeddings, EmbedOptions } from '../embed/types.js'
import { itWith, type NotApplicable, nextLoopTurn, type RegisterTest, rejectsWithReason, shuffled } from './support.js'

/** How the suite gets its embedders. */
export interface EmbedderHarness {
  /** An embedder with the same options every time. The suite closes it. */
  create(): Promise<Embedder>
  /** The same with another option that changes the vectors: its fingerprint must differ. */
  readonly createOther: (() => Promise<Embedder>) | NotApplicable
  /** Texts that it cannot embed, among others that it can: one failed row each. */
  readonly unembeddable: readonly string[] | NotApplicable
  /**
   * The least cosine of two embeddings of one text, alone and among others. Default 0.999, which a model with weights in 8 bits
   * keeps; 1 less rounding for one that computes every text by itself.
   */
  readonly minCosine?: number
}

/**
 * What every {@link Embedder} must do. Call it inside a `describe` with the `it` of your test framework:
 * `embedderConformance(it, { create: async () => createMine(), createOther: { skip: 'it has no options' }, unembeddable: [''] })`.
 */
export function embedderConformance(it: RegisterTest, harness: EmbedderHarness): void {
  const { minCosine = 0.999 } = harness
  const withEmbedder = (name: string, run: (embedder: Embedder) => Promise<void>) =>
    it(name, async () => {
      const embedder = await harness.create()
      try {
        await run(embedder)
      } finally {
        await embedder.close()
      }
    })

  withEmbedder('tells what it is, the same every time', async (embedder) => {
    const { id, fingerprint, dimensions, capabilities } = embedder
    assert.ok(id.length > 0 && fingerprint.length > 0)
    assert.ok(Number.isInteger(dimensions) && dimensions > 0)
    assert.equal(typeof capabilities.fitted, 'boolean')
    assert.ok(Number.isInteger(capabilities.batchSize) && capabilities.batchSize > 0)
    const again = await harness.create()
    assert.deepEqual(
      [again.id, again.fingerprint, again.dimensions, again.capabilities],
      [id, fingerprint, dimensions, capabilities],
    )
    await again.close()
  })

  itWith(it, 'changes its fingerprint with an option that changes the vectors', harness.createOther, async (create) => {
    const [embedder, other] = await Promise.all([harness.create(), create()])
    assert.notEqual(other.fingerprint, embedder.fingerprint)
    await Promise.all([embedder.close(), other.close()])
  })

  withEmbedder('gives a row of unit length for every text, in the order of the texts', async (embedder) => {
    const { vectors, failed, tokens } = await embedder.embed(passages, passage)
    assert.deepEqual(failed, [])
    assert.ok(Number.isInteger(tokens) && tokens >= 0)
    assertRows(embedder, passages, { vectors, failed, tokens })
    const order = shuffled([...passages.keys()], 1)
    const texts = order.map((place) => passages[place] as string)
    const moved = await embedder.embed(texts, passage)
    for (const [place, from] of order.entries()) {
      assert.ok(cosine(rowOf(embedder, moved, place), rowOf(embedder, { vectors }, from)) >= minCosine - rounding)
    }
  })

  withEmbedder('gives one text one vector, alone or among others, and another text another', async (embedder) => {
    const together = await embedder.embed(passages, passage)
    const other = await harness.create()
    for (const [place, text] of passages.entries()) {
      const alone = await (place % 2 === 0 ? embedder : other).embed([text], passage)
      assertRows(embedder, [text], alone)
      assert.ok(cosine(rowOf(embedder, alone, 0), rowOf(embedder, together, place)) >= minCosine - rounding)
      for (let before = 0; before < place; before++) {
        assert.ok(cosine(rowOf(embedder, together, before), rowOf(embedder, together, place)) < minCosine)
      }
    }
    await other.close()
  })

  withEmbedder('puts a text nearer to its own words than to those of others', async (embedder) => {
    const { vectors } = await embedder.embed(passages, passage)
    const questions = await embedder.embed(passages.map(firstWords), { kind: 'query' })
    assertRows(embedder, passages, questions)
    for (const place of passages.keys()) {
      const scores = [...passages.keys()].map((other) =>
        cosine(rowOf(embedder, questions, place), rowOf(embedder, { vectors }, other)),
      )
      assert.equal(scores.indexOf(Math.max(...scores)), place)
    }
  })

  withEmbedder('takes no text at all', async (embedder) => {
    const { vectors, failed } = await embedder.embed([], passage)
    assert.equal(vectors.length, 0)
    assert.deepEqual(failed, [])
  })

  withEmbedder('takes more texts than it likes best, and leaves them alone', async (embedder) => {
    const count = embedder.capabilities.batchSize * 2 + 3
    const texts = Object.freeze(
      Array.from({ length: count }, (_, place) => passages[place % passages.length] as string),
    )
    const many = await embedder.embed(texts, passage)
    assertRows(embedder, texts, many)
    const few = await embedder.embed(passages, passage)
    for (const place of texts.keys()) {
      const expected = rowOf(embedder, few, place % passages.length)
      assert.ok(cosine(rowOf(embedder, many, place), expected) >= minCosine - rounding)
    }
  })

  itWith(it, 'reports a text that cannot be embedded, and embeds the others', harness.unembeddable, async (bad) => {
    const embedder = await harness.create()
    const texts = bad.flatMap((text, place) => [text, passages[place % passages.length] as string])
    const result = await embedder.embed(texts, passage)
    assertRows(embedder, texts, result)
    assert.deepEqual(
      result.failed.map(({ index }) => index).toSorted((a, b) => a - b),
      bad.map((_, place) => place * 2),
    )
    const clean = await embedder.embed(passages, passage)
    for (const place of bad.keys()) {
      const row = rowOf(embedder, result, place * 2 + 1)
      assert.ok(cosine(row, rowOf(embedder, clean, place % passages.length)) >= minCosine - rounding)
    }
    for (const text of bad) assertRows(embedder, [text], await embedder.embed([text], { kind: 'query' }))
    await embedder.close()
  })

  withEmbedder('embeds or reports any text there is', async (embedder) => {
    const texts = ['', ' \n\t', '\u0000', '\uD800', 'a\uDFFFb', '!?', '\u{1F600}', '日本語', 'עברית', 'ﬁ', '__proto__']
    texts.push('e\u0301\u0302'.repeat(500), 'word '.repeat(20_000), 'x'.repeat(50_000))
    assertRows(embedder, texts, await embedder.embed(texts, passage))
    assertRows(embedder, texts, await embedder.embed(texts, { kind: 'query' }))
  })

  withEmbedder('gives every call its own vectors, also when calls come at once', async (embedder) => {
    const rounds = await Promise.all(passages.map((text) => embedder.embed([text], passage)))
    const kept = rounds.map(({ vectors }) => vectors.slice())
    for (const { vectors } of rounds.slice(1)) vectors.fill(9)
    assert.deepEqual(rounds[0]?.vectors, kept[0])
    const again = await Promise.all(passages.map((text) => embedder.embed([text], passage)))
    for (const [place, { vectors }] of again.entries()) {
      assert.ok(cosine(vectors, kept[place] as Float32Array) >= minCosine - rounding)
    }
  })

  withEmbedder('stops soon when it is aborted, and only the call that was', async (embedder) => {
    const reason = new Error('enough')
    await rejectsWithReason(() => embedder.embed(passages, { ...passage, signal: AbortSignal.abort(reason) }), reason)

    const controller = new AbortController()
    const texts = Array.from({ length: embedder.capabilities.batchSize * 64 }, () => passages.join(' '))
    const other = embedder.embed(passages, passage)
    let settledBefore: boolean | undefined
    const work = embedder.embed(texts, { ...passage, signal: controller.signal }).finally(() => {
      settledBefore = !controller.signal.aborted
    })
    // One that is done before anybody could abort it has nothing to stop.
    const outcome = work.then(
      () => assert.equal(settledBefore, true, 'The call went on to its end after it was aborted.'),
      (error: unknown) => assert.equal(error, reason),
    )
    await nextLoopTurn()
    controller.abort(reason)
    await outcome
    assertRows(embedder, passages, await other)
  })

  it('closes before first use and twice; afterwards a call works as before or is refused as CLOSED', async () => {
    const embedder = await harness.create()
    await Promise.all([embedder.close(), embedder.close()])
    await embedder.close()
    await embedder.embed(passages, passage).then(
      (result) => assertRows(embedder, passages, result),
      (error: unknown) => assert.ok(RagError.isInstance(error, 'CLOSED'), String(error)),
    )
  })
}

const passage: EmbedOptions = { kind: 'passage' }
/** What single precision may add to a length or a cosine. */
const rounding = 1e-4

/** Each about something else, so that any embedder tells them apart. */
const passages: readonly string[] = [
  'Bread is baked from flour, water and yeast until the crust is brown.',
  'The telescope photographed a distant galaxy during the night.',
  'Interest rates rose because the central bank feared inflation.',
  'Vaccines train the immune system to recognise a virus.',
  'The goalkeeper saved the penalty and the team won the final match.',
  'Volcanoes erupt when magma rises through cracks of the crust.',
  'Der Zug nach Köln hatte wegen eines Gewitters Verspätung.',
]

function firstWords(text: string): string {
  return text.split(' ').slice(0, 6).join(' ')
}

/** Every row is of unit length, or all zero and listed among the failed, with an error. */
function assertRows(embedder: Embedder, texts: readonly string[], { vectors, failed }: Embeddings): void {
  assert.ok(vectors instanceof Float32Array)
  assert.equal(vectors.length, texts.length * embedder.dimensions)
  const failures = new Set(failed.map(({ index }) => index))
  assert.equal(failures.size, failed.length)
  for (const { index, error } of failed) {
    assert.ok(Number.isInteger(index) && index >= 0 && index < texts.length)
    assert.ok(error instanceof Error || RagError.isInstance(error))
  }
  for (const place of texts.keys()) {
    const length = Math.hypot(...rowOf(embedder, { vectors }, place))
    if (failures.has(place)) assert.equal(length, 0, `Row ${place} failed and is not zero.`)
    else assert.ok(Math.abs(length - 1) < rounding, `Row ${place} has length ${length}.`)
  }
}

function rowOf({ dimensions }: Embedder, { vectors }: Pick<Embeddings, 'vectors'>, place: number): Float32Array {
  return vectors.subarray(place * dimensions, (place + 1) * dimensions)
}

/** Of unit vectors. */
function cosine(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, place) => sum + value * (b[place] as number), 0)
}
