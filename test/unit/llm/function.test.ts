import { describe, expect, it } from 'vitest'
import { createFunctionLlm, type GenerateFunction } from '../../../src/llm/function.js'
import { buildPrompt } from '../../../src/llm/prompt.js'

const prompt = buildPrompt({ question: 'Why?', sources: [], terms: [] })

async function collect(generate: GenerateFunction, signal?: AbortSignal): Promise<string[]> {
  const parts: string[] = []
  const options = signal === undefined ? {} : { signal }
  for await (const part of createFunctionLlm(generate).generate(prompt, options)) parts.push(part)
  return parts
}

describe('a model made of a function', () => {
  it('passes the prompt in and the parts out', async () => {
    const parts = await collect(async function* ({ question }) {
      yield question
      yield ' Because.'
    })
    expect(parts).toEqual(['Why?', ' Because.'])
  })

  it('passes failures through unchanged, late and early', async () => {
    const failure = new Error('model')
    const late = async function* (): AsyncGenerator<string> {
      yield 'a'
      throw failure
    }
    await expect(collect(late)).rejects.toBe(failure)
    await expect(
      collect(() => {
        throw failure
      }),
    ).rejects.toBe(failure)
  })

  it('refuses anything but an async iterable of strings', async () => {
    for (const wrong of ['text', null, undefined, 5, Promise.resolve('text'), ['a']]) {
      await expect(collect((() => wrong) as never)).rejects.toMatchObject({ code: 'BAD_INPUT' })
    }
    let ended = false
    const mixed = async function* () {
      try {
        yield 5
      } finally {
        ended = true
      }
    }
    await expect(collect(mixed as never)).rejects.toMatchObject({ code: 'BAD_INPUT' })
    expect(ended).toBe(true)
    expect(() => createFunctionLlm('model' as never)).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }))
  })

  it('stops at once when it is aborted, even while the function waits for ever', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    let returned = false
    const hanging: GenerateFunction = () => ({
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => {}),
        return: () => {
          returned = true
          return new Promise(() => {})
        },
      }),
    })
    const work = collect(hanging, controller.signal)
    setImmediate(() => controller.abort(reason))
    await expect(work).rejects.toBe(reason)
    expect(returned).toBe(true)
    await expect(collect(hanging, AbortSignal.abort(reason))).rejects.toBe(reason)
  })

  it('ends the function when the reader stops early', async () => {
    let ended = false
    const endless = async function* () {
      try {
        for (;;) yield 'x'
      } finally {
        ended = true
      }
    }
    for await (const _ of createFunctionLlm(endless).generate(prompt, {})) break
    expect(ended).toBe(true)
  })
})
