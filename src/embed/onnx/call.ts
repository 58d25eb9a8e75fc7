import { RagError } from '../../core/errors.js'
import type { Embeddings, EmbedOptions } from '../types.js'

/** One `embed()` on its way: its texts, what is known of their vectors, and whoever waits for them. */
export class Call {
  readonly texts: readonly string[]
  readonly kind: EmbedOptions['kind']
  /** Resolves when every text has a vector or an error. */
  readonly result: Promise<Embeddings>
  /** The first text that no tokenizer has been given. */
  next = 0
  readonly #dimensions: number
  readonly #vectors: Float32Array
  readonly #failed: { readonly index: number; readonly error: unknown }[] = []
  #tokens = 0
  #left: number
  #settled = false
  #resolve!: (embeddings: Embeddings) => void
  #reject!: (reason: unknown) => void
  readonly #stopListening: () => void

  /** `onEnd` is called once: when the result is there, or nobody wants it any more. */
  constructor(
    texts: readonly string[],
    { kind, signal }: EmbedOptions,
    { dimensions, onEnd }: { readonly dimensions: number; readonly onEnd: (call: Call) => void },
  ) {
    // The caller may change its list while texts of it still wait.
    this.texts = [...texts]
    this.kind = kind
    this.#dimensions = dimensions
    this.#vectors = allocate(texts.length, dimensions)
    this.#left = texts.length
    const onAbort = () => this.reject(signal?.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    this.#stopListening = () => {
      signal?.removeEventListener('abort', onAbort)
      onEnd(this)
    }
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  /** Texts that have neither a vector nor an error. */
  get left(): number {
    return this.#left
  }

  /** Nobody waits any more. What still comes for it is dropped. */
  get settled(): boolean {
    return this.#settled
  }

  succeed(index: number, vector: Float32Array, tokens: number): void {
    if (this.#settled) return
    this.#vectors.set(vector, index * this.#dimensions)
    this.#tokens += tokens
    this.#answer()
  }

  fail(index: number, error: unknown): void {
    if (this.#settled) return
    this.#failed.push({ index, error })
    this.#answer()
  }

  reject(reason: unknown): void {
    if (this.#settled) return
    this.#settled = true
    this.#reject(reason)
    this.#stopListening()
  }

  #answer(): void {
    this.#left--
    if (this.#left > 0) return
    this.#settled = true
    this.#failed.sort((a, b) => a.index - b.index)
    this.#resolve({ vectors: this.#vectors, failed: this.#failed, tokens: this.#tokens })
    this.#stopListening()
  }
}

function allocate(rows: number, dimensions: number): Float32Array {
  try {
    return new Float32Array(rows * dimensions)
  } catch (cause) {
    throw new RagError('LIMIT', `There is no memory for ${rows} vectors of ${dimensions} values.`, {
      data: { rows, dimensions, reason: 'memory' },
      cause,
      hint: 'Embed fewer texts per call.',
    })
  }
}
