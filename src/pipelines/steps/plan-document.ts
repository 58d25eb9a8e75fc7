import { createHash, hash } from 'node:crypto'
import type { DocumentFields, DocumentInput, Metadata, OwnChunk } from '../../core/document.js'
import { RagError } from '../../core/errors.js'
import type { Embedder } from '../../embed/types.js'
import type { FileStamp } from '../../store/types.js'
import { stableJson } from '../../util/stable-json.js'
import type { Discovered } from './discover.js'
import type { PrepareRequest } from './prepare.js'
import type { PrepareSource } from './read-source.js'

/** What is to be done for one document, decided before anything is read. */
export interface DocumentPlan {
  readonly request: PrepareRequest
  readonly fields: { readonly title?: string; readonly language?: string; readonly metadata: Metadata }
  readonly file: FileStamp | undefined
  readonly vectors: OwnVectors | undefined
  /** Fingerprint of all that shapes the stored document, beside its content. */
  readonly pipeline: (embedder: Embedder | undefined) => string
  /** Of the content, as far as it is known before it is read. */
  readonly bytes: number
}

export interface PlanOptions {
  /** Fingerprint of all that decides what the same bytes become: extractors, chunker, enrichers. */
  readonly preparation: string
  /** Language of documents that do not tell theirs. */
  readonly language: string
}

/** Vectors that the caller brought along, by ordinal. */
type OwnVectors = readonly (Float32Array | readonly number[] | undefined)[]

export function planDocument(
  item: Exclude<Discovered, { kind: 'failed' | 'url' }>,
  options: PlanOptions,
): DocumentPlan {
  const input: DocumentFields = item.kind === 'file' ? {} : fieldsOf(item.input)
  const { title, language, metadata = {} } = input
  const documentId = input.id ?? (item.kind === 'file' ? item.id : 'path' in item.input ? item.source : undefined)
  if (documentId !== undefined) checkId(documentId)
  const fields = {
    metadata,
    ...(title === undefined ? {} : { title }),
    ...(language === undefined ? {} : { language }),
  }
  const vectors = item.kind === 'object' && 'chunks' in item.input ? ownVectors(item.input.chunks) : undefined
  const source = toPrepareSource(item)
  return {
    request: {
      source,
      ...(documentId === undefined ? {} : { documentId }),
      ...(title === undefined ? {} : { title }),
      ...(language === undefined ? {} : { language }),
    },
    fields,
    file: item.file,
    vectors,
    bytes: item.file?.size ?? sizeOf(source),
    pipeline: (embedder) =>
      hash(
        'sha256',
        stableJson([
          options.preparation,
          embedder?.fingerprint ?? '',
          options.language,
          fields,
          vectors === undefined || hashVectors(vectors),
          ...(source.mediaType === undefined ? [] : [source.mediaType]),
        ]),
        'hex',
      ),
  }
}

function fieldsOf(input: Exclude<DocumentInput, string>): DocumentFields {
  return input instanceof Uint8Array ? {} : input
}

function toPrepareSource(item: Exclude<Discovered, { kind: 'failed' | 'url' }>): PrepareSource {
  const name = item.source
  if (item.kind === 'file') return { kind: 'file', path: item.path, name }
  const { input } = item
  if (input instanceof Uint8Array) return { kind: 'bytes', bytes: input, name }
  if ('chunks' in input) {
    const chunks = input.chunks.map(({ text, metadata, span }) => ({
      text,
      ...(metadata === undefined ? {} : { metadata }),
      ...(span === undefined ? {} : { span }),
    }))
    return { kind: 'chunks', chunks, name }
  }
  const mediaType = input.mediaType === undefined ? {} : { mediaType: input.mediaType }
  if ('text' in input) return { kind: 'text', text: input.text, name, ...mediaType }
  const password = input.password === undefined ? {} : { password: input.password }
  if ('data' in input) return { kind: 'bytes', bytes: input.data, name, ...mediaType, ...password }
  return { kind: 'file', path: input.path, name, ...mediaType, ...password }
}

function ownVectors(chunks: readonly OwnChunk[]): OwnVectors | undefined {
  return chunks.some(({ vector }) => vector !== undefined) ? chunks.map(({ vector }) => vector) : undefined
}

/** The same texts with other vectors are another document. */
function hashVectors(vectors: OwnVectors): string {
  const digest = createHash('sha256')
  for (const vector of vectors) {
    digest.update(`${vector?.length ?? 'none'}:`)
    if (vector === undefined) continue
    const { buffer, byteOffset, byteLength } = vector instanceof Float32Array ? vector : Float32Array.from(vector)
    digest.update(new Uint8Array(buffer, byteOffset, byteLength))
  }
  return digest.digest('hex')
}

function checkId(id: string): void {
  const bytes = Buffer.byteLength(id)
  if (bytes >= 1 && bytes <= 1024) return
  throw new RagError('BAD_INPUT', `A document id has 1 to 1,024 bytes in UTF-8; this one has ${bytes}.`, {
    data: { bytes },
  })
}

function sizeOf(source: PrepareSource): number {
  if (source.kind === 'bytes') return source.bytes.length
  return source.kind === 'text' ? source.text.length : 0
}
