import { type FileHandle, open } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { RagError } from '../core/errors.js'

/** What can be told of an ONNX file without loading it. */
export interface OnnxFile {
  /** Bytes. */
  readonly size: number
  /** Files of weights that it refers to, beside it, with the bytes each must have at least. */
  readonly externalData: readonly { readonly location: string; readonly leastBytes: number }[]
}

/** Fields of `ModelProto`, `GraphProto`, `TensorProto` and `StringStringEntryProto` in onnx.proto. */
const field = { graph: 7, opsetImport: 8, initializer: 5, externalData: 13, key: 1, value: 2 }
/** Kinds of values of the protobuf encoding. */
const wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 }

/**
 * Walks through the frame of an ONNX file: from field to field by their lengths, without reading weights. Rejects with `INTEGRITY`
 * that names the file when it is cut off, is a Git LFS pointer or is something else altogether. Weights in other files are
 * found where exporters put them, among the initializers of the main graph.
 */
export async function inspectOnnxFile(path: string): Promise<OnnxFile> {
  const handle = await open(path, 'r')
  try {
    const { size } = await handle.stat()
    const window = new Window(handle, size)
    if (await startsAsPointer(window)) throw pointer(path)
    const graph = await findGraph(window, path)
    return { size, externalData: await externalDataOf(window, graph, path) }
  } finally {
    await handle.close()
  }
}

/**
 * The files of weights beside an ONNX file. Rejects with `NOT_FOUND` for one that is missing and with `INTEGRITY` for one that is too
 * short.
 */
export async function requireExternalData(path: string, { externalData }: OnnxFile): Promise<readonly string[]> {
  const files: string[] = []
  for (const { location, leastBytes } of externalData) {
    const file = externalPath(path, location)
    const handle = await open(file, 'r').catch((cause) => {
      throw new RagError('NOT_FOUND', `The weights "${location}" that "${path}" refers to are missing.`, {
        cause,
        data: { file, model: path },
        hint: 'Put the file beside the model, or fetch the model again with "ufrag pull".',
      })
    })
    const { size } = await handle.stat().finally(() => handle.close())
    if (size < leastBytes) throw damaged(file, `it has ${size} bytes where the model needs ${leastBytes}`)
    files.push(file)
  }
  return files
}

/** Where external data of a model lies. A file that leads elsewhere is refused: a model may come from a stranger. */
export function externalPath(model: string, location: string): string {
  const folder = dirname(model)
  const path = join(folder, location)
  const inside = relative(folder, path)
  if (inside === '' || inside.startsWith('..') || join(inside) !== join(location) || location.includes('\\')) {
    throw damaged(model, 'it refers to weights outside its folder')
  }
  return path
}

interface Span {
  readonly start: number
  readonly end: number
}

async function findGraph(window: Window, path: string): Promise<Span> {
  let graph: Span | undefined
  let hasOpset = false
  for await (const { number, type, span } of fields(window, { start: 0, end: window.size }, path)) {
    if (number === field.graph && type === wire.bytes) graph = span
    if (number === field.opsetImport) hasOpset = true
  }
  // Exporters write the opset last: without it, the file ends too early at what happens to be the end of a field.
  if (graph === undefined || !hasOpset) throw damaged(path, 'it has no graph or ends too early')
  return graph
}

async function externalDataOf(window: Window, graph: Span, path: string): Promise<OnnxFile['externalData']> {
  const needed = new Map<string, number>()
  for await (const { number, type, span } of fields(window, graph, path)) {
    if (number !== field.initializer || type !== wire.bytes) continue
    const { location, offset = '0', length = '0' } = await externalEntries(window, span, path)
    if (location === undefined) continue
    needed.set(location, Math.max(needed.get(location) ?? 0, Number(offset) + Number(length)))
  }
  return [...needed].map(([location, leastBytes]) => ({ location, leastBytes }))
}

