import type { ServerResponse } from 'node:http'
import { describe, expect, it } from 'vitest'
import { createCheckedEnricher } from '../../../src/enrich/checked.js'
import { createEnrichCalls } from '../../../src/enrich/limited.js'
import { createQuestionsEnricher } from '../../../src/enrich/questions.js'
import { createThriftyEnricher } from '../../../src/enrich/thrifty.js'
import { createFunctionLlm } from '../../../src/llm/function.js'
import { buildPrompt } from '../../../src/llm/prompt.js'
import { enrichPassage } from '../../../src/testing/index.js'
import { type ChatApi, startChatApi } from '../../lib/chat-api.js'

/** A server that fails as it is told, and questions that are asked of it. */
async function withService(
  reply: ChatApi['reply'],
  run: (
    api: ChatApi,
    enrich: (count: number) => ReturnType<ReturnType<typeof createThriftyEnricher>['enrich']>,
  ) => Promise<void>,
  limits: { readonly timeoutMs?: number } = {},
): Promise<void> {
  const api = await startChatApi(reply)
  const calls = createEnrichCalls(
    {
      maxConcurrency: 4,
      requestsPerMinute: Number.POSITIVE_INFINITY,
      tokensPerMinute: Number.POSITIVE_INFINITY,
      delayMs: 0,
      timeoutMs: 5_000,
      maxAttempts: 3,
      maxRetryAfterMs: 60_000,
      ...limits,
    },
    { random: () => 0 },
  )
  const llm = createFunctionLlm(api.llm)
  const questions = createQuestionsEnricher({ llm: async () => llm, model: 'm', buildPrompt })
  const enricher = createThriftyEnricher(calls.limit(createCheckedEnricher(questions)), {
    cache: undefined,
    inTurn: calls.inTurn,
  })
  const enrich = (count: number) =>
    enricher.enrich(
      Array.from({ length: count }, (_, place) => enrichPassage({ text: `passage ${place}` })),
      {},
    )
  try {
    await run(api, enrich)
  } finally {
    await api.close()
  }
}

const status =
  (code: number, headers: Record<string, string> = {}) =>
  (response: ServerResponse) =>
    response.writeHead(code, headers).end('passage 0 is not welcome')

const once =
  (bad: (response: ServerResponse) => void): ChatApi['reply'] =>
  (_prompt, place) =>
    place === 0 ? bad : 'What is it?'

describe('a service', () => {
  it.each<[string, (response: ServerResponse) => void]>([
    ['says that there are too many', status(429, { 'retry-after-ms': '5' })],
    ['fails', status(500)],
    ['breaks the connection', (response) => response.destroy()],
    [
      'breaks off in the middle of an answer',
      (response) => {
        response.writeHead(200, { 'content-length': '1000' }).write('What')
        setTimeout(() => response.destroy(), 5)
      },
    ],
    ['says nothing', (response) => response.end()],
  ])('that %s once is asked again', async (_what, bad) => {
    await withService(once(bad), async (api, enrich) => {
      expect(await enrich(1)).toEqual({ lines: [['What is it?']], failed: [] })
      expect(api.prompts).toHaveLength(2)
    })
  })

  it.each([400, 401, 404, 413, 422])('that says %d is not asked again, and not quoted', async (code) => {
    await withService(
      () => status(code),
      async (api, enrich) => {
        const { failed, lines } = await enrich(1)
        expect(lines).toEqual([[]])
        expect(failed[0]?.error).toMatchObject({ code: 'PROVIDER', data: { enricher: 'questions', status: code } })
        expect(JSON.stringify(failed)).not.toContain('passage 0')
        expect(api.prompts).toHaveLength(1)
      },
    )
  })

  it.each<[string, ChatApi['reply']]>([
    ['does not answer', () => () => {}],
    [
      'drips',
      () => (response) => {
        response.writeHead(200)
        const timer = setInterval(() => response.write('a'), 10)
        response.once('close', () => clearInterval(timer))
      },
    ],
  ])('that %s is left after its time', async (_what, reply) => {
    await withService(
      reply,
      async (api, enrich) => {
        const { failed } = await enrich(1)
        expect(failed[0]?.error).toMatchObject({ code: 'TIMEOUT', retryable: true })
        expect(api.prompts).toHaveLength(3)
        await expect.poll(() => api.running).toBe(0)
        expect(api.abandoned).toBe(3)
      },
      { timeoutMs: 60 },
    )
  })

  it('that never ends is read no further than is of use', async () => {
    await withService(
      () => (response) => {
        const pour = () => {
          while (!response.destroyed && response.write('What is it now?\n'.repeat(256)));
          if (!response.destroyed) response.once('drain', pour)
        }
        pour()
      },
      async (api, enrich) => {
        expect(await enrich(1)).toEqual({ lines: [Array(3).fill('What is it now?')], failed: [] })
        await expect.poll(() => api.running).toBe(0)
      },
    )
  })

  it('is asked no more than so often at once', async () => {
    await withService(
      async () => {
        await new Promise((resolve) => setTimeout(resolve, 5))
        return 'What?'
      },
      async (api, enrich) => {
        expect((await enrich(40)).failed).toEqual([])
        expect(api.prompts).toHaveLength(40)
        expect(api.mostRunning).toBe(4)
      },
    )
  })
})
