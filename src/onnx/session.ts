import { existsSync } from 'node:fs'
import { basename } from 'node:path'
import type { InferenceSession, Tensor } from 'onnxruntime-node'
import { RagError } from '../core/errors.js'
import { type Device, deviceName } from './devices.js'
import { loadRuntime, missingLibrary, type Runtime } from './runtime.js'

/** Options of {@link openSession}. */
export interface SessionOptions {
  /** Absolute path of the model file. */
  readonly weights: string
  readonly device: Device
  /** Threads that share the work of one operator. They sleep between runs. */
  readonly threads: number
  /**
   * Where the runtime writes the model as it is about to run it: the graph optimised, and, in a second file of this name beside it, the
   * weights in the layout that this processor multiplies.
   */
  readonly save?: { readonly file: string; readonly weightsName: string }
  /** The model file was written so: nothing is left to optimise, and the weights are mapped, not read. Default false. */
  readonly saved?: boolean
  /** Runs native code that must not be cut short by the end of its thread; see `TaskContext.critical`. */
  readonly critical: <Result>(section: () => Result) => Result
}

/** A model that is ready to run. It blocks its thread while it runs, so it belongs into a worker. */
export interface Session {
  readonly inputs: readonly TensorInfo[]
  readonly outputs: readonly TensorInfo[]
  readonly Tensor: Runtime['Tensor']
  /**
   * Runs the model and returns one output. Rejects with `LIMIT` (`data.reason: 'memory'`) when there is not the memory for inputs of
   * this size, with `PROVIDER` when the model fails on them.
   */
  run(inputs: Readonly<Record<string, Tensor>>, output: string): Promise<Tensor>
  /** Frees it. A thread must not open another instead: the runtime keeps some of its memory until the thread ends. */
  release(): Promise<void>
}

/** An input or output of a model. */
export interface TensorInfo {
  readonly name: string
  /** `'int64'`, `'float32'`, …; `'other'` for what is no tensor. */
  readonly type: string
  /** Sizes; a name where the size is open. Absent when the model does not say. */
  readonly shape: readonly (number | string)[] | undefined
}

/**
 * Opens a model file with `onnxruntime-node`. Rejects with `MISSING_PEER`, `NOT_FOUND`, `INTEGRITY` when the file is damaged or no
 * model, `LIMIT` (`data.reason: 'memory'`), and `UNSUPPORTED` when the device is not there or the runtime does not know what the
 * model is made of.
 */
export async function openSession(options: SessionOptions): Promise<Session> {
  const { weights, device, critical } = options
  requireLibrary(device)
  const { InferenceSession, Tensor } = await critical(loadRuntime)
  if (!existsSync(weights)) {
    throw new RagError('NOT_FOUND', `The model file "${basename(weights)}" does not exist.`, {
      data: { file: weights },
    })
  }
  let session: InferenceSession
  try {
    session = await critical(() => InferenceSession.create(weights, runtimeOptions(options)))
  } catch (error) {
    throw openingError(error, options)
  }
  return {
    inputs: session.inputMetadata.map(tensorInfo),
    outputs: session.outputMetadata.map(tensorInfo),
    Tensor,
    async run(inputs, output) {
      try {
        return (await critical(() => session.run(inputs, [output])))[output] as Tensor
      } catch (error) {
        throw runningError(error, options)
      }
    },
    release: () => critical(() => session.release()),
  }
}

/** CUDA comes in a library of its own. Without it the runtime fails as well, but writes to stderr and does not say what to do. */
function requireLibrary({ kind, index }: Device): void {
  if (kind !== 'cuda') return
  const missing = missingLibrary('libonnxruntime_providers_cuda.so')
  if (missing === undefined) return
  throw new RagError(
    'UNSUPPORTED',
    `The device "cuda:${index}" needs "${basename(missing)}", which is not installed.`,
    {
      data: { file: missing },
      hint: 'Run: ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node (CUDA 12 and cuDNN 9 must be there, too).',
    },
  )
}

