import assert from 'node:assert/strict'
import { RagError } from '../core/errors.js'
import type { RerankCandidate, RerankedMatch, Reranker, RerankRequest } from '../rerank/types.js'
import { itWith, type NotApplicable, nextLoopTurn, type RegisterTest, rejectsWithReason } from './support.js'

/** How the suite gets its rerankers. */
export interface RerankerHarness {
  /** A reranker with the same options every time. The suite closes it. */
  create(): Promise<Reranker>
  /** Set it when it does not put what answers the question first: because it looks for variety, or its weights are made up. */
  readonly relevance?: NotApplicable
}

const question = 'How tall is the Eiffel Tower?'
const texts = [
  'Bread is made of flour, water and yeast. The dough rests for two hours before it is baked.',
  'Tides\nThe moon and the sun move the water of the sea twice a day.',
  'Paris\nTowers\nHow tall is the Eiffel Tower? The Eiffel Tower is 330 metres tall.',
  'A library holds books, and a librarian who knows where they stand.',
  'The river flows past the town and under seven bridges to the sea.',
]

/**
 * What every {@link Reranker} must do. Call it inside a `describe` with the `it` of your test framework:
 * `rerankerConformance(it, { create: async () => createMine() })`.
 */
export function rerankerConformance(it: RegisterTest, harness: RerankerHarness): void {
  const withReranker = (name: string, run: (reranker: Reranker) => Promise<void>) =>
    it(name, async () => {
      const reranker = await harness.create()
      try {
        await run(reranker)
      } finally {
        await reranker.close()
      }
    })

  withReranker('tells what it is', async ({ id, capabilities }) => {
    assert.ok(id.length > 0)
    assert.equal(typeof capabilities.vectors, 'boolean')
  })

  withReranker('gives back candidates, each once, best first, as many as are wanted', async (reranker) => {
    for (const topK of [1, 3, texts.length, 100]) {
      const request = requestOf(question, texts, { topK })
      assertSound(await reranker.rerank(request, {}), request)
    }
  })

  itWith(it, 'puts what answers the question first', harness.relevance ?? {}, async () => {
    const reranker = await harness.create()
    const [best] = await reranker.rerank(requestOf(question, texts), {})
    assert.equal(best?.number, 102)
    await reranker.close()
  })

  withReranker('gives the same order for the same request', async (reranker) => {
    const request = requestOf(question, texts)
    const first = await reranker.rerank(request, {})
    assert.deepEqual(numbersOf(await reranker.rerank(request, {})), numbersOf(first))
    const other = await harness.create()
    assert.deepEqual(numbersOf(await other.rerank(request, {})), numbersOf(first))
    await other.close()
  })

  withReranker('keeps the order of candidates that it cannot tell apart', async (reranker) => {
    const same = texts.map(() => texts[0] as string)
    const request = requestOf(question, same, { scores: same.map(() => 1) })
    const matches = await reranker.rerank(request, {})
    assert.deepEqual(numbersOf(matches), numbersOf(request.candidates).slice(0, matches.length))
  })

  withReranker('takes no candidates, and one', async (reranker) => {
    assert.deepEqual(await reranker.rerank(requestOf(question, [], { topK: 1 }), {}), [])
    const one = requestOf(question, texts.slice(0, 1))
    assertSound(await reranker.rerank(one, {}), one)
  })

  withReranker('takes any text: empty, ill-formed, in other scripts, very long', async (reranker) => {
    const odd = ['', ' \n', '\uD800', '日本語のテキスト', '\u0000', '[SEP] [CLS]', 'word '.repeat(20_000), '{"1": 9}']
    for (const asked of [question, '?!', '\uDFFF', '日本', 'why '.repeat(2_000)]) {
      const request = requestOf(asked, odd)
      assertSound(await reranker.rerank(request, {}), request)
    }
  })

  withReranker('takes vectors where it asks for them, and where some have none', async (reranker) => {
    const rows = texts.map((_, place) => unitVector(place))
    for (const vectors of [rows, [undefined, ...rows.slice(1)]]) {
      const request = requestOf(question, texts, { vectors })
      assertSound(await reranker.rerank(request, {}), request)
    }
  })

  withReranker('takes more candidates than it likes best', async (reranker) => {
    const many = Array.from({ length: 150 }, (_, place) => `${texts[place % texts.length]} It is number ${place}.`)
    const request = requestOf(question, many, { topK: 10 })
    assertSound(await reranker.rerank(request, {}), request)
  })

  withReranker('leaves the request alone', async (reranker) => {
    const request = requestOf(question, texts)
    for (const candidate of request.candidates) Object.freeze(candidate)
    Object.freeze(request.candidates)
    const before = structuredClone(request)
    assertSound(await reranker.rerank(Object.freeze(request), {}), request)
    assert.deepEqual(request, before)
  })

  withReranker('keeps requests apart that are made at once', async (reranker) => {
    const requests = Array.from({ length: 8 }, (_, place) =>
      requestOf(place % 2 === 0 ? question : 'What moves the sea?', texts.slice(place % 3), { first: 1_000 * place }),
    )
    const alone: (readonly RerankedMatch[])[] = []
    for (const request of requests) alone.push(await reranker.rerank(request, {}))
    const together = await Promise.all(requests.map((request) => reranker.rerank(request, {})))
    for (const [place, request] of requests.entries()) {
      assertSound(together[place] as readonly RerankedMatch[], request)
      assert.deepEqual(numbersOf(together[place] ?? []), numbersOf(alone[place] ?? []))
    }
  })

  withReranker('stops when it is aborted before it begins, or at work', async (reranker) => {
    const reason = new Error('enough')
    const request = requestOf(question, texts)
    await rejectsWithReason(() => reranker.rerank(request, { signal: AbortSignal.abort(reason) }), reason)
    const controller = new AbortController()
    const running = reranker.rerank(request, { signal: controller.signal }).then(
      (matches) => assertSound(matches, request),
      (error) => assert.equal(error, reason),
    )
    await nextLoopTurn()
    controller.abort(reason)
    await running
    assertSound(await reranker.rerank(request, {}), request)
  })

  it('loads ahead of the first call, once for all who ask', async () => {
    const reranker = await harness.create()
    await Promise.all([reranker.warmUp?.(), reranker.warmUp?.({})])
    const request = requestOf(question, texts)
    assertSound(await reranker.rerank(request, {}), request)
    await reranker.close()
  })

  it('closes before first use and twice; afterwards it answers as before or refuses with CLOSED', async () => {
    const reranker = await harness.create()
    await Promise.all([reranker.close(), reranker.close()])
    await reranker.close()
    const request = requestOf(question, texts)
    await reranker.rerank(request, {}).then(
      (matches) => assertSound(matches, request),
      (error: unknown) => assert.ok(RagError.isInstance(error, 'CLOSED'), String(error)),
    )
  })
}

