import assert from 'node:assert/strict'
import { RagError } from '../core/errors.js'
import type { GenerateEnd, Llm, Prompt } from '../llm/types.js'
import { fakePrompt } from './fakes.js'
import { itWith, type NotApplicable, nextLoopTurn, type RegisterTest, rejectsWithReason } from './support.js'

/** How the suite gets its models. */
export interface LlmHarness {
  /** A model. The suite closes it. It is asked about towers, bread and mercury; see {@link llmPrompts}. */
  create(): Promise<Llm>
  /** A model that fails when it is asked, and the very error that it must pass on. */
  readonly createFailing: (() => Promise<{ readonly llm: Llm; readonly error: unknown }>) | NotApplicable
  /** Set it when what the model writes is not its own doing (it repeats a function of yours): not all of the answer can be checked. */
  readonly content?: NotApplicable
}

/** What the suite asks. A recorded or scripted model must answer `tower` (with "330") in two parts or more, `bread` (with "flour"), and `mercury` with nothing. */
export const llmPrompts = {
  tower: fakePrompt('How tall is the Eiffel Tower, and when was the tower opened?', [
    'Paris has many bridges. The Eiffel Tower is 330 metres tall, see [12] of the guide. The tower was opened in March 1889.',
    'The tower of Pisa leans. The Eiffel Tower was designed by Maurice Koechlin.',
  ]),
  bread: fakePrompt('What is bread made of?', [
    'Bread is made of flour, water and yeast. The bread dough rests for two hours. Bake it until the crust is brown.',
  ]),
  mercury: fakePrompt('What is the boiling point of mercury?', [
    'Bread is made of flour, water and yeast.',
    'The Eiffel Tower was designed by Maurice Koechlin.',
  ]),
} as const satisfies Readonly<Record<string, Prompt>>

/**
 * What every {@link Llm} must do. Call it inside a `describe` with the `it` of your test framework:
 * `llmConformance(it, { create: async () => createMine(), createFailing: { skip: 'it calls nobody' } })`.
 */
