import { afterEach, describe, expect, it } from 'vitest'
import {
  type AnswerEvent,
  type Chat,
  type Chunker,
  type Turn,
  UltraFastRAG,
  type UltraFastRAGOptions,
} from '../../../src/index.js'
import { createScriptedLlm } from '../../../src/testing/fakes.js'

const opened: UltraFastRAG[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((rag) => rag.close()))
})

const chunker: Chunker = { id: 'whole', fingerprint: 'whole/1', chunk: ({ text }) => [{ start: 0, end: text.length }] }
const documents = [
  { id: 'eiffel', title: 'Eiffel Tower', text: 'The Eiffel Tower is 330 metres tall. It was built in 1889.' },
  { id: 'ben', title: 'Big Ben', text: 'The tower of Big Ben is 96 metres tall. It was built in 1859.' },
]

async function open(options: UltraFastRAGOptions = {}): Promise<UltraFastRAG> {
  const rag = new UltraFastRAG({ embedder: false, chunker, ...options })
  opened.push(rag)
  await rag.ingest(documents)
  return rag
}

async function say(chat: Chat, question: string, options: Parameters<Chat['send']>[1] = {}) {
  const events: AnswerEvent[] = []
  for await (const event of chat.send(question, options)) events.push(event)
  const metadata = events.at(-1) as Extract<AnswerEvent, { type: 'metadata' }>
  const answer = events.map((event) => (event.type === 'answer-delta' ? event.text : '')).join('')
  return { answer, events, understood: metadata.understood, metadata }
}

const user = (content: string): Turn => ({ role: 'user', content })
const assistant = (content: string): Turn => ({ role: 'assistant', content })

