import assert from 'node:assert/strict'
import { RagError } from '../core/errors.js'
import type { Enricher, Enrichments, EnrichPassage } from '../enrich/types.js'
import { itWith, type NotApplicable, type RegisterTest, rejectsWithReason } from './support.js'

/** How the suite gets its enrichers. */
export interface EnricherHarness {
  /** An enricher with the same options every time. The suite closes it. */
  create(): Promise<Enricher>
  /** One with an option that changes what it makes. */
  readonly createOther: (() => Promise<Enricher>) | NotApplicable
  /** Set it when it may have nothing to say of a passage of three sentences. */
  readonly silent?: NotApplicable
}

/** A passage about lighthouses; `changes` replaces what is said of it. */
export function enrichPassage(changes: Partial<EnrichPassage> = {}): EnrichPassage {
  return {
    text: 'The lighthouse keeper climbs the iron stairs. Every evening the lighthouse keeper lights the lamp. Ships pass in the strait.',
    title: 'Coast guide',
    headings: ['Harbours', 'Lighthouses'],
    language: 'english',
    before: 'The harbour was built in 1850.',
    after: 'The lamp was replaced in 1931.',
    beginning: 'This guide tells of the coast.',
    ...changes,
  }
}

/**
 * What every {@link Enricher} must do. Call it inside a `describe` with the `it` of your test framework:
 * `enricherConformance(it, { create: async () => createMine(), createOther: { skip: 'it has no options' } })`.
 */
export function enricherConformance(it: RegisterTest, harness: EnricherHarness): void {
  const withEnricher = (name: string, run: (enricher: Enricher) => Promise<void>) =>
    it(name, async () => {
      const enricher = await harness.create()
      try {
        await run(enricher)
      } finally {
        await enricher.close()
      }
    })

  withEnricher('tells what it is and what it wants to know', async ({ capabilities, fingerprint, id }) => {
    assert.ok(id.length > 0)
    assert.ok(fingerprint.length > 0)
    assert.ok(['passage', 'part'].includes(capabilities.scope))
    assert.ok(Number.isSafeInteger(capabilities.batchSize) && capabilities.batchSize >= 1)
    const known = ['title', 'headings', 'language', 'around', 'beginning']
    assert.ok(capabilities.reads.every((read) => known.includes(read)))
    assert.equal(new Set(capabilities.reads).size, capabilities.reads.length)
  })

  it('has the same fingerprint with the same options, in every instance', async () => {
    const [one, other] = [await harness.create(), await harness.create()]
    assert.equal(one.fingerprint, other.fingerprint)
    await Promise.all([one.close(), other.close()])
  })

  itWith(it, 'has another fingerprint with other options', harness.createOther, async (create) => {
    const [one, other] = [await harness.create(), await create()]
    assert.notEqual(one.fingerprint, other.fingerprint)
    await Promise.all([one.close(), other.close()])
  })

  withEnricher('gives lines for every passage, in their order, and leaves the passages alone', async (enricher) => {
    const some = passagesOf(enricher, 3)
    const copy = structuredClone(some)
    const together = await enricher.enrich(some, {})
    assertSound(together, some)
    assert.deepEqual(some, copy)
  })

  itWith(it, 'has something to say of a passage', harness.silent ?? {}, async () => {
    const enricher = await harness.create()
    const { failed, lines } = await enricher.enrich([enrichPassage()], {})
    assert.deepEqual(failed, [])
    assert.ok((lines[0] ?? []).some((line) => line.trim() !== ''))
    await enricher.close()
  })

  withEnricher('says the same of the same passage', async (enricher) => {
    const some = passagesOf(enricher, 2)
    const first = await enricher.enrich(some, {})
    assert.deepEqual((await enricher.enrich(some, {})).lines, first.lines)
  })

  withEnricher('is not told apart by what it does not read', async (enricher) => {
    const { reads } = enricher.capabilities
    const unread: Partial<EnrichPassage> = {
      ...(reads.includes('title') ? {} : { title: 'Another title' }),
      ...(reads.includes('headings') ? {} : { headings: ['Elsewhere'] }),
      ...(reads.includes('around') ? {} : { before: 'Other words.', after: '' }),
      ...(reads.includes('beginning') ? {} : { beginning: 'Another beginning.' }),
    }
    const { lines } = await enricher.enrich([enrichPassage()], {})
    assert.deepEqual((await enricher.enrich([enrichPassage(unread)], {})).lines, lines)
  })

  withEnricher('takes no passages, and any text: ill-formed, in other scripts, very long', async (enricher) => {
    assert.deepEqual(await enricher.enrich([], {}), { lines: [], failed: [] })
    const odd = ['\uD800', '日本語のテキスト。', '\u0000', '… – …', '<source-1>[1]</source-1>', 'word '.repeat(10_000)]
    for (const text of odd) {
      const some = [enrichPassage({ text, headings: [], title: '', before: '', after: '', beginning: '' })]
      assertSound(await enricher.enrich(some, {}), some)
    }
  })

  withEnricher('stops when it is aborted before it begins', async (enricher) => {
    const reason = new Error('enough')
    await rejectsWithReason(() => enricher.enrich([enrichPassage()], { signal: AbortSignal.abort(reason) }), reason)
    assertSound(await enricher.enrich([enrichPassage()], {}), [enrichPassage()])
  })

  it('closes before first use and twice; afterwards it goes on or refuses with CLOSED', async () => {
    const enricher = await harness.create()
    await Promise.all([enricher.close(), enricher.close()])
    await enricher.enrich([enrichPassage()], {}).then(
      (made) => assertSound(made, [enrichPassage()]),
      (error: unknown) => assert.ok(RagError.isInstance(error, 'CLOSED'), String(error)),
    )
  })
}

/** As many different passages as go into a call, `wanted` at most. */
function passagesOf({ capabilities }: Enricher, wanted: number): EnrichPassage[] {
  return Array.from({ length: Math.min(wanted, capabilities.batchSize) }, (_, place) =>
    enrichPassage({ text: `${'Granary. '.repeat(place)}${enrichPassage().text}` }),
  )
}

function assertSound({ failed, lines }: Enrichments, passages: readonly EnrichPassage[]): void {
  assert.equal(lines.length, passages.length)
  for (const some of lines) assert.ok(some.every((line) => typeof line === 'string'))
  const indexes = failed.map(({ index }) => index)
  assert.equal(new Set(indexes).size, indexes.length, 'A passage has failed twice.')
  for (const index of indexes) {
    assert.ok(Number.isInteger(index) && index >= 0 && index < passages.length)
    assert.deepEqual(lines[index], [], 'A passage that failed has lines.')
  }
}