interface RequestParts {
  /** Default: all. */
  readonly topK?: number
  /** Default: falling. */
  readonly scores?: readonly number[]
  readonly vectors?: readonly (Float32Array | undefined)[]
  /** Number of the first candidate. Default 100. */
  readonly first?: number
}

function requestOf(asked: string, passages: readonly string[], parts: RequestParts = {}): RerankRequest {
  const { first = 100, scores, topK = passages.length, vectors } = parts
  const candidates = passages.map((text, place): RerankCandidate => {
    const vector = vectors?.[place]
    const score = scores?.[place] ?? 1 / (place + 1)
    return { number: first + place, text, language: 'en', score, ...(vector === undefined ? {} : { vector }) }
  })
  return { question: asked, candidates, topK: Math.max(1, topK) }
}

function unitVector(place: number): Float32Array {
  const vector = new Float32Array(8)
  vector[place % 8] = 0.8
  vector[(place + 1) % 8] = 0.6
  return vector
}

function assertSound(matches: readonly RerankedMatch[], { candidates, topK }: RerankRequest): void {
  const known = new Set(numbersOf(candidates))
  for (const { number, score } of matches) {
    assert.ok(known.delete(number), `${number} is no candidate, or comes twice.`)
    assert.ok(Number.isFinite(score), `The score of ${number} is not finite.`)
  }
  for (let place = 1; place < matches.length; place++) {
    assert.ok((matches[place - 1] as RerankedMatch).score >= (matches[place] as RerankedMatch).score, 'Not best first.')
  }
  assert.ok(matches.length >= Math.min(topK, candidates.length), 'Fewer than are wanted.')
}

function numbersOf(matches: readonly { readonly number: number }[]): number[] {
  return matches.map(({ number }) => number)
}