function runtimeOptions({ device, threads, save, saved }: SessionOptions): InferenceSession.SessionOptions {
  return {
    executionProviders: [numberedProvider(device)],
    graphOptimizationLevel: saved ? 'disabled' : 'all',
    ...(save === undefined ? {} : { optimizedModelFilePath: save.file }),
    executionMode: 'sequential',
    interOpNumThreads: 1,
    intraOpNumThreads: threads,
    // It keeps a plan of its memory for each shape of batch, and there are hundreds: 100 MB grew to 128 MB, and runs were no faster.
    enableMemPattern: false,
    // What it would write to stderr is thrown as well.
    logSeverityLevel: 4,
    // Values are strings, or the binding refuses them. Its threads otherwise burn a core for some 60 ms after every run.
    extra: { session: { force_spinning_stop: '1', ...(save === undefined ? {} : savingEntries(save.weightsName)) } },
  }
}

/** Tensors below 1 KiB stay in the graph. */
function savingEntries(weightsName: string): Readonly<Record<string, string>> {
  return {
    optimized_model_external_initializers_file_name: weightsName,
    optimized_model_external_initializers_min_size_in_bytes: '1024',
    save_external_prepacked_constant_initializers: '1',
  }
}

/** The binding refuses a number for providers that do not take one. */
function numberedProvider({ kind, index }: Device): InferenceSession.ExecutionProviderConfig {
  return kind === 'cuda' || kind === 'dml' ? { name: kind, deviceId: index } : kind
}

function tensorInfo(metadata: InferenceSession.ValueMetadata): TensorInfo {
  const { name } = metadata
  return metadata.isTensor
    ? { name, type: metadata.type, shape: metadata.shape }
    : { name, type: 'other', shape: undefined }
}

function openingError(cause: unknown, { weights, device }: SessionOptions): RagError {
  const data = { file: weights, device: deviceName(device) }
  const file = basename(weights)
  if (isMemory(cause)) return memoryError(cause, `There is not enough memory to load "${file}".`, data)
  if (unknownOperator.test(String(cause))) {
    return new RagError('UNSUPPORTED', `The runtime does not know all that the model file "${file}" is made of.`, {
      cause,
      data,
      hint: 'Take another export of the model, or another version of onnxruntime-node.',
    })
  }
  // Other devices fail for reasons of their own; the CPU takes every sound file.
  if (device.kind !== 'cpu' && !unreadable.test(String(cause))) {
    return new RagError('UNSUPPORTED', `The device "${deviceName(device)}" cannot be used.`, { cause, data })
  }
  return new RagError('INTEGRITY', `The model file "${file}" is damaged, incomplete or no model.`, {
    cause,
    data,
    hint: 'Download it again, with the files beside it that hold its weights ("…onnx_data").',
  })
}

const unknownOperator =
  /is not a registered function\/op|opset|IR version|NOT_IMPLEMENTED|Could not find an implementation/i
const unreadable = /Load model from|Protobuf parsing|ModelProto|invalid model|External data/i

function runningError(cause: unknown, { weights, device }: SessionOptions): RagError {
  const data = { file: weights, device: deviceName(device) }
  if (isMemory(cause)) return memoryError(cause, 'There is not enough memory for a batch of this size.', data)
  return new RagError('PROVIDER', `The model "${basename(weights)}" failed on a batch.`, { cause, data })
}

/** Of the C++ library, of the runtime's arenas, of V8's buffers and of graphics cards. */
const memoryWords =
  /bad_alloc|bad allocation|fail(ed|ure)? to allocate|cannot allocate memory|out of memory|allocation failed|ALLOC_FAILED|OUTOFMEMORY/i

function isMemory(cause: unknown): boolean {
  return memoryWords.test(String(cause))
}

function memoryError(cause: unknown, message: string, data: Readonly<Record<string, unknown>>): RagError {
  return new RagError('LIMIT', message, {
    cause,
    data: { ...data, reason: 'memory' },
    hint: 'Use smaller batches, fewer workers, or a smaller model.',
  })
}
