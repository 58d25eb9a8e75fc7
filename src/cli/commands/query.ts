import { createInterface } from 'node:readline'
import type { Citation, QueryOptions } from '../../core/answer.js'
import { RagError } from '../../core/errors.js'
import type { AnswerEvent } from '../../core/events.js'
import type { Chat } from '../../index.js'
import {
  type CliDocuments,
  type Command,
  type CommandContext,
  describeError,
  errorData,
  exitCodes,
  requireStorage,
} from '../context.js'

interface Flags {
  readonly budgetMs?: string
  readonly chat?: true
  readonly stream?: true
  readonly topK?: string
}

/** `ufrag query <question>`: answers from the stored documents; 4 when they hold no answer. With `--chat` one question after the other. */
export const query: Command<Flags> = async (context, [question], { budgetMs, chat, stream, topK }) => {
  requireStorage(context)
  if (question === undefined && chat !== true) {
    throw new RagError('BAD_OPTION', 'A question is missing.', { hint: 'ufrag query "…", or ufrag query --chat.' })
  }
  const wanted = {
    ...(topK === undefined ? {} : { topK: readCount('--top-k', topK) }),
    ...(budgetMs === undefined ? {} : { budgetMs: readCount('--budget-ms', budgetMs) }),
  }
  const options: QueryOptions = { signal: context.environment.signal, ...wanted }
  return context.withRag((rag) => {
    if (chat === true) return converse(context, rag.chat(wanted), question)
    const asked = question ?? ''
    return stream === true
      ? streamAnswer(context, rag.stream(asked, options))
      : printAnswer(context, rag, asked, options)
  })
}

/** Asks what stands on standard input, line by line, each question with what was said before. One that fails ends nothing. */
async function converse(context: CommandContext, chat: Chat, first: string | undefined): Promise<number> {
  const { environment } = context
  const ask = async (question: string): Promise<void> => {
    if (question.trim() === '') return
    try {
      await streamAnswer(context, chat.send(question, { signal: environment.signal }))
    } catch (error) {
      environment.signal.throwIfAborted()
      context.note(context.json ? JSON.stringify({ error: errorData(error) }) : describeError(error))
    }
  }
  const prompt = (): void => {
    if (environment.terminal && !context.json) environment.complain('\n> ')
  }
  if (first !== undefined) await ask(first)
  prompt()
  const input = environment.stdio?.input ?? process.stdin
  for await (const line of createInterface({ input, signal: environment.signal })) {
    await ask(line)
    prompt()
  }
  return exitCodes.ok
}

function readCount(option: string, text: string): number {
  if (/^[1-9]\d*$/.test(text)) return Number(text)
  throw new RagError('BAD_OPTION', `${option} must be a whole number from 1, but is ${JSON.stringify(text)}.`)
}

async function printAnswer(
  context: CommandContext,
  rag: CliDocuments,
  question: string,
  options: QueryOptions,
): Promise<number> {
  const result = await rag.query(question, options)
  if (context.json) context.data(result)
  else if (result.outcome === 'answered') {
    context.line(result.answer)
    printCitations(context, result.citations)
  } else context.note(`No answer. ${result.reason ?? ''}`.trimEnd())
  return result.outcome === 'answered' ? exitCodes.ok : exitCodes.noAnswer
}

async function streamAnswer(context: CommandContext, events: AsyncIterable<AnswerEvent>): Promise<number> {
  const citations: Citation[] = []
  let exitCode: number = exitCodes.noAnswer
  for await (const event of events) {
    if (context.json) context.data(event)
    else if (event.type === 'answer-delta') context.environment.write(event.text)
    else if (event.type === 'citation') citations.push(event.citation)
    if (event.type !== 'metadata') continue
    if (event.outcome === 'answered') exitCode = exitCodes.ok
    if (context.json) continue
    if (event.outcome === 'no-answer') context.note(`No answer. ${event.reason ?? ''}`.trimEnd())
    else {
      context.line('')
      printCitations(context, citations)
    }
  }
  return exitCode
}

function printCitations(context: CommandContext, citations: readonly Citation[]): void {
  const seen = new Set<string>()
  for (const { marker, title, documentId, page, quote } of citations) {
    const key = `${marker} ${quote}`
    if (seen.has(key)) continue
    seen.add(key)
    const where = page === undefined ? documentId : `${documentId}, page ${page}`
    context.line(`\n[${marker}] ${title === '' || title === documentId ? where : `${title} (${where})`}`)
    context.line(`    ${quote.replace(/\s+/g, ' ')}`)
  }
}
