import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { RagError } from '../../../src/core/errors.js'
import { createBalancedLlm } from '../../../src/llm/balance.js'
import { createFallbackLlm } from '../../../src/llm/fallback.js'
import { createRoutedLlm } from '../../../src/llm/route.js'
import type { GenerateEnd, Llm } from '../../../src/llm/types.js'
import { fakePrompt } from '../../../src/testing/index.js'
import { createFakeClock } from '../../lib/fake-clock.js'

const prompt = fakePrompt('Where is the marmalade?', ['The marmalade is in the teapot.'])

/** What a model does when it is asked: parts, an error in their place, or for ever nothing. */
type Script = readonly (string | Error | 'hang')[]

interface Player extends Llm {
  asked: number
  /** Answers begun and not ended. */
  running: number
}

function player(id: string, script: (place: number) => Script, end?: GenerateEnd): Player {
  const llm: Player = {
    id,
    asked: 0,
    running: 0,
    async *generate(_prompt, { signal, onEnd }) {
      llm.running++
      try {
        for (const part of script(llm.asked++)) {
          await new Promise(setImmediate)
          signal?.throwIfAborted()
          if (part instanceof Error) throw part
          if (part === 'hang')
            await new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
          yield part
        }
        if (end !== undefined) onEnd?.(end)
      } finally {
        llm.running--
      }
    },
    async close() {},
  }
  return llm
}

const says = (id: string, end?: GenerateEnd) => player(id, () => [id, '!'], end)
const fails = (id: string, error: Error = down) => player(id, () => [error])
const down = new RagError('PROVIDER', 'It is down.', { retryable: true })
const tooMany = (retryAfterMs: number) =>
  new RagError('PROVIDER', 'Too many.', { retryable: true, data: { status: 429, retryAfterMs } })

const opening = (models: readonly Llm[]) => models.map((model) => async () => model)

async function ask(llm: Llm, signal?: AbortSignal) {
  const parts: string[] = []
  const ends: GenerateEnd[] = []
  const options = { onEnd: (end: GenerateEnd) => void ends.push(end), ...(signal === undefined ? {} : { signal }) }
  for await (const part of llm.generate(prompt, options)) parts.push(part)
  expect(ends).toHaveLength(1)
  return { text: parts.join(''), end: ends[0] }
}

