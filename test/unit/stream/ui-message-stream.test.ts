import { DefaultChatTransport, readUIMessageStream, type UIMessage } from 'ai'
import { describe, expect, it } from 'vitest'
import type { AnswerEvent } from '../../../src/core/events.js'
import { RagError, toResponse } from '../../../src/index.js'
import { events, streamOf } from './support.js'

const protocol = 'ui-message-stream'

/** What `useChat` of the AI SDK makes of a response: its own transport checks every part against its schema. */
async function readAsChat(response: Response) {
  const transport = new DefaultChatTransport({ fetch: async () => response })
  const stream = await transport.sendMessages({
    trigger: 'submit-message',
    chatId: 'chat',
    messageId: undefined,
    messages: [],
    abortSignal: undefined,
  })
  const errors: unknown[] = []
  let message: UIMessage | undefined
  for await (const state of readUIMessageStream({ stream, onError: (error) => errors.push(error) })) message = state
  return { message, errors }
}

describe('the UI message stream', () => {
  it('is read by the AI SDK: text, sources, citations, metadata', async () => {
    const { message, errors } = await readAsChat(toResponse(streamOf(events), { protocol, messageId: 'm1' }))
    expect(errors).toEqual([])
    expect(message?.id).toBe('m1')
    expect(message?.parts).toMatchObject([
      {
        type: 'source-document',
        sourceId: '1',
        title: 'Mars',
        filename: 'mars-1.md',
        providerMetadata: { 'ultrafast-rag': { marker: 1, chunkId: 'chunk-1', page: 2 } },
      },
      { type: 'source-url', sourceId: '2', url: 'https://mars.example/moons', title: 'https://mars.example/moons' },
      { type: 'text', text: 'Two:\nPhobos and Deimos [1].', state: 'done' },
      { type: 'data-citation', data: { marker: 1, quote: 'It has two moons, Phobos and Deimos.' } },
    ])
    expect(message?.metadata).toMatchObject({ outcome: 'answered', tokens: { input: 9 }, finishReason: 'length' })
  })

  it('tells a failure as the SDK wants to hear it, and closes the text before', async () => {
    const failure = new RagError('OVERLOADED', 'Too many questions.', { data: { key: 'sk-secret' } })
    const response = toResponse(streamOf(events.slice(0, 3), failure), { protocol })
    const { message, errors } = await readAsChat(response)
    expect(errors.map(String)).toEqual(['Error: Too many questions. (OVERLOADED)'])
    expect(message?.parts.at(-1)).toEqual(expect.objectContaining({ type: 'text', state: 'done' }))
  })

  it('of no answer is a message without text that says so in its metadata', async () => {
    const last = events.at(-1) as Extract<AnswerEvent, { type: 'metadata' }>
    const none: AnswerEvent = { ...last, outcome: 'no-answer', finishReason: 'no-answer', reason: 'Nothing.' }
    const { message, errors } = await readAsChat(toResponse(streamOf([none]), { protocol }))
    expect([message?.parts, errors]).toEqual([[], []])
    expect(message?.metadata).toMatchObject({ outcome: 'no-answer', reason: 'Nothing.' })
  })

  it('has the headers of the protocol and ends with its last word', async () => {
    const response = toResponse(streamOf(events), { protocol })
    expect(response.headers.get('x-vercel-ai-ui-message-stream')).toBe('v1')
    expect((await response.text()).endsWith('data: [DONE]\n\n')).toBe(true)
  })
})