export function llmConformance(it: RegisterTest, harness: LlmHarness): void {
  const withLlm = (name: string, run: (llm: Llm) => Promise<void>) =>
    it(name, async () => {
      const llm = await harness.create()
      try {
        await run(llm)
      } finally {
        await llm.close()
      }
    })
  const aboutContent = harness.content ?? {}
  const withContent = (name: string, run: (llm: Llm) => Promise<void>) =>
    itWith(it, name, aboutContent, async () => {
      const llm = await harness.create()
      await run(llm)
      await llm.close()
    })

  withLlm('streams an answer in parts of text that cite the given sources', async (llm) => {
    assert.ok(llm.id.length > 0)
    const { tower } = llmPrompts
    const parts = await collect(llm, tower)
    assert.ok(parts.length > 1, 'The answer came in one part.')
    for (const part of parts) assert.ok(typeof part === 'string' && part !== '')
    assert.ok(citationsIn(parts).length > 0, 'The answer cites nothing.')
    assertCitations(parts, tower)
  })

  withContent('cites the source that says it, and escapes bracketed numbers that are no citations', async (llm) => {
    const parts = await collect(llm, llmPrompts.tower)
    assert.match(parts.join(''), /330 metres/)
    assertCitations(parts, llmPrompts.tower)
    assert.ok(citationsIn(parts).includes(1))
    const moved = { ...llmPrompts.bread, sources: llmPrompts.bread.sources.map((one) => ({ ...one, marker: 7 })) }
    assert.deepEqual(new Set(citationsIn(await collect(llm, moved))), new Set([7]))
  })

  withLlm('streams nothing when the sources do not answer', async (llm) => {
    assert.equal((await collect(llm, llmPrompts.mercury)).join(''), '')
  })

  withContent('says nothing about no sources, empty ones and an empty question', async (llm) => {
    const { question } = llmPrompts.tower
    for (const texts of [[], [''], [' \n', '\u0000']]) {
      assert.equal((await collect(llm, fakePrompt(question, texts))).join(''), '')
    }
    for (const odd of ['', '?!', '\uD800']) {
      const prompt = fakePrompt(odd, ['日本語。 עברית [1] \u{1F600} \\[2] [3, 4] \uDFFF'])
      assertCitations(await collect(llm, prompt), prompt)
    }
  })

  withLlm('leaves the prompt alone', async (llm) => {
    const prompt = deepFrozen(structuredClone(llmPrompts.tower))
    await collect(llm, prompt)
    assert.deepEqual(prompt, llmPrompts.tower)
  })

  withLlm('keeps answers apart that are written at once', async (llm) => {
    const asked = [llmPrompts.tower, llmPrompts.bread, llmPrompts.mercury, llmPrompts.bread]
    const together = await Promise.all(asked.map((prompt) => collect(llm, prompt)))
    assert.notEqual(together[0]?.join(''), together[1]?.join(''))
    assert.equal(together[2]?.join(''), '')
    for (const [place, parts] of together.entries()) assertCitations(parts, asked[place] as Prompt)
    assert.match(together[0]?.join('') ?? '', /330/)
    assert.match(together[1]?.join('') ?? '', /flour/)
  })

  withLlm('stops when it is aborted before it begins, and between two parts', async (llm) => {
    const reason = new Error('enough')
    await rejectsWithReason(() => collect(llm, llmPrompts.tower, AbortSignal.abort(reason)), reason)

    const controller = new AbortController()
    const parts: string[] = []
    await rejectsWithReason(async () => {
      for await (const part of llm.generate(llmPrompts.tower, { signal: controller.signal })) {
        parts.push(part)
        controller.abort(reason)
      }
    }, reason)
    assert.equal(parts.length, 1)
    assert.ok((await collect(llm, llmPrompts.tower)).length > 1)
  })

  withLlm('stops when it is aborted while a part is awaited', async (llm) => {
    const reason = new Error('enough')
    const controller = new AbortController()
    const reading = collect(llm, llmPrompts.tower, controller.signal)
    controller.abort(reason)
    await rejectsWithReason(() => reading, reason)
  })

  withLlm('can be left before its end, or before its beginning', async (llm) => {
    for await (const _ of llm.generate(llmPrompts.tower, {})) break
    const unread = llm.generate(llmPrompts.tower, {})[Symbol.asyncIterator]()
    await unread.return?.()
    assert.equal((await unread.next()).done, true)
    llm.generate(llmPrompts.tower, { signal: AbortSignal.abort(new Error('nobody asked')) })
    // A failure that nobody reads would end the process, a turn of the loop later.
    await nextLoopTurn()
    assert.ok((await collect(llm, llmPrompts.tower)).length > 1)
  })

  withLlm(
    'tells at most once how an answer ended, before its iteration ends, and nothing of one that is left',
    async (llm) => {
      const ends: GenerateEnd[] = []
      const onEnd = (end: GenerateEnd): void => void ends.push(end)
      for await (const _ of llm.generate(llmPrompts.tower, { onEnd })) assert.ok(ends.length <= 1)
      const told = ends.length
      assert.ok(told <= 1, 'It was told twice.')
      for (const { finishReason = 'stop', inputTokens = 0, model = 'none', outputTokens = 0 } of ends) {
        assert.ok(['stop', 'length', 'content-filter', 'other'].includes(finishReason))
        assert.ok(Number.isSafeInteger(inputTokens) && inputTokens >= 0)
        assert.ok(Number.isSafeInteger(outputTokens) && outputTokens >= 0)
        assert.ok(typeof model === 'string' && model !== '')
      }
      await nextLoopTurn()
      assert.equal(ends.length, told, 'It was told after the end.')

      for await (const _ of llm.generate(llmPrompts.tower, { onEnd })) break
      await nextLoopTurn()
      assert.equal(ends.length, told, 'An answer that was left has no end to tell of.')
    },
  )

  itWith(it, 'throws failures from the iterator, as they are', harness.createFailing, async (create) => {
    const { llm, error } = await create()
    const answer = llm.generate(llmPrompts.tower, {})
    await rejectsWithReason(async () => {
      for await (const _ of answer);
    }, error)
    await llm.close()
  })

  it('closes before first use and twice; afterwards it answers as before or refuses with CLOSED', async () => {
    const llm = await harness.create()
    await Promise.all([llm.close(), llm.close()])
    await llm.close()
    await collect(llm, llmPrompts.tower).then(
      (parts) => assertCitations(parts, llmPrompts.tower),
      (error: unknown) => assert.ok(RagError.isInstance(error, 'CLOSED'), String(error)),
    )
  })
}

async function collect(llm: Llm, prompt: Prompt, signal?: AbortSignal): Promise<string[]> {
  const parts: string[] = []
  for await (const part of llm.generate(prompt, signal === undefined ? {} : { signal })) parts.push(part)
  return parts
}

/** Numbers in brackets that no backslash precedes. */
function citationsIn(parts: readonly string[]): number[] {
  return [...parts.join('').matchAll(/(?<!\\)\[(\d+)\]/g)].map(([, number]) => Number(number))
}

function assertCitations(parts: readonly string[], { sources }: Prompt): void {
  const markers = new Set(sources.map(({ marker }) => marker))
  for (const number of citationsIn(parts)) assert.ok(markers.has(number), `There is no source ${number}.`)
}

function deepFrozen<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null) return value
  for (const inner of Object.values(value)) deepFrozen(inner)
  return Object.freeze(value)
}