describe('a fallback chain', () => {
  const chain = (models: readonly Llm[], more = {}, tools = {}) =>
    createFallbackLlm({ models: opening(models), ...more }, tools)

  it('asks the preferred model, and tells who answered', async () => {
    const [first, second] = [says('first', { outputTokens: 2, model: 'first-2026' }), says('second')]
    expect(await ask(chain([first, second]))).toEqual({ text: 'first!', end: { outputTokens: 2, model: 'first-2026' } })
    expect(second.asked).toBe(0)
    expect((await ask(chain([fails('x'), second]))).end).toEqual({ model: 'second', isSubstitute: true })
  })

  it.each([
    ['a service that failed', down],
    ['too much at once', new RagError('OVERLOADED', 'Full.')],
    ['a silence', new RagError('TIMEOUT', 'Silent.')],
    ['a package that is missing', new RagError('MISSING_PEER', 'None.')],
    ['an error of somebody else', new TypeError('fetch failed')],
  ])('goes on after %s before the first word, and opens a model when it is its turn', async (_, error) => {
    const opened: string[] = []
    const warnings: unknown[] = []
    const logger = { debug() {}, info() {}, error() {}, warn: (...told: unknown[]) => void warnings.push(told) }
    const models = [fails('a', error), says('b'), says('c')]
    const llm = createFallbackLlm({
      models: models.map((model) => async () => {
        opened.push(model.id)
        return model
      }),
      logger,
    })
    expect((await ask(llm)).text).toBe('b!')
    expect(opened).toEqual(['a', 'b'])
    expect(warnings).toHaveLength(1)
    expect(inspect(warnings)).toContain("'a'")
    expect(inspect(warnings)).not.toMatch(/marmalade|fetch failed/)
  })

  it('goes on when a model cannot be opened', async () => {
    const broken = async () => Promise.reject(new RagError('MISSING_PEER', 'Not installed.'))
    expect((await ask(createFallbackLlm({ models: [broken, async () => says('b')] }))).text).toBe('b!')
  })

  it('does not go on after the first word, a wrong option, an abort, or an answer of nothing', async () => {
    const spare = says('spare')
    const late = player('late', () => ['It is ', down])
    const parts: string[] = []
    await expect(async () => {
      for await (const part of chain([late, spare]).generate(prompt, {})) parts.push(part)
    }).rejects.toBe(down)
    expect(parts).toEqual(['It is '])
    const wrong = new RagError('BAD_OPTION', 'No key.')
    await expect(ask(chain([fails('x', wrong), spare]))).rejects.toBe(wrong)
    expect(await ask(chain([player('silent', () => []), spare]))).toMatchObject({ text: '', end: { model: 'silent' } })
    const controller = new AbortController()
    const waiting = ask(chain([player('slow', () => ['hang']), spare]), controller.signal)
    setImmediate(() => controller.abort(new Error('enough')))
    await expect(waiting).rejects.toThrow('enough')
    expect(spare.asked).toBe(0)
  })

  it('tells what each of them said when none answered, and nothing that was asked', async () => {
    const strange = new Error('Cannot read: The marmalade is in the teapot.')
    const error = await ask(chain([fails('a', tooMany(700)), fails('b', strange), fails('c')])).catch(
      (reason) => reason,
    )
    expect(error).toMatchObject({
      code: 'PROVIDER',
      message: 'None of the models answered: a (PROVIDER), b (PROVIDER), c (PROVIDER).',
      retryable: true,
      data: {
        retryAfterMs: 700,
        failures: [
          { model: 'a', code: 'PROVIDER', message: 'Too many.' },
          { model: 'b', error: 'Error' },
          { model: 'c' },
        ],
      },
    })
    expect(inspect(error, { depth: 9 })).not.toContain('marmalade')
    await expect(ask(chain([fails('a', strange)]))).rejects.toBe(strange)
  })

  it('moves on when the first word, or the next one, takes too long; the model is told to stop', async () => {
    const slow = player('slow', () => ['hang'])
    expect((await ask(chain([slow, says('b')], { firstTokenTimeoutMs: 100 }))).text).toBe('b!')
    expect(slow.running).toBe(0)
    const stuck = player('stuck', () => ['It is ', 'hang'])
    await expect(ask(chain([stuck, says('b')], { idleTimeoutMs: 100 }))).rejects.toMatchObject({
      code: 'TIMEOUT',
      data: { reason: 'idle' },
    })
    expect(stuck.running).toBe(0)
  })

  it('stops a model that does not stop', async () => {
    const endless = player('endless', () => Array.from({ length: 10_000 }, () => 'more 😀'))
    const { text, end } = await ask(chain([endless], { maxAnswerChars: 13 }))
    expect(text).toBe('more 😀more ')
    expect(end).toEqual({ finishReason: 'length', model: 'endless' })
    expect(endless.running).toBe(0)
  })

  it('leaves a model alone that keeps failing, then asks it once to see, and goes back to it when it works', async () => {
    const clock = createFakeClock()
    let isDown = true
    const first = player('first', () => (isDown ? [down] : ['first']))
    const second = says('second')
    const llm = chain([first, second], { maxFailures: 2, restMs: 1_000 }, { clock })
    for (let i = 0; i < 5; i++) await ask(llm)
    expect(first.asked).toBe(2)
    await clock.pass(1_001)
    await Promise.all([ask(llm), ask(llm), ask(llm)])
    expect(first.asked).toBe(3)
    await clock.pass(1_001)
    await ask(llm)
    // It failed again, and is left alone for twice as long.
    expect(first.asked).toBe(3)
    isDown = false
    await clock.pass(1_000)
    expect((await ask(llm)).text).toBe('first')
    expect((await ask(llm)).text).toBe('first')
  })

  it('leaves a model alone that asks for it, and asks the one that is back first when all do', async () => {
    const clock = createFakeClock()
    const first = player('first', (place) => (place === 0 ? [tooMany(5_000)] : ['first']))
    const second = player('second', (place) => (place === 1 ? [tooMany(3_000)] : ['second']))
    const llm = chain([first, second], {}, { clock })
    expect((await ask(llm)).text).toBe('second')
    await expect(ask(llm)).rejects.toMatchObject({ data: { retryAfterMs: 3_000 } })
    expect((await ask(llm)).text).toBe('second')
    await clock.pass(5_001)
    expect((await ask(llm)).text).toBe('first')
  })

  it('remembers how long a model asked to be left alone, whatever becomes of its other answers', async () => {
    const clock = createFakeClock()
    const first = player('first', (place) => (place === 0 ? ['hang'] : [tooMany(60_000)]))
    const llm = chain([first, says('second')], {}, { clock })
    const controller = new AbortController()
    const hanging = ask(llm, controller.signal)
    hanging.catch(() => {})
    await new Promise(setImmediate)
    expect((await ask(llm)).text).toBe('second!')
    controller.abort(new Error('enough'))
    await expect(hanging).rejects.toThrow('enough')
    expect((await ask(llm)).text).toBe('second!')
    expect(first.asked).toBe(2)
  })

  it('does not hold a prompt that a model refuses against it', async () => {
    const refusing = fails('a', new RagError('PROVIDER', 'Too long.', { data: { status: 400 } }))
    const llm = chain([refusing, says('b')], { maxFailures: 1 })
    for (let i = 0; i < 4; i++) await ask(llm)
    expect(refusing.asked).toBe(4)
  })

  it('counts failures in the middle of answers as well', async () => {
    const late = player('late', () => ['It is ', down])
    const llm = chain([late, says('b')], { maxFailures: 2 })
    for (let i = 0; i < 2; i++) await expect(ask(llm)).rejects.toBe(down)
    expect((await ask(llm)).text).toBe('b!')
  })

  it('warms up the first that can be', async () => {
    const warmed: string[] = []
    const warming = (id: string, error?: Error): Llm => ({
      ...says(id),
      warmUp: async () => {
        if (error !== undefined) throw error
        warmed.push(id)
      },
    })
    await chain([warming('a', down), warming('b'), warming('c')]).warmUp?.({})
    expect(warmed).toEqual(['b'])
    await expect(chain([warming('a', down)]).warmUp?.({})).rejects.toBe(down)
    await expect(chain([says('plain')]).warmUp?.({})).resolves.toBeUndefined()
  })

  it('can be nested, and needs a model', async () => {
    const inner = chain([fails('a'), fails('b')])
    expect((await ask(chain([inner, chain([fails('c'), says('d')])]))).end).toEqual({ model: 'd', isSubstitute: true })
    expect((await ask(chain([chain([fails('c'), says('d')])]))).end).toEqual({ model: 'd', isSubstitute: true })
    expect(() => createFallbackLlm({ models: [] })).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }))
  })
})

