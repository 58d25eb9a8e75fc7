import { RagError } from '../../core/errors.js'
import type { PreparedJob } from '../prepare-job.js'
import type { JobInput, JobPriority } from '../types.js'

/** What travels through Redis, as JSON. Raise `format` when readers of the old one would misread the new. */
export interface Payload {
  readonly format: 1
  readonly document: string
  readonly source: string
  readonly namespace: string
  readonly priority: JobPriority
  /** In the order in which the queue's jobs were enqueued. */
  readonly place?: number
  /** The input; bytes as `{ $bytes: base64 }`. */
  readonly input: unknown
}

export function toPayload({ document, source, namespace, priority, input }: PreparedJob, place: number): Payload {
  return { format: 1, document, source, namespace, priority, place, input: encode(input) }
}

export function placeOf({ place = 0 }: Payload): number {
  return place
}

/** Throws `UNSUPPORTED_VERSION` for what a newer version of this library has enqueued. */
export function inputOf({ format, input }: Payload): JobInput {
  if (format !== 1) {
    throw new RagError('UNSUPPORTED_VERSION', 'The job was enqueued by a newer version of this library.', {
      data: { format },
      hint: 'Upgrade the workers before those who enqueue.',
    })
  }
  return decode(input) as JobInput
}

function encode(input: JobInput): unknown {
  if (typeof input === 'string') return input
  if (input instanceof Uint8Array) return encodeBytes(input)
  if ('data' in input) return { ...input, data: encodeBytes(input.data) }
  if (!('chunks' in input)) return input
  // Numbers of 32 bits come back from JSON as they were.
  return {
    ...input,
    chunks: input.chunks.map(({ vector, ...chunk }) => ({ ...chunk, ...(vector && { vector: [...vector] }) })),
  }
}

function encodeBytes(bytes: Uint8Array): unknown {
  return { $bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64') }
}

function decode(input: unknown): unknown {
  if (typeof input !== 'object' || input === null) return input
  if ('$bytes' in input && typeof input.$bytes === 'string') return new Uint8Array(Buffer.from(input.$bytes, 'base64'))
  return 'data' in input ? { ...input, data: decode(input.data) } : input
}
