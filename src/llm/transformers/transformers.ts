import { availableParallelism } from 'node:os'
import { RagError } from '../../core/errors.js'
import type { Logger } from '../../core/lifecycle.js'
import { openTextModel, type TextModelRequest } from '../../models/text-model.js'
import { abortable } from '../../util/abort.js'
import { sha256Hex } from '../../util/hash.js'
import { stableJson } from '../../util/stable-json.js'
import { WorkerPool } from '../../util/worker-pool.js'
import { messagesOf } from '../messages.js'
import { spentBefore, ThoughtFilter } from '../thoughts.js'
import type { GenerateEnd, Llm } from '../types.js'
import type { GenerateMessage, WritingModel } from './generator.js'

/** Options of {@link createTransformersLlm}. */
export interface TransformersLlmOptions
  extends Pick<TextModelRequest, 'model' | 'quantization' | 'modelsDir' | 'revision' | 'onProgress' | 'signal'> {
  /** Tokens of an answer at most, 1 to 100,000. Default 512. What is cut ends with finish reason `'length'`. */
  readonly maxTokens?: number
  /** From 0 (default), always the likeliest token, to 2. */
  readonly temperature?: number
  /** Only tokens that make up this share of the likelihood are drawn from, above 0 to 1. Matters with a temperature above 0. Default: the model's own. */
  readonly topP?: number
  /** What to run on: `'cpu'` (default), `'cuda'`, `'webgpu'`, `'coreml'`, `'dml'`. */
  readonly device?: 'cpu' | 'cuda' | 'webgpu' | 'coreml' | 'dml'
  /** Threads of the runtime, 1 to 64. Default: one for each core. */
  readonly threads?: number
  /** Passed to the model's chat template, such as `{ enable_thinking: false }`. Changes the fingerprint. */
  readonly templateOptions?: Readonly<Record<string, unknown>>
  readonly logger?: Logger | undefined
}

const usual = { maxTokens: 512, temperature: 0, device: 'cpu' }
/** Raised when the same prompt would be written to otherwise. */
const version = 1

/**
 * Writes with a model in the ONNX format in a worker thread of this process, by the package `@huggingface/transformers`: no service, no key.
 * Finds the model and reads what it says of itself; its weights are loaded by the first answer or `warmUp()`. One answer is written at a
 * time, the others wait. An abort is heard between two tokens. What models think (`<think>`) is left out.
 *
 * Rejects with `NOT_FOUND`, `INTEGRITY` or `UNSUPPORTED` for models and `BAD_OPTION` for options; answers also with `MISSING_PEER`, and with `LIMIT`
 * for a prompt that is longer than the model reads.
 */
export async function createTransformersLlm(options: TransformersLlmOptions): Promise<Llm> {
  checkOptions(options)
  const { device, maxTokens, temperature } = { ...usual, ...options }
  const { logger, modelsDir, onProgress, quantization, revision, signal, templateOptions = {}, topP } = options
  const model = await openTextModel({
    model: options.model,
    logger,
    modelsDir,
    onProgress,
    quantization,
    revision,
    signal,
  })
  const threads = options.threads ?? availableParallelism()
  const pool = new WorkerPool({
    worker: 'generate',
    size: 1,
    // A thread that is ended would have to load the model again, and a token is made in a moment.
    abortGraceMs: Number.POSITIVE_INFINITY,
    idleMs: 0,
    priority: 'normal',
    workerData: { model, device, threads, maxTokens, temperature, topP, templateOptions } satisfies WritingModel,
  })
  const shaping = sha256Hex(stableJson([maxTokens, temperature, topP ?? null, templateOptions])).slice(0, 16)
  return {
    id: model.name,
    fingerprint: `transformers/${version}/${model.contentHash}/${model.quantization}/${shaping}`,

    async *generate(prompt, { signal, onEnd }) {
      signal?.throwIfAborted()
      const payload: GenerateMessage = { messages: messagesOf(prompt), text: prompt.text }
      const answer = pool.stream<string, GenerateEnd>({ type: 'generate', payload }, { signal })
      const thoughts = new ThoughtFilter()
      let isWritten = false
      try {
        for (let next = await answer.next(); ; next = await answer.next()) {
          const text = next.done === true ? thoughts.end() : thoughts.push(next.value)
          if (text !== '') {
            isWritten = true
            yield text
          }
          if (next.done !== true) continue
          if (next.value.finishReason === 'length' && !isWritten) throw spentBefore(model.name)
          onEnd?.(next.value)
          return
        }
      } catch (error) {
        signal?.throwIfAborted()
        throw RagError.isInstance(error) ? error : failed(model.name, error)
      } finally {
        await answer.return(undefined as never)
      }
    },

    async warmUp({ signal }) {
      await abortable(pool.run({ type: 'load', payload: undefined }), signal)
    },

    close: () => pool.close(),
  }
}

const ranges = { maxTokens: [1, 100_000], threads: [1, 64] } as const

function checkOptions({ model, temperature = 0, topP = 1, ...options }: TransformersLlmOptions): void {
  if (typeof model !== 'string' || model === '') {
    throw new RagError('BAD_OPTION', 'model is a folder of a language model, or a hub id.', {
      hint: "Name one in the ONNX format, such as 'onnx-community/Qwen2.5-0.5B-Instruct'.",
    })
  }
  for (const [name, [least, most]] of Object.entries(ranges)) {
    const value = options[name as keyof typeof ranges]
    if (value === undefined || (Number.isInteger(value) && value >= least && value <= most)) continue
    throw new RagError('BAD_OPTION', `${name} is a whole number from ${least} to ${most}.`, { data: { [name]: value } })
  }
  if (!(temperature >= 0 && temperature <= 2 && topP > 0 && topP <= 1)) {
    throw new RagError('BAD_OPTION', 'temperature is from 0 to 2, and topP above 0 and at most 1.', {
      data: { temperature, topP },
    })
  }
}

/** Errors of the runtime tell of shapes and operators, never of texts. */
function failed(name: string, cause: unknown): RagError {
  return new RagError('PROVIDER', `The model "${name}" failed while it wrote.`, { cause, data: { model: name } })
}