describe('a balance', () => {
  const balance = (models: readonly Llm[], more = {}, tools = {}) =>
    createBalancedLlm({ models: opening(models), ...more }, tools)

  it('spreads answers evenly, those at the same time as well', async () => {
    for (const strategy of ['least-busy', 'round-robin'] as const) {
      const models = [says('a'), says('b'), says('c')]
      const llm = balance(models, { strategy })
      await Promise.all(Array.from({ length: 6 }, () => ask(llm)))
      for (let i = 0; i < 6; i++) await ask(llm)
      expect(models.map(({ asked }) => asked)).toEqual([4, 4, 4])
    }
  })

  it('asks the one that writes the fewest answers, unless it is to take turns', async () => {
    for (const [strategy, expected] of [
      ['least-busy', [1, 5]],
      ['round-robin', [3, 3]],
    ] as const) {
      const controller = new AbortController()
      const busy = player('busy', (place) => (place === 0 ? ['hang'] : ['busy']))
      const free = says('free')
      const llm = balance([busy, free], { strategy })
      const held = ask(llm, controller.signal)
      for (let i = 0; i < 5; i++) await ask(llm)
      expect([busy.asked, free.asked]).toEqual(expected)
      controller.abort(new Error('enough'))
      await expect(held).rejects.toThrow('enough')
      expect(busy.running).toBe(0)
    }
  })

  it('goes to another when one fails before its first word, and asks none twice', async () => {
    const models = [fails('a'), fails('b'), says('c')]
    expect((await ask(balance(models))).end).toEqual({ model: 'c' })
    expect(models.map(({ asked }) => asked)).toEqual([1, 1, 1])
    const all = [fails('a'), fails('b')]
    await expect(ask(balance(all))).rejects.toMatchObject({
      code: 'PROVIDER',
      data: { failures: [{ model: 'a' }, { model: 'b' }] },
    })
    expect(all.map(({ asked }) => asked)).toEqual([1, 1])
    const late = player('late', () => ['It is ', down])
    await expect(ask(balance([late, says('b')]))).rejects.toBe(down)
  })

  it('leaves one alone that says Retry-After, until then', async () => {
    const clock = createFakeClock()
    const limited = player('limited', (place) => (place === 0 ? [tooMany(5_000)] : ['limited']))
    const other = says('other')
    const llm = balance([limited, other], { strategy: 'round-robin' }, { clock })
    for (let i = 0; i < 4; i++) expect((await ask(llm)).text).toBe('other!')
    expect(limited.asked).toBe(1)
    await clock.pass(5_001)
    const texts = [await ask(llm), await ask(llm)].map(({ text }) => text)
    expect(texts.sort()).toEqual(['limited', 'other!'])
  })

  it('waits for the one that is back first when all are limited, but not for long', async () => {
    const clock = createFakeClock()
    const limited = (id: string, wait: number) => player(id, (place) => (place === 0 ? [tooMany(wait)] : [id]))
    const llm = balance([limited('a', 4_000), limited('b', 2_000)], {}, { clock })
    expect((await clock.settle(ask(llm))).text).toBe('b')
    expect(clock.now()).toBe(2_000)

    const patient = balance([limited('a', 40_000), limited('b', 20_000)], {}, { clock })
    await expect(ask(patient)).rejects.toMatchObject({ code: 'PROVIDER', data: { retryAfterMs: 20_000 } })
    await expect(ask(patient)).rejects.toMatchObject({
      code: 'OVERLOADED',
      retryable: true,
      data: { retryAfterMs: 20_000 },
    })
    const always = fails('x', tooMany(100))
    await expect(clock.settle(ask(balance([always], {}, { clock })))).rejects.toMatchObject({ code: 'PROVIDER' })
    expect(always.asked).toBe(2)
  })

  it('stops waiting when it is aborted', async () => {
    const clock = createFakeClock()
    const llm = balance([fails('a', tooMany(5_000))], {}, { clock })
    const controller = new AbortController()
    const waiting = ask(llm, controller.signal)
    waiting.catch(() => {})
    while (clock.sleeping === 0) await new Promise(setImmediate)
    controller.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
    expect(clock.sleeping).toBe(0)
  })

  it('takes no harm from many who leave', async () => {
    const models = [says('a'), says('b')]
    const llm = balance(models)
    await Promise.all(
      Array.from({ length: 50 }, async (_, place) => {
        for await (const _part of llm.generate(prompt, {})) if (place % 2 === 0) break
      }),
    )
    expect(models.map(({ running }) => running)).toEqual([0, 0])
    expect(models[0]?.asked).toBe(25)
  })
})