describe('a chat', () => {
  it('answers what goes on with what was asked before, without a model', async () => {
    const chat = (await open()).chat()
    expect((await say(chat, 'How tall is the Eiffel Tower?')).answer).toContain('330 metres')
    const second = await say(chat, 'When was it built?')
    expect(second.answer).toContain('1889')
    expect(second.understood).toMatchObject({ condensed: 'terms' })
    expect((await say(chat, 'How tall is Big Ben?')).answer).toContain('96 metres')
    expect((await say(chat, 'And when was it built?')).answer).toContain('1859')
  })

  it('yields what stream() yields', async () => {
    const rag = await open()
    const { events } = await say(rag.chat({ topK: 1 }), 'How tall is the Eiffel Tower?')
    const streamed: AnswerEvent[] = []
    for await (const event of rag.stream('How tall is the Eiffel Tower?', { topK: 1 })) streamed.push(event)
    const plain = (list: AnswerEvent[]) => list.filter(({ type }) => type !== 'metadata')
    expect(plain(events)).toEqual(plain(streamed))
    expect(events.at(-1)?.type).toBe('metadata')
  })

  it('remembers questions with their answers as plain data, of which another chat is made', async () => {
    const rag = await open()
    const chat = rag.chat()
    const { answer } = await say(chat, 'How tall is the Eiffel Tower?')
    const { history } = chat
    expect(history).toEqual([user('How tall is the Eiffel Tower?'), assistant(answer)])
    history.length = 0
    expect(chat.history).toHaveLength(2)
    const other = rag.chat({ history: JSON.parse(JSON.stringify(chat.history)) })
    expect((await say(other, 'When was it built?')).answer).toContain('1889')
    expect(other.history).toHaveLength(4)
    expect(chat.history).toHaveLength(2)
  })

  it('remembers a question that has no answer, too', async () => {
    const chat = (await open()).chat()
    expect((await say(chat, 'zebra?')).metadata.outcome).toBe('no-answer')
    expect(chat.history).toEqual([user('zebra?'), assistant('')])
  })

  it('forgets the oldest beyond maxTurns and maxHistoryChars', async () => {
    const llm = createScriptedLlm(({ question }) => [`${question} ${'x'.repeat(200)} [1]`])
    const rag = await open({ llm, understand: { condense: 'terms' } })
    const few = rag.chat({ maxTurns: 2 })
    for (let i = 0; i < 5; i++) await say(few, `How tall is Eiffel tower number${i}?`)
    expect(few.history.filter(({ role }) => role === 'user').map(({ content }) => content)).toEqual([
      'How tall is Eiffel tower number3?',
      'How tall is Eiffel tower number4?',
    ])
    const short = rag.chat({ maxHistoryChars: 1_000 })
    for (let i = 0; i < 8; i++) await say(short, `How tall is Eiffel tower number${i}?`)
    const { history } = short
    expect(history.reduce((sum, { content }) => sum + content.length, 0)).toBeLessThanOrEqual(1_000)
    expect(history[0]?.role).toBe('user')
    expect(history.at(-2)?.content).toBe('How tall is Eiffel tower number7?')
    expect(history.length).toBeGreaterThanOrEqual(4)
  })

  it('cuts an answer, or a question, that is longer than all it may remember', async () => {
    const llm = createScriptedLlm(() => ['y'.repeat(5_000)])
    const rag = await open({ llm })
    const chat = rag.chat({ maxHistoryChars: 1_000 })
    await say(chat, `How tall is the Eiffel Tower? ${'z'.repeat(5_000)}`)
    expect(chat.history.map(({ role }) => role)).toEqual(['user', 'assistant'])
    expect(chat.history.every(({ content }) => content.length <= 500)).toBe(true)
    const given = rag.chat({ history: [user('a'), assistant('b'), user('c'.repeat(9_000))], maxHistoryChars: 1_000 })
    expect(given.history.map(({ content }) => content.length)).toEqual([1, 1, 500].slice(-given.history.length))
  })

  it('does not remember what failed, was aborted or was left', async () => {
    let fails = true
    const llm = createScriptedLlm(() => (fails ? ['Some ', new Error('cut')] : ['All [1].']))
    const chat = (await open({ llm })).chat()
    await expect(say(chat, 'How tall is the Eiffel Tower?')).rejects.toThrow('cut')
    expect(chat.history).toEqual([])
    await expect(say(chat, 'How tall is it?', { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow(
      'enough',
    )
    await expect(say(chat, '   ')).rejects.toMatchObject({ code: 'BAD_INPUT' })
    fails = false
    for await (const event of chat.send('How tall is the Eiffel Tower?')) if (event.type === 'answer-delta') break
    expect(chat.history).toEqual([])
    await say(chat, 'How tall is the Eiffel Tower?')
    expect(chat.history).toHaveLength(2)
  })

  it('remembers what was read to its last event, though nobody asked for more', async () => {
    const chat = (await open()).chat()
    for await (const event of chat.send('How tall is the Eiffel Tower?')) if (event.type === 'metadata') break
    expect(chat.history).toHaveLength(2)
  })

  it('answers one question at a time; one that was never read does not count', async () => {
    const chat = (await open()).chat()
    const never = chat.send('Never read?')
    const first = chat.send('How tall is the Eiffel Tower?')
    await first.next()
    await expect(chat.send('How tall is Big Ben?').next()).rejects.toMatchObject({ code: 'BAD_INPUT' })
    await expect(never.next()).rejects.toMatchObject({ code: 'BAD_INPUT' })
    await first.return(undefined)
    expect((await say(chat, 'How tall is Big Ben?')).answer).toContain('96')
  })

  it('begins anew with reset(), also while a question is under way', async () => {
    const chat = (await open()).chat({ history: [user('How tall is Big Ben?'), assistant('96 metres.')] })
    const running = chat.send('And the Eiffel Tower?')
    await running.next()
    chat.reset()
    expect(chat.history).toEqual([])
    expect((await say(chat, 'How tall is the Eiffel Tower?')).answer).toContain('330')
    for await (const _event of running);
    expect(chat.history).toHaveLength(2)
  })

  it('sees the documents of its namespace', async () => {
    const rag = await open()
    const other = rag.namespace('other')
    await other.ingest([{ id: 'moon', text: 'The moon is 384,000 kilometres away from the earth.' }])
    expect((await say(other.chat(), 'How far away is the moon from the earth?')).answer).toContain('384,000')
    expect((await say(rag.chat(), 'How far away is the moon from the earth?')).answer).toBe('')
  })

  it('takes options of its own, and of each question over them', async () => {
    const rag = await open()
    const chat = rag.chat({ topK: 1 })
    const sources = async (options?: { topK: number }) =>
      (await say(chat, 'How tall is the tower of the town?', options)).events.flatMap((event) =>
        event.type === 'sources' ? event.sources : [],
      ).length
    expect([await sources(), await sources({ topK: 2 })]).toEqual([1, 2])
  })

  it.each([
    { maxTurns: 0 },
    { maxTurns: 1_001 },
    { maxHistoryChars: 10 },
    { history: 'text' },
    { history: [{ role: 'system', content: 'x' }] },
    { topK: 0 },
    { understand: false },
    { understand: { condense: false } },
    { rembember: 3 },
  ])('refuses %o', async (options) => {
    const rag = new UltraFastRAG()
    opened.push(rag)
    expect(() => rag.chat(options as never)).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }))
  })
})
