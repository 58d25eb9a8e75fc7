import type { AnswerMetadata, Citation, FinishReason, Source } from '../core/answer.js'
import type { AnswerEvent, QueryStage } from '../core/events.js'
import { frame, type Protocol } from './protocol.js'

/** The parts of the AI SDK's UI message stream (version 5 and 6) that an answer is made of. */
export type UiMessageChunk =
  | { readonly type: 'start'; readonly messageId?: string }
  | { readonly type: 'data-status'; readonly transient: true; readonly data: { readonly stage: QueryStage } }
  | SourcePart
  | { readonly type: 'text-start' | 'text-end'; readonly id: string }
  | { readonly type: 'text-delta'; readonly id: string; readonly delta: string }
  | { readonly type: 'data-citation'; readonly id: string; readonly data: Citation }
  | {
      readonly type: 'finish'
      readonly finishReason: Exclude<FinishReason, 'no-answer'>
      readonly messageMetadata: AnswerMetadata
    }
  | { readonly type: 'error'; readonly errorText: string }

type SourcePart = {
  /** The marker. */
  readonly sourceId: string
  readonly title: string
  readonly providerMetadata: { readonly 'ultrafast-rag': SourceFacts }
} & (
  | { readonly type: 'source-url'; readonly url: string }
  | { readonly type: 'source-document'; readonly mediaType: string; readonly filename: string }
)

/** What tells where a source stands. Its text stays on the server. */
interface SourceFacts {
  readonly marker: number
  readonly documentId: string
  readonly chunkId: string
  readonly score: number
  readonly page?: number
  readonly [key: string]: string | number | undefined
}

const textId = 'answer'

/**
 * The protocol that `useChat` of the AI SDK reads: text parts, a source part for each source, `data-citation` parts, transient `data-status`
 * parts, and what `metadata` says as the message's metadata.
 */
export function createUiMessageProtocol({ messageId }: { readonly messageId?: string } = {}): Protocol {
  let isTextOpen = false
  let citations = 0
  const closeText = (): UiMessageChunk[] => {
    if (!isTextOpen) return []
    isTextOpen = false
    return [{ type: 'text-end', id: textId }]
  }
  const openText = (): UiMessageChunk[] => {
    if (isTextOpen) return []
    isTextOpen = true
    return [{ type: 'text-start', id: textId }]
  }
  const chunksOf = (event: AnswerEvent): UiMessageChunk[] => {
    switch (event.type) {
      case 'status':
        return [{ type: 'data-status', transient: true, data: { stage: event.stage } }]
      case 'sources':
        return event.sources.map(toSourcePart)
      case 'answer-delta':
        return [...openText(), { type: 'text-delta', id: textId, delta: event.text }]
      case 'citation':
        return [{ type: 'data-citation', id: `citation-${++citations}`, data: event.citation }]
      case 'metadata': {
        const { type: _type, ...messageMetadata } = event
        // The protocol knows no answer that is none; the metadata says it.
        const finishReason = event.finishReason === 'no-answer' ? 'stop' : event.finishReason
        return [...closeText(), { type: 'finish', finishReason, messageMetadata }]
      }
      default:
        // Events of a later version, or of a mapping of the caller's, are nothing this protocol knows.
        return []
    }
  }
  return {
    headers: { 'x-vercel-ai-ui-message-stream': 'v1' },
    begin: () => encode([{ type: 'start', ...(messageId === undefined ? {} : { messageId }) }]),
    event: (event) => encode(chunksOf(event)),
    failure: ({ code, message }) => encode([...closeText(), { type: 'error', errorText: `${message} (${code})` }]),
    end: () => frame('[DONE]'),
  }
}

function encode(chunks: readonly UiMessageChunk[]): string {
  return chunks.map((chunk) => frame(JSON.stringify(chunk))).join('')
}

function toSourcePart({ chunk, marker, score }: Source): UiMessageChunk {
  const { documentId, id, span, title } = chunk
  const facts = { marker, documentId, chunkId: id, score, ...(span.page === undefined ? {} : { page: span.page }) }
  const common = {
    sourceId: String(marker),
    title: title === '' ? documentId : title,
    providerMetadata: { 'ultrafast-rag': facts },
  }
  return /^https?:\/\//i.test(documentId)
    ? { type: 'source-url', url: documentId, ...common }
    : { type: 'source-document', mediaType: 'text/plain', filename: documentId, ...common }
}