describe('a route', () => {
  it('asks the model that the rule chooses, and tells which', async () => {
    const [simple, strong] = [says('small'), says('large', { finishReason: 'length' })]
    const route = (rule: () => unknown) =>
      createRoutedLlm({ simple: async () => simple, strong: async () => strong, rule: rule as never })
    expect(await ask(route(() => 'simple'))).toEqual({ text: 'small!', end: { model: 'small' } })
    expect(await ask(route(() => 'strong'))).toEqual({
      text: 'large!',
      end: { model: 'large', finishReason: 'length' },
    })
    for (const wrong of ['other', undefined, Promise.resolve('simple')]) {
      await expect(ask(route(() => wrong))).rejects.toMatchObject({ code: 'BAD_OPTION' })
    }
    const mistake = new Error('mistake')
    await expect(
      ask(
        route(() => {
          throw mistake
        }),
      ),
    ).rejects.toBe(mistake)
  })

  it('opens a model when it is first chosen, or warmed up', async () => {
    const opened: string[] = []
    const open = (id: string) => async () => {
      opened.push(id)
      return says(id)
    }
    const llm = createRoutedLlm({ simple: open('small'), strong: open('large') })
    await ask(llm)
    expect(opened).toEqual(['small'])
    await llm.warmUp?.({})
    expect(opened).toEqual(['small', 'small', 'large'])
  })
})
