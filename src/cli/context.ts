import { existsSync } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import type { UltraFastRAGOptions } from '../config/options.js'
import { RagError } from '../core/errors.js'
import type { DistillOptions, DistillReport, PulledModel, PullOptions } from '../index.js'
import type { BullmqQueueOptions, JobQueue } from '../queue/index.js'
import type { RagNamespace, UltraFastRAG } from '../ultra-fast-rag.js'

/** How a command ended, for the shell. */
export const exitCodes = {
  ok: 0,
  /** Something went wrong; nothing or not everything was done. */
  failed: 1,
  /** The command line, an option or a variable is wrong; nothing was done. */
  usage: 2,
  /** `ingest`, `enqueue`: some documents failed, the others are stored, or enqueued. */
  someFailed: 3,
  /** `query`: the documents do not answer the question. */
  noAnswer: 4,
  /** Ctrl-C. */
  interrupted: 130,
} as const

/** What the commands need of one namespace. */
export type CliDocuments = Pick<
  RagNamespace,
  | 'ingest'
  | 'watch'
  | 'query'
  | 'retrieve'
  | 'stream'
  | 'chat'
  | 'documents'
  | 'failures'
  | 'remove'
  | 'reindex'
  | 'settled'
  | 'stats'
>

/** What the commands need of the facade. */
export interface CliRag extends CliDocuments, Pick<UltraFastRAG, 'cacheStats' | 'clearCache' | 'pruneCache'> {
  namespace(name: string): CliDocuments
  close(): Promise<void>
}

/** The world a command line runs in; tests bring their own. */
export interface CliEnvironment {
  readonly variables: Readonly<Record<string, string | undefined>>
  /** Standard output: results only. */
  write(text: string): void
  /** Standard error: progress and complaints. */
  complain(text: string): void
  /** Whether standard error is a terminal, where a progress bar can be drawn. */
  readonly terminal: boolean
  /** Fires when the user interrupts. */
  readonly signal: AbortSignal
  /** Where a protocol is spoken, and questions come from. Default: the streams of this process. */
  readonly stdio?: { readonly input: Readable; readonly output: Writable }
  open(options: UltraFastRAGOptions): Promise<CliRag>
  /** A queue on a Redis server, for whoever works on it. */
  openQueue(options: BullmqQueueOptions): Promise<JobQueue>
  /** Fetches a model. */
  pull(model: string, options: PullOptions): Promise<PulledModel>
  /** Makes a static model. */
  distill(teacher: DistillTeacher, options: DistillOptions): Promise<DistillReport>
}

/** The teacher of a distillation, by its model. */
export interface DistillTeacher {
  readonly model: string
  readonly modelsDir?: string
}

/** Options every command has. */
export interface GlobalOptions {
  readonly storage?: string
  readonly preset?: string
  readonly namespace?: string
  readonly json?: true
}

/** What a command gets. */
export interface CommandContext {
  readonly environment: CliEnvironment
  readonly json: boolean
  /** Whose documents; absent: the root. */
  readonly namespace: string | undefined
  /** Options of the facade from variables and flags. */
  readonly options: () => UltraFastRAGOptions
  /** Opens the documents of the chosen namespace, gives them to `use`, and closes them whatever happens. `changes` go before flags. */
  withRag<Result>(use: (rag: CliDocuments) => Promise<Result>, changes?: UltraFastRAGOptions): Promise<Result>
  /** The same, for what all namespaces share. */
  withRoot<Result>(use: (rag: CliRag) => Promise<Result>, changes?: UltraFastRAGOptions): Promise<Result>
  /** A line of the result. */
  line(text: string): void
  /** The result, or one of many, as one line of JSON. */
  data(value: unknown): void
  /** A line for the user that is no result. */
  note(text: string): void
}

/** A command: does one thing and tells how it ended. */
export type Command<Options = object> = (
  context: CommandContext,
  parameters: readonly string[],
  options: Options,
) => Promise<number>

/** An error as a line for people: message, and what to do about it. */
export function describeError(error: unknown): string {
  if (RagError.isInstance(error)) return error.hint === undefined ? error.message : `${error.message}\n  ${error.hint}`
  return error instanceof Error ? error.message : String(error)
}

/** An error as data, without stack or cause. */
export function errorData(error: unknown): object {
  if (RagError.isInstance(error)) return error.toJSON()
  return error instanceof Error ? { name: error.name, message: error.message } : { message: String(error) }
}

/** Commands that read find nothing in a folder that does not exist, and must not make it. */
export function requireStorage({ options }: CommandContext): void {
  const { storage } = options()
  if (typeof storage !== 'string' || existsSync(storage)) return
  throw new RagError('NOT_FOUND', `There is no storage at "${storage}".`, {
    data: { storage },
    hint: 'Fill it with "ufrag ingest", or name another with --storage.',
  })
}
