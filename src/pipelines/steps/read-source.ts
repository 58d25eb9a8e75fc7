import { hash } from 'node:crypto'
import { isMainThread } from 'node:worker_threads'
import type { Metadata } from '../../core/document.js'
import { RagError } from '../../core/errors.js'
import type { Extractor, ExtractSource } from '../../extract/types.js'
import { createContentHash } from '../../util/hash.js'
import { fileError, fileStream, openFile, readAt, readSmallFile } from './read-file.js'

/** What to read. */
export type PrepareSource = (
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'chunks'; readonly chunks: readonly PrepareChunk[] }
) & {
  /** Shown in messages. */
  readonly name: string
  readonly mediaType?: string
  readonly password?: string
}

/** A chunk made by the caller. */
export interface PrepareChunk {
  readonly text: string
  readonly metadata?: Metadata
  readonly span?: { readonly start: number; readonly end: number; readonly page?: number }
}

/** What tells the media type of a document. */
export interface SniffInput {
  readonly name: string
  /** Its beginning. */
  readonly bytes: Uint8Array
  /** Its end, where that may tell more. */
  readonly tail?: Uint8Array
  readonly declared?: string
}

export type ReadableSource = Exclude<PrepareSource, { kind: 'chunks' }>

/** Finds the extractor of a document. */
export interface FormatTools {
  sniff(input: SniffInput): string
  extractorFor(mediaType: string): Promise<Extractor>
}

/** Files up to this size are read once, in a thread that may block, and held until the document is through. */
const heldFileBytes = 256 << 10

/** The source as it is best read: a small file as its bytes, which then are the same for its hash, its type and its text. */
export function openSource(source: PrepareSource): PrepareSource {
  if (source.kind !== 'file' || isMainThread) return source
  const bytes = readSmallFile(source.path, heldFileBytes)
  return bytes === undefined ? source : { ...source, kind: 'bytes', bytes }
}

/** What tells one version of a source from another: SHA-256 of its content, hexadecimal. */
export async function hashSource(source: PrepareSource, signal: AbortSignal | undefined): Promise<string> {
  switch (source.kind) {
    case 'text':
      return hash('sha256', source.text, 'hex')
    case 'bytes':
      return hash('sha256', source.bytes, 'hex')
    case 'chunks':
      return hash('sha256', JSON.stringify(source.chunks), 'hex')
    case 'file': {
      const digest = createContentHash()
      for await (const part of fileStream(source.path, 1 << 20)) {
        signal?.throwIfAborted()
        digest.update(part)
      }
      return digest.digest()
    }
    default:
      return source satisfies never
  }
}

/** What reads a source, and the source as that takes it. */
export async function findExtractor(
  source: ReadableSource,
  tools: FormatTools,
): Promise<{ readonly extractor: Extractor; readonly mediaType: string; readonly opened: ExtractSource }> {
  const mediaType = tools.sniff({
    name: source.name,
    ...(await outerBytes(source)),
    ...(source.mediaType === undefined ? {} : { declared: source.mediaType }),
  })
  return { extractor: await tools.extractorFor(mediaType), mediaType, opened: toExtractSource(source, mediaType) }
}

const sniffBytes = 8 * 1024
/** What a ZIP holds is told at its end. */
const tailBytes = 64 * 1024

async function outerBytes(source: ReadableSource): Promise<Pick<SniffInput, 'bytes' | 'tail'>> {
  switch (source.kind) {
    case 'text':
      return { bytes: new TextEncoder().encode(source.text.slice(0, sniffBytes)) }
    case 'bytes':
      return { bytes: source.bytes.subarray(0, sniffBytes), tail: source.bytes.subarray(-tailBytes) }
    case 'file': {
      const file = await openFile(source.path)
      try {
        const bytes = await readAt(file, 0, sniffBytes)
        if (bytes.length < sniffBytes || bytes[0] !== 0x50 || bytes[1] !== 0x4b) return { bytes }
        const { size } = await file.stat()
        return { bytes, tail: await readAt(file, Math.max(0, size - tailBytes), tailBytes) }
      } finally {
        await file.close()
      }
    }
    default:
      return source satisfies never
  }
}

function toExtractSource(source: ReadableSource, mediaType: string): ExtractSource {
  const { name, password } = source
  const tooLarge = (size: number, limit: number) =>
    new RagError('LIMIT', `"${name}" has ${size} bytes; files of this type are held whole and may have ${limit}.`, {
      data: { source: name, size, limit },
      hint: 'Raise limits.maxFileBytes, or split the file.',
    })
  const common = { name, mediaType, ...(password === undefined ? {} : { password }) }
  if (source.kind === 'file') {
    return {
      ...common,
      size: undefined,
      bytes: async (limit) => {
        const file = await openFile(source.path)
        try {
          const { size } = await file.stat()
          if (size > limit) throw tooLarge(size, limit)
          return await file.readFile()
        } catch (error) {
          throw fileError(source.path, error)
        } finally {
          await file.close()
        }
      },
      stream: () => fileStream(source.path, 64 * 1024),
    }
  }
  const bytes = source.kind === 'text' ? new TextEncoder().encode(source.text) : source.bytes
  return {
    ...common,
    size: bytes.length,
    bytes: async (limit) => {
      if (bytes.length > limit) throw tooLarge(bytes.length, limit)
      return bytes
    },
    stream: async function* () {
      for (let start = 0; start < bytes.length; start += 64 * 1024) yield bytes.subarray(start, start + 64 * 1024)
    },
  }
}
