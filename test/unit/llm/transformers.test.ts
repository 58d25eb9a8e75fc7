import { afterEach, describe, expect, it } from 'vitest'
import { buildPrompt } from '../../../src/llm/prompt.js'
import { withoutSpecialTokens } from '../../../src/llm/transformers/special-tokens.js'
import { createTokenText } from '../../../src/llm/transformers/token-text.js'
import { createTransformersLlm, type TransformersLlmOptions } from '../../../src/llm/transformers/transformers.js'
import type { GenerateEnd, Llm } from '../../../src/llm/types.js'
import { writingModelFolder } from '../../lib/causal-lm.js'

const opened: Llm[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((llm) => llm.close()))
})

async function open(options: Partial<TransformersLlmOptions> = {}): Promise<Llm> {
  const llm = await createTransformersLlm({ model: writingModelFolder(), threads: 1, ...options })
  opened.push(llm)
  return llm
}

const promptAbout = (question: string, text = 'Nothing.') =>
  buildPrompt({
    question,
    sources: [{ marker: 1, title: '', headings: [], language: 'en', score: 1, text }],
    terms: [],
  })

async function ask(llm: Llm, question: string, { signal, text }: { signal?: AbortSignal; text?: string } = {}) {
  const parts: string[] = []
  const ends: GenerateEnd[] = []
  const options = { onEnd: (end: GenerateEnd) => void ends.push(end), ...(signal === undefined ? {} : { signal }) }
  for await (const part of llm.generate(promptAbout(question, text), options)) parts.push(part)
  return { parts, end: ends[0] }
}

