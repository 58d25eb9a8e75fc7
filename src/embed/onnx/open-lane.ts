import type { EmbeddingModel, TokenizedTexts } from '../../models/types.js'
import { type DeviceLadder, deviceName } from '../../onnx/devices.js'
import type { Prepacking } from '../../onnx/prepack.js'
import { abortable } from '../../util/abort.js'
import { type Task, WorkerPool } from '../../util/worker-pool.js'
import type { LaneData, TextsMessage } from './embed.worker.js'
import type { Lane, LaneReport, LaneVectors } from './lane.js'

/** Options of {@link openLane}. */
export interface LaneOptions {
  readonly model: EmbeddingModel
  /** Devices to try in turn; see `planDevices`. */
  readonly devices: DeviceLadder
  /** Threads of the runtime for one pass, beside which the lane has none of its own. */
  readonly threads: number
  /** What is opened on a CPU instead of the model file; made before the lane loads. Default: none. */
  readonly prepacking?: Prepacking | undefined
  /** Values per vector, at most those of the model: the first ones are kept. Default: all. */
  readonly dimensions?: number
  /** `'low'` (default) gives way to the application and to lanes of `'normal'` priority, such as the one of questions. */
  readonly priority?: 'low' | 'normal'
}

/** Makes a lane. Its thread starts with the first call, and lives until the lane is closed. */
export function openLane(options: LaneOptions): Lane {
  return new WorkerLane(options)
}

class WorkerLane implements Lane {
  readonly #pool: WorkerPool
  readonly #firstDevice: string
  readonly #prepacking: Prepacking | undefined
  #report: LaneReport | undefined
  #loading: Promise<LaneReport> | undefined
  /** Threads that had died when `#loading` began. */
  #diedBefore = 0
  #pending = 0

  constructor(options: LaneOptions) {
    const { model, devices, threads, prepacking, dimensions = model.dimensions, priority = 'low' } = options
    this.#firstDevice = deviceName(devices[0])
    this.#prepacking = prepacking
    this.#pool = new WorkerPool({
      worker: 'embed',
      size: 1,
      depth: 2,
      priority,
      // Another thread would have to load the model again, and a batch is done in a moment.
      abortGraceMs: Number.POSITIVE_INFINITY,
      idleMs: 0,
      workerData: { model, devices, threads, dimensions, prepacked: prepacking?.folder } satisfies LaneData,
    })
  }

  get device(): string {
    return this.#report?.device ?? this.#firstDevice
  }

  get pending(): number {
    return this.#pending
  }

  load(signal?: AbortSignal): Promise<LaneReport> {
    return this.#counted(() => abortable(this.#loaded(), signal))
  }

  tokenize(texts: readonly string[], { kind, signal }: TextOptions): Promise<TokenizedTexts> {
    return this.#call({ type: 'tokenize', payload: { texts, kind } satisfies TextsMessage }, signal)
  }

  run({ ids, offsets }: TokenizedTexts, signal?: AbortSignal): Promise<LaneVectors> {
    // Copies: the caller may want to try again, and what is only a part of a buffer would travel with all of it.
    const payload = { ids: new Int32Array(ids), offsets: new Int32Array(offsets) } satisfies TokenizedTexts
    return this.#call({ type: 'run', payload, transfer: [payload.ids.buffer, payload.offsets.buffer] }, signal)
  }

  embed(texts: readonly string[], { kind, signal }: TextOptions): Promise<LaneVectors & { readonly tokens: number }> {
    return this.#call({ type: 'embed', payload: { texts, kind } satisfies TextsMessage }, signal)
  }

  close(): Promise<void> {
    return this.#pool.close()
  }

  #call<Result>(task: Task, signal: AbortSignal | undefined): Promise<Result> {
    return this.#counted(async () => {
      signal?.throwIfAborted()
      await abortable(this.#loaded(), signal)
      return this.#pool.run<Result>(task, { signal })
    })
  }

  async #counted<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#pending++
    try {
      return await work()
    } finally {
      this.#pending--
    }
  }

  /** One load for all who wait for it. A thread that took the place of a dead one loads anew, perhaps on another device. */
  #loaded(): Promise<LaneReport> {
    const died = this.#pool.replaced.crashed
    if (this.#loading === undefined || died > this.#diedBefore) {
      this.#diedBefore = died
      const loading = this.#load()
      this.#loading = loading
      loading.then(
        (report) => {
          this.#report = report
        },
        () => {
          // Those who wait see it; here it is only forgotten.
          if (this.#loading === loading) this.#loading = undefined
        },
      )
    }
    return this.#loading
  }

  async #load(): Promise<LaneReport> {
    await this.#prepacking?.prepare()
    return this.#pool.run<LaneReport>({ type: 'load', payload: undefined })
  }
}

type TextOptions = Parameters<Lane['embed']>[1]