/** The `external_data` of a tensor: `location`, and as numerals `offset` and `length`. */
async function externalEntries(window: Window, tensor: Span, path: string): Promise<Record<string, string>> {
  const entries: Record<string, string> = {}
  for await (const { number, type, span } of fields(window, tensor, path)) {
    if (number !== field.externalData || type !== wire.bytes) continue
    let key = ''
    let value = ''
    for await (const entry of fields(window, span, path)) {
      if (entry.number === field.key) key = await window.text(entry.span)
      if (entry.number === field.value) value = await window.text(entry.span)
    }
    entries[key] = value
  }
  return entries
}

/** The fields of one message; `span` is what a field of bytes holds. */
async function* fields(
  window: Window,
  { start, end }: Span,
  path: string,
): AsyncGenerator<{ readonly number: number; readonly type: number; readonly span: Span }> {
  let at = start
  while (at < end) {
    const tag = await window.varint(at, end, path)
    const number = Math.floor(tag.value / 8)
    const type = tag.value % 8
    let span: Span
    if (type === wire.varint) span = { start: tag.end, end: (await window.varint(tag.end, end, path)).end }
    else if (type === wire.fixed64) span = { start: tag.end, end: tag.end + 8 }
    else if (type === wire.fixed32) span = { start: tag.end, end: tag.end + 4 }
    else if (type === wire.bytes) {
      const length = await window.varint(tag.end, end, path)
      span = { start: length.end, end: length.end + length.value }
    } else throw damaged(path, 'it is not an ONNX file')
    if (number === 0) throw damaged(path, 'it is not an ONNX file')
    if (span.end > end)
      throw damaged(path, `it is cut off, or not an ONNX file: ${span.end} bytes are announced, ${end} are there`)
    yield { number, type, span }
    at = span.end
  }
}

const windowBytes = 8192

/** Reads single values at any place of a file, a few kilobytes at a time: neighbouring fields cost no further read. */
class Window {
  readonly #handle: FileHandle
  readonly size: number
  readonly #bytes = Buffer.alloc(windowBytes)
  #start = 0
  #length = 0

  constructor(handle: FileHandle, size: number) {
    this.#handle = handle
    this.size = size
  }

  /** A base-128 number and where it ends. Ten bytes at most, seven bits each; beyond 2^53 nothing here is meant. */
  async varint(at: number, end: number, path: string): Promise<{ readonly value: number; readonly end: number }> {
    let value = 0
    for (let place = 0; place < 10; place++) {
      if (at + place >= end) throw damaged(path, 'it is cut off, or not an ONNX file')
      const byte = this.#cached(at + place) ?? (await this.#load(at + place))
      value += (byte & 0x7f) * 2 ** (7 * place)
      if (byte < 0x80) return { value, end: at + place + 1 }
    }
    throw damaged(path, 'it is not an ONNX file')
  }

  /** A short text. */
  async text({ start, end }: Span): Promise<string> {
    const bytes = Buffer.alloc(Math.min(end - start, 4096))
    await this.#handle.read(bytes, 0, bytes.length, start)
    return bytes.toString('utf8')
  }

  #cached(at: number): number | undefined {
    return at >= this.#start && at < this.#start + this.#length ? this.#bytes[at - this.#start] : undefined
  }

  async #load(at: number): Promise<number> {
    const { bytesRead } = await this.#handle.read(this.#bytes, 0, windowBytes, at)
    this.#start = at
    this.#length = bytesRead
    return this.#cached(at) ?? 0
  }
}

const pointerStart = 'version https://git-lfs'

async function startsAsPointer(window: Window): Promise<boolean> {
  return (await window.text({ start: 0, end: Math.min(window.size, pointerStart.length) })) === pointerStart
}

function pointer(path: string): RagError {
  return new RagError('INTEGRITY', `"${path}" is a Git LFS pointer, not the model itself.`, {
    data: { file: path },
    hint: 'Run "git lfs pull" in the folder it was cloned from, or fetch the model with "ufrag pull".',
  })
}

function damaged(path: string, reason: string): RagError {
  return new RagError('INTEGRITY', `The model file "${path}" cannot be used: ${reason}.`, {
    data: { file: path },
    hint: 'Delete the file and fetch the model again ("ufrag pull MODEL"), or copy it again from where it came from.',
  })
}
