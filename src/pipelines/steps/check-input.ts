import type { Span } from '../../core/chunk.js'
import type { OwnChunk } from '../../core/document.js'
import { RagError } from '../../core/errors.js'

/** What is wrong with an input, and what to call it. */
export interface InputProblem {
  readonly source: string
  readonly error: RagError
}

/** What callers without types may get wrong about one document; `undefined` when it is one. */
export function problemWith(input: unknown): InputProblem | undefined {
  const fields = isObject(input) ? input : {}
  try {
    const message = describeProblem(input, fields)
    if (message === undefined) return undefined
    return { source: sourceOf(fields.id), error: bad(message, { data: { keys: Object.keys(fields).slice(0, 20) } }) }
  } catch (cause) {
    // Looking at an object may run code of the caller's: what a getter throws is a problem of that input alone.
    return { source: sourceOf(undefined), error: bad('A document could not be looked at.', { cause }) }
  }
}

function sourceOf(id: unknown): string {
  return `memory:${typeof id === 'string' ? id : 'unknown'}`
}

function bad(message: string, facts: { readonly data?: Readonly<Record<string, unknown>>; readonly cause?: unknown }) {
  const hint = 'Pass a path, a Uint8Array, or one of { text }, { data }, { path }, { id, chunks: [{ text }] }.'
  return new RagError('BAD_INPUT', message, { ...facts, hint })
}

function describeProblem(input: unknown, fields: Readonly<Record<string, unknown>>): string | undefined {
  if (input instanceof Uint8Array) return undefined
  // The empty path is the whole working directory: a variable that was not set must not ingest that.
  if (input === '' || fields.path === '') return 'A path is not empty; "." is the whole root folder.'
  if (typeof input === 'string') return undefined
  const contents = [
    typeof fields.text === 'string',
    fields.data instanceof Uint8Array,
    typeof fields.path === 'string',
    Array.isArray(fields.chunks),
  ]
  if (contents.filter(Boolean).length !== 1) return 'A document holds exactly one of: text, data, path, chunks.'
  if ('chunks' in fields && typeof fields.id !== 'string') return 'A document made of chunks needs an id.'
  for (const key of ['id', 'title', 'language', 'mediaType', 'password']) {
    if (fields[key] !== undefined && typeof fields[key] !== 'string') return `"${key}" of a document must be a string.`
  }
  const metadata = problemWithMetadata(fields.metadata)
  if (metadata !== undefined) return metadata
  for (const [ordinal, chunk] of ((fields.chunks ?? []) as unknown[]).entries()) {
    const problem = problemWithChunk(chunk)
    if (problem !== undefined) return `Chunk ${ordinal}: ${problem}`
  }
  return undefined
}

function problemWithChunk(chunk: unknown): string | undefined {
  const { text, vector, metadata, span } = (isObject(chunk) ? chunk : {}) as {
    [key in keyof OwnChunk]: unknown
  }
  if (typeof text !== 'string' || text.trim() === '') return 'a chunk holds text, more than white space.'
  if (vector !== undefined && !(vector instanceof Float32Array) && !Array.isArray(vector)) {
    return 'a vector is a Float32Array or an array of numbers.'
  }
  if (span !== undefined && !isSpan(span)) {
    return 'a span holds whole numbers, 0 <= start < end, and perhaps a page from 1.'
  }
  return problemWithMetadata(metadata)
}

function isSpan(span: unknown): boolean {
  if (!isObject(span)) return false
  const { start, end, page = 1 } = span as { [key in keyof Span]: unknown }
  const isWhole = (value: unknown, least: number) => Number.isSafeInteger(value) && (value as number) >= least
  return isWhole(start, 0) && isWhole(end, (start as number) + 1) && isWhole(page, 1)
}

/** Levels of objects and arrays in metadata, at most. */
const maxMetadataDepth = 64

/**
 * What JSON would refuse, or silently change into something else. A date or `undefined` is no mistake: the one becomes its text,
 * the other is left out.
 */
function problemWithMetadata(metadata: unknown): string | undefined {
  if (metadata === undefined) return undefined
  if (!isPlainObject(metadata)) return '"metadata" is an object.'
  const isWrong = (value: unknown, depth: number): boolean => {
    if (value === null || value === undefined || typeof value === 'string' || typeof value === 'boolean') return false
    if (typeof value === 'number') return !Number.isFinite(value)
    if (depth > maxMetadataDepth) return true
    if (Array.isArray(value)) return value.some((element) => isWrong(element, depth + 1))
    if (isPlainObject(value)) return Object.values(value).some((inner) => isWrong(inner, depth + 1))
    return !(value instanceof Date)
  }
  return isWrong(metadata, 1)
    ? `"metadata" holds what JSON cannot: only text, finite numbers, booleans, null, arrays and objects, ${maxMetadataDepth} deep.`
    : undefined
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** An object literal, of this realm or another. */
function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (!isObject(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}
