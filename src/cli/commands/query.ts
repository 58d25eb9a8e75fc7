import type { Citation, QueryOptions } from '../../core/answer.js'
import { RagError } from '../../core/errors.js'
import { type CliDocuments, type Command, type CommandContext, exitCodes, requireStorage } from '../context.js'

interface Flags {
  readonly stream?: true
  readonly topK?: string
}

/** `ufrag query <question>`: answers from the stored documents; 4 when they hold no answer. */
export const query: Command<Flags> = async (context, [question = ''], { stream, topK }) => {
  requireStorage(context)
  const options: QueryOptions = {
    signal: context.environment.signal,
    ...(topK === undefined ? {} : { topK: readCount(topK) }),
  }
  return context.withRag((rag) =>
    stream === true ? streamAnswer(context, rag, question, options) : printAnswer(context, rag, question, options),
  )
}

function readCount(text: string): number {
  if (/^[1-9]\d*$/.test(text)) return Number(text)
  throw new RagError('BAD_OPTION', `--top-k must be a whole number from 1, but is ${JSON.stringify(text)}.`)
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

async function streamAnswer(
  context: CommandContext,
  rag: CliDocuments,
  question: string,
  options: QueryOptions,
): Promise<number> {
  const citations: Citation[] = []
  let exitCode: number = exitCodes.noAnswer
  for await (const event of rag.stream(question, options)) {
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
