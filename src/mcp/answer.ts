import type { Citation, Source } from '../core/answer.js'
import type { AnswerEvent, QueryStage } from '../core/events.js'
import type { ToolCall } from './call.js'

/** Stages in order, as progress: how far, and in words. */
const stages: Readonly<Record<QueryStage, { readonly progress: number; readonly message: string }>> = {
  understand: { progress: 0.5, message: 'Understanding the question' },
  retrieve: { progress: 1, message: 'Searching the documents' },
  rerank: { progress: 2, message: 'Ordering the passages' },
  pack: { progress: 3, message: 'Choosing the sources' },
  generate: { progress: 4, message: 'Writing the answer' },
}
const total = 5

/** The tool `answer`. Tells of each stage as it begins. */
export async function answer({ arguments: given, options, rag, report, signal }: ToolCall) {
  const { question, topK } = given as { readonly question: string; readonly topK?: number }
  const citations: Citation[] = []
  let sources: readonly Source[] = []
  let end: Extract<AnswerEvent, { type: 'metadata' }> | undefined
  let text = ''
  let reached = 0
  for await (const event of rag.stream(question, { ...options, ...(topK === undefined ? {} : { topK }), signal })) {
    if (event.type === 'answer-delta') text += event.text
    else if (event.type === 'citation') citations.push(event.citation)
    else if (event.type === 'sources') sources = event.sources
    else if (event.type === 'metadata') end = event
    else if (event.type === 'status') {
      const { message, progress } = stages[event.stage]
      // Progress never goes back, whatever the order of the stages is.
      if (progress > reached) report({ progress, total, message })
      reached = Math.max(reached, progress)
    }
  }
  const answered = end?.outcome === 'answered'
  return {
    outcome: answered ? 'answered' : 'no-answer',
    answer: text,
    ...(end?.reason === undefined ? {} : { reason: end.reason }),
    citations: citations.map(({ chunkId, documentId, marker, page, quote, span, title }) => ({
      marker,
      documentId,
      title,
      ...(page === undefined ? {} : { page }),
      chunkId,
      start: span.start,
      end: span.end,
      quote,
    })),
    sources: (answered ? sources : []).map(({ chunk, marker }) => ({
      marker,
      documentId: chunk.documentId,
      title: chunk.title,
      ...(chunk.span.page === undefined ? {} : { page: chunk.span.page }),
      chunkId: chunk.id,
    })),
  }
}