describe('a local model', () => {
  it('writes token by token, never half a character, and counts its tokens', async () => {
    const llm = await open()
    await llm.warmUp?.({})
    expect(await ask(llm, 'About the tower?')).toEqual({
      parts: ['It is 330 metres tall', ' [1]. It was', ' opened in 1889 [1].'],
      end: { finishReason: 'stop', inputTokens: expect.any(Number), outputTokens: 4 },
    })
    expect((await ask(llm, 'About bread?')).parts).toEqual(['Of flour, water', ' and p', 'â', 'te [1].'])
    const silent = await ask(llm, 'About mercury and the tower?')
    expect(silent).toMatchObject({ parts: [], end: { finishReason: 'stop', outputTokens: 1 } })
    // Bytes are tokens here: the prompt, and what the template puts around two messages.
    expect(silent.end?.inputTokens).toBeGreaterThan(promptAbout('About mercury?').text.length)
  })

  it('stops at its limit and says so; thoughts are no part of an answer', async () => {
    const llm = await open({ maxTokens: 5 })
    expect(await ask(llm, 'endless?')).toMatchObject({
      parts: Array(5).fill('more '),
      end: { finishReason: 'length', outputTokens: 5 },
    })
    expect((await ask(llm, 'thinking?')).parts).toEqual(['It', ' is so.'])
  })

  it('stops between two tokens when it is aborted or left, and then writes for others', async () => {
    const llm = await open({ maxTokens: 100_000 })
    const controller = new AbortController()
    const endless = ask(llm, 'endless?', { signal: controller.signal })
    setTimeout(() => controller.abort(new Error('enough')), 300)
    await expect(endless).rejects.toThrow('enough')
    for await (const part of llm.generate(promptAbout('endless?'), {})) {
      expect(part).toBe('more ')
      break
    }
    const [tower, bread] = await Promise.all([ask(llm, 'tower?'), ask(llm, 'bread?')])
    expect([tower.parts.length, bread.parts.length]).toEqual([3, 4])
    const writing = ask(llm, 'endless?')
    writing.catch(() => {})
    await new Promise((resolve) => setTimeout(resolve, 20))
    await llm.close()
    await llm.close()
    await expect(ask(llm, 'tower?')).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(writing).rejects.toMatchObject({ code: 'CLOSED' })
  })

  it('refuses a prompt that is longer than it reads, and shortens an answer for which there is no room', async () => {
    const llm = await open({ model: writingModelFolder({ contextTokens: 2_000 }) })
    const { end } = await ask(llm, 'nothing?')
    const text = 'x'.repeat(2_000 - (end?.inputTokens as number) - 60)
    const cut = await ask(llm, 'endless?', { text })
    expect(cut.end?.finishReason).toBe('length')
    expect((cut.end?.inputTokens as number) + (cut.end?.outputTokens as number)).toBe(2_000)
    await expect(ask(llm, 'endless?', { text: 'secret '.repeat(1_000) })).rejects.toMatchObject({
      code: 'LIMIT',
      data: { contextTokens: 2_000 },
      message: expect.not.stringContaining('secret'),
    })
  })

  it('takes chats without a system, and prompts without roles', async () => {
    const gemma =
      "{% for message in messages %}{% if message.role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}<|im_start|>{{ message.content }}<|im_end|>{% endfor %}"
    for (const chatTemplate of [gemma, null]) {
      const llm = await open({ model: writingModelFolder({ chatTemplate }) })
      expect((await ask(llm, 'tower?')).parts).toHaveLength(3)
    }
  })

  it('may be told to the template, takes the file of its precision, and is known by all of that', async () => {
    const chatTemplate = '{{ about }} {% for message in messages %}{{ message.content }}{% endfor %}'
    const model = writingModelFolder({ chatTemplate, weights: 'model_q4.onnx' })
    // Drawn from the likeliest: here there is but one.
    const drawn = { temperature: 1, topP: 0.9 }
    const llm = await open({ model, quantization: 'int4', templateOptions: { about: 'bread' }, ...drawn })
    expect((await ask(llm, 'nothing?')).parts.join('')).toContain('flour')
    const others = [{}, { maxTokens: 3 }, { temperature: 1 }, { templateOptions: { about: 'tower' } }]
    const fingerprints = await Promise.all(
      others.map(async (more) => (await open({ model, quantization: 'int4', ...more })).fingerprint),
    )
    expect(new Set([llm.fingerprint, ...fingerprints]).size).toBe(5)
  })

  it('finds a template in a file of its own, which changes its fingerprint', async () => {
    const chatTemplate = 'bread {% for message in messages %}{{ message.content }}{% endfor %}'
    const model = writingModelFolder({ chatTemplate, templateFile: true })
    const llm = await open({ model })
    expect((await ask(llm, 'nothing?')).parts.join('')).toContain('flour')
    const bare = await open({ model: writingModelFolder({ chatTemplate: null }) })
    expect(bare.fingerprint).not.toBe(llm.fingerprint)
  })

  it('knows a thought that the template has begun', async () => {
    const chatTemplate = '{% for message in messages %}{{ message.content }}{% endfor %}<think>\n'
    const answers = { tower: ['What is', ' asked?</think>', '\n\nIt is tall.'] }
    const llm = await open({ model: writingModelFolder({ answers, chatTemplate }) })
    expect((await ask(llm, 'tower?')).parts.join('')).toBe('It is tall.')
    const hasty = await open({ model: writingModelFolder({ answers, chatTemplate }), maxTokens: 2 })
    await expect(ask(hasty, 'tower?')).rejects.toMatchObject({
      code: 'LIMIT',
      hint: expect.stringContaining('maxTokens'),
    })
  })

  it('is refused when it is not there, not one, or not asked rightly', async () => {
    await expect(open({ model: './nowhere' })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    for (const wrong of [{ model: '' }, { maxTokens: 0 }, { temperature: 3 }, { topP: 0 }, { threads: 1.5 }]) {
      await expect(open(wrong)).rejects.toMatchObject({ code: 'BAD_OPTION' })
    }
  })
})

describe('special tokens in a text', () => {
  it('are broken, also those that are left of others', () => {
    const special = ['<|im_end|>', '<end_of_turn>', '</s>', 'x']
    for (const text of ['a <|im_end|> b', '<end_of_turn><end_of_turn>', '<|im_<|im_end|>end|>', '</s></s>', 'x']) {
      const safe = withoutSpecialTokens(text, special)
      for (const token of special.slice(0, -1)) expect(safe).not.toContain(token)
      expect(safe.replaceAll(' ', '')).toBe(text.replaceAll(' ', ''))
    }
    expect(withoutSpecialTokens('if (a < b || c)', special)).toBe('if (a < b || c)')
  })
})

describe('the text of tokens', () => {
  it('is that of all of them together, whatever stands between words', () => {
    // As SentencePiece does: the blank before the first word of what is decoded is dropped.
    const words = ['▁the', '▁bread', 's', '▁', '\n', '▁of', 'é']
    const decode = (ids: number[]) =>
      ids
        .map((id) => words[id])
        .join('')
        .replaceAll('▁', ' ')
        .replace(/^ /, '')
    const ids = [0, 1, 2, 5, 0, 3, 3, 1, 4, 6, 0, 4, 4, 2]
    let text = ''
    const decoded = createTokenText(decode, (part) => {
      expect(part).not.toBe('')
      text += part
    })
    for (const id of ids) decoded.push(id)
    decoded.end()
    expect(text).toBe(decode(ids))
  })

  it('waits for the rest of a character, and shows what never came', () => {
    const bytes = [...Buffer.from('a😀'), 0xf0, 0x9f]
    const parts: string[] = []
    const decoded = createTokenText(
      (ids) => Buffer.from(ids).toString(),
      (part) => void parts.push(part),
    )
    for (const byte of bytes) decoded.push(byte)
    expect(parts).toEqual(['a', '😀'])
    decoded.end()
    expect(parts.join('')).toBe('a😀\ufffd')
  })
})
