import { readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { RagError } from '../../core/errors.js'
import { chatTemplateFile } from '../../models/needs.js'
import type { TextModel } from '../../models/types.js'
import { importOptional } from '../../util/import-optional.js'
import { isMissingFile } from '../../util/system-error.js'
import type { GenerateEnd, PromptMessage } from '../types.js'
import { withoutSpecialTokens } from './special-tokens.js'
import { createTokenText } from './token-text.js'

/** A model, and how it is to write. */
export interface WritingModel {
  readonly model: TextModel
  readonly device: string
  readonly threads: number
  /** Of every answer at most. */
  readonly maxTokens: number
  /** 0: always the likeliest token. */
  readonly temperature: number
  readonly topP: number | undefined
  /** Passed to the template of the chat. */
  readonly templateOptions: Readonly<Record<string, unknown>>
}

/** A prompt as it crosses threads. */
export interface GenerateMessage {
  readonly messages: readonly PromptMessage[]
  /** The same as one string, for models that know no roles. */
  readonly text: string
}

/** A model that is ready to write. It blocks its thread while it makes a token. */
export interface Generator {
  /** Stops after the token at hand when `signal` fires. Rejects with `LIMIT` for a prompt that is too long. */
  generate(
    message: GenerateMessage,
    options: { readonly signal: AbortSignal; readonly onText: (text: string) => void },
  ): Promise<GenerateEnd>
}

type Library = typeof import('@huggingface/transformers')
type Tokenizer = Awaited<ReturnType<Library['AutoTokenizer']['from_pretrained']>>
type Model = Awaited<ReturnType<Library['AutoModelForCausalLM']['from_pretrained']>>

/** `critical` runs native code that must not be cut short by the end of its thread; see `TaskContext.critical`. */
export async function openGenerator(
  writing: WritingModel,
  critical: <Result>(section: () => Result) => Result,
): Promise<Generator> {
  const library = await importOptional(
    '@huggingface/transformers',
    () => import('@huggingface/transformers'),
    'npm i @huggingface/transformers@4',
  )
  const { env, AutoModelForCausalLM, AutoTokenizer, LogLevel } = library
  // What fails is written to the console together with its inputs, which are tokens of documents.
  env.logLevel = LogLevel.NONE
  env.allowRemoteModels = false
  const { directory, name } = writing.model
  let tokenizer: Tokenizer
  let model: Model
  try {
    tokenizer = await AutoTokenizer.from_pretrained(directory, { local_files_only: true })
    const template = await chatTemplateIn(directory)
    if (template !== undefined) tokenizer.chat_template = template
    model = await critical(() => AutoModelForCausalLM.from_pretrained(directory, placeOf(writing)))
  } catch (cause) {
    throw new RagError('INTEGRITY', `The model "${name}" cannot be loaded.`, {
      cause,
      data: { model: name, directory, device: writing.device },
      hint: 'Fetch it again, or take another export of it: one of a causal language model for transformers.js.',
    })
  }
  guardRuns(model, critical)
  return {
    async generate({ messages, text }, { onText, signal }) {
      const { maxTokens, temperature, topP } = writing
      const [prompt, options] = promptOf(tokenizer, { messages, text }, writing)
      const inputs = tokenizer(prompt, options)
      const inputTokens = Number(inputs.input_ids.dims.at(-1))
      const room = writing.model.contextTokens - inputTokens
      if (room < 1) throw tooLong(writing.model, inputTokens)

      const decoded = createTokenText((ids) => tokenizer.decode(ids, { skip_special_tokens: true }), onText)
      const streamer = new TokenStreamer(decoded)
      // Where the template has the model begin with a thought, the answer is without its opening.
      const opening = /<think(?:ing)?>\s*$/i.exec(prompt)
      if (opening !== null) onText(opening[0])
      await model.generate({
        ...inputs,
        max_new_tokens: Math.min(maxTokens, room),
        do_sample: temperature > 0,
        ...(temperature > 0 ? { temperature, ...(topP === undefined ? {} : { top_p: topP }) } : {}),
        streamer: streamer as never,
        // The thread hears of an abort between two tokens.
        stopping_criteria: [(ids: readonly unknown[]) => ids.map(() => signal.aborted)] as never,
      } as never)
      signal.throwIfAborted()
      decoded.end()
      const isCut = streamer.count >= Math.min(maxTokens, room) && !endTokens(model).includes(streamer.last)
      return { finishReason: isCut ? 'length' : 'stop', inputTokens, outputTokens: streamer.count }
    },
  }
}

/** The template of a chat that stands in a file of its own, which the package does not read. */
async function chatTemplateIn(directory: string): Promise<string | undefined> {
  try {
    return await readFile(join(directory, chatTemplateFile), 'utf8')
  } catch (error) {
    if (isMissingFile(error)) return undefined
    throw error
  }
}

/** The very file that was found, whatever the package would take. */
function placeOf({ device, model, threads }: WritingModel) {
  const [subfolder, file] = splitPath(relative(model.directory, model.weights))
  return {
    local_files_only: true,
    subfolder,
    model_file_name: file,
    // Of a name that is complete: nothing is put behind it. What the cache holds the model says itself.
    dtype: 'fp32' as const,
    device: device as 'cpu',
    session_options: {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      logSeverityLevel: 4 as const,
      // Its threads otherwise burn a core for some 60 ms after every run.
      extra: { session: { force_spinning_stop: '1' } },
    },
  }
}

function splitPath(path: string): [folder: string, file: string] {
  const parts = path.replace(/\.onnx$/, '').split(/[\\/]/)
  return [parts.slice(0, -1).join('/'), parts.at(-1) as string]
}

/** Each run of a session is a critical section. */
function guardRuns(model: Model, critical: <Result>(section: () => Result) => Result): void {
  const { sessions } = model as unknown as {
    sessions: Record<string, { run: (...inputs: unknown[]) => Promise<unknown> }>
  }
  for (const session of Object.values(sessions)) {
    const run = session.run.bind(session)
    session.run = (...inputs) => critical(() => run(...inputs))
  }
}

/** What the tokenizer is given: the chat in the words of the model's template, or the text of one that has none. */
function promptOf(
  tokenizer: Tokenizer,
  { messages, text }: GenerateMessage,
  { templateOptions }: WritingModel,
): [text: string, options: object] {
  const special = tokenizer.all_special_tokens as readonly string[]
  if (tokenizer.chat_template === null) return [withoutSpecialTokens(text, special), {}]
  const chat = messages.map(({ role, content }) => ({ role, content: withoutSpecialTokens(content, special) }))
  const render = (some: typeof chat) =>
    tokenizer.apply_chat_template(some, {
      ...templateOptions,
      tokenize: false,
      add_generation_prompt: true,
    }) as unknown as string
  // The template has put the special tokens where they belong.
  const options = { add_special_tokens: false }
  try {
    return [render(chat), options]
  } catch {
    // Some templates (Gemma's) refuse a system that speaks: what it says goes before the first question.
    return [render(withoutSystem(chat)), options]
  }
}

function withoutSystem<Message extends { role: string; content: string }>(chat: readonly Message[]): Message[] {
  const said = chat.filter(({ role }) => role === 'system').map(({ content }) => content)
  const [first, ...rest] = chat.filter(({ role }) => role !== 'system')
  return first === undefined ? [] : [{ ...first, content: [...said, first.content].join('\n\n') }, ...rest]
}

/** Told of each token; the first call is the prompt. */
class TokenStreamer {
  readonly #text: ReturnType<typeof createTokenText>
  #isPrompt = true
  count = 0
  last = -1

  constructor(text: ReturnType<typeof createTokenText>) {
    this.#text = text
  }

  put(value: readonly (readonly bigint[])[]): void {
    if (this.#isPrompt) {
      this.#isPrompt = false
      return
    }
    for (const id of value[0] ?? []) {
      this.count++
      this.last = Number(id)
      this.#text.push(this.last)
    }
  }

  end(): void {}
}

function endTokens(model: Model): number[] {
  const { config, generation_config } = model as unknown as Record<
    string,
    { eos_token_id?: number | number[] } | undefined
  >
  return [generation_config?.eos_token_id ?? config?.eos_token_id ?? []].flat()
}

function tooLong({ contextTokens, name }: TextModel, inputTokens: number): RagError {
  return new RagError('LIMIT', `The prompt has ${inputTokens} tokens, and "${name}" reads ${contextTokens} in all.`, {
    data: { model: name, inputTokens, contextTokens },
    hint: 'Lower maxContextChars, or use a model that reads more.',
  })
}
