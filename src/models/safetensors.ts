import { type FileHandle, open } from 'node:fs/promises'
import { RagError } from '../core/errors.js'
import { isMissingFile } from '../util/system-error.js'

/** A tensor of a safetensors file, checked against the file when it was opened. */
export interface Tensor {
  readonly name: string
  /** As the file says it: `'F32'`, `'F16'`, `'I64'` ... */
  readonly type: string
  /** Sizes, outermost first. */
  readonly shape: readonly number[]
  /** Place in the file, in bytes. */
  readonly start: number
  readonly end: number
}

/** A safetensors file, open for reading. */
export interface SafetensorsFile {
  readonly path: string
  readonly tensors: ReadonlyMap<string, Tensor>
  /**
   * The values of a tensor in the order of the file, at most 256 Ki at a time: of a matrix, whole rows (as long as a row has no
   * more than that). Integers beyond 2^53 are rounded. The array may be used again for the next part: copy what is to stay.
   * Throws `UNSUPPORTED` for types that are no number of a whole number of bytes, `INTEGRITY` when the file ends early.
   */
  values(tensor: Tensor, signal?: AbortSignal): AsyncGenerator<Float64Array | Float32Array, void, undefined>
  close(): Promise<void>
}

/** A tensor to be written: little-endian values in row-major order. */
export interface TensorToWrite {
  readonly name: string
  readonly type: 'F32'
  readonly shape: readonly number[]
  readonly values: Float32Array
}

/** Bits per value of the types there are: https://github.com/huggingface/safetensors (enum Dtype). */
const bitsOfType: Readonly<Record<string, number>> = {
  ...{ F4: 4, F6_E2M3: 6, F6_E3M2: 6 },
  ...{ BOOL: 8, U8: 8, I8: 8, F8_E5M2: 8, F8_E4M3: 8, F8_E8M0: 8, F8_E4M3FNUZ: 8, F8_E5M2FNUZ: 8 },
  ...{ I16: 16, U16: 16, F16: 16, BF16: 16, I32: 32, U32: 32, F32: 32 },
  ...{ C64: 64, F64: 64, I64: 64, U64: 64 },
}

/** The format allows 100 MB; the header of a hundred thousand tensors is smaller than this. */
const maxHeaderBytes = 16 << 20
const lengthBytes = 8
const valuesPerPart = 2 ** 18
/** Values begin at a multiple of this, so that others can map them. */
const alignment = 8

/**
 * Opens a safetensors file (https://github.com/huggingface/safetensors#format) and checks all that its header says: sizes against
 * shapes and types, no overlap, no gap, no byte too few or too many. Reads the header only. Rejects with `NOT_FOUND`, `STORAGE`
 * when the file cannot be read, and `INTEGRITY`, naming the file, when it is not what it claims to be.
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const file = await openFile(path)
  try {
    const stats = await file.stat()
    if (!stats.isFile()) throw damaged(path, 'it is no file')
    const { size } = stats
    const header = await readHeader(file, path, size)
    const tensors = parseHeader(path, size, header)
    return {
      path,
      tensors,
      values: (tensor, signal) => readValues(file, path, tensor, signal),
      close: () => file.close(),
    }
  } catch (error) {
    await file.close()
    throw error
  }
}

/**
 * Writes a safetensors file and flushes it to disk. The values are not copied; an existing file is replaced, and one that was not
 * written to its end is no safetensors file. Throws `BAD_INPUT` when shape and number of values do not agree.
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly TensorToWrite[],
  { metadata, signal }: { readonly metadata?: Readonly<Record<string, string>>; readonly signal?: AbortSignal } = {},
): Promise<void> {
  const header: Record<string, object> = metadata === undefined ? {} : { __metadata__: metadata }
  let offset = 0
  for (const { name, type, shape, values } of tensors) {
    if (sizeOf(shape) !== values.length) {
      throw new RagError('BAD_INPUT', `The tensor "${name}" has not as many values as its shape says.`, {
        data: { shape, values: values.length },
      })
    }
    header[name] = { dtype: type, shape, data_offsets: [offset, offset + values.byteLength] }
    offset += values.byteLength
  }
  const text = JSON.stringify(header)
  const length = Math.ceil(Buffer.byteLength(text) / alignment) * alignment
  const bytes = Buffer.alloc(lengthBytes + length, ' ')
  bytes.writeBigUInt64LE(BigInt(length))
  bytes.write(text, lengthBytes)

  const file = await open(path, 'w')
  try {
    await writeAll(file, bytes, signal)
    for (const { values } of tensors) {
      await writeAll(file, new Uint8Array(values.buffer, values.byteOffset, values.byteLength), signal)
    }
    await file.sync()
  } finally {
    await file.close()
  }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path)
  } catch (cause) {
    const missing = isMissingFile(cause)
    throw new RagError(missing ? 'NOT_FOUND' : 'STORAGE', `The file "${path}" cannot be opened.`, {
      cause,
      data: { path },
      hint: missing ? 'Check the path, or download the model.' : 'Check the permissions of the file.',
    })
  }
}

interface Header {
  readonly text: string
  /** Where the values begin. */
  readonly end: number
}

async function readHeader(file: FileHandle, path: string, size: number): Promise<Header> {
  if (size < lengthBytes) throw damaged(path, 'it is too short for a header', { size })
  const length = Number((await readBytes(file, path, 0, Buffer.alloc(lengthBytes))).readBigUInt64LE())
  if (length > size - lengthBytes) throw damaged(path, 'it ends within its header', { size, headerBytes: length })
  if (length > maxHeaderBytes) throw damaged(path, 'its header is too large', { headerBytes: length })
  const bytes = await readBytes(file, path, lengthBytes, Buffer.alloc(length))
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes), end: lengthBytes + length }
  } catch (cause) {
    throw damaged(path, 'its header is not UTF-8', {}, cause)
  }
}

function parseHeader(path: string, size: number, header: Header): Map<string, Tensor> {
  let entries: unknown
  try {
    entries = JSON.parse(header.text)
  } catch (cause) {
    throw damaged(path, 'its header is not JSON', {}, cause)
  }
  if (!isObject(entries)) throw damaged(path, 'its header is not an object')
  const tensors = Object.entries(entries)
    .filter(([name]) => name !== '__metadata__')
    .map(([name, entry]) => parseTensor(path, name, entry, header.end))

  // Checked in the order of the file: each begins where the one before it ends, and the last ends with the file.
  let end = header.end
  for (const tensor of tensors.toSorted((a, b) => a.start - b.start || a.end - b.end)) {
    if (tensor.start !== end) {
      const problem = tensor.start < end ? 'overlaps another' : 'leaves a gap before it'
      throw damaged(path, `the tensor ${quote(tensor.name)} ${problem}`)
    }
    end = tensor.end
  }
  if (end !== size) throw damaged(path, size < end ? 'it ends early' : 'it is longer than its tensors', { size, end })
  return new Map(tensors.map((tensor) => [tensor.name, tensor]))
}

function parseTensor(path: string, name: string, entry: unknown, dataStart: number): Tensor {
  const wrong = (problem: string) => damaged(path, `the tensor ${quote(name)} ${problem}`)
  if (!isObject(entry)) throw wrong('is not described')
  const { dtype, shape, data_offsets: offsets } = entry
  if (typeof dtype !== 'string' || !Object.hasOwn(bitsOfType, dtype)) throw wrong('has no known type')
  if (!isSizes(shape)) throw wrong('has no valid shape')
  if (!isSizes(offsets) || offsets.length !== 2) throw wrong('has no valid place')
  const [start, end] = offsets as [number, number]
  const bytes = (sizeOf(shape) * (bitsOfType[dtype] as number)) / 8
  // A product beyond 2^53 is not exact, and no file is that large.
  if (!Number.isSafeInteger(bytes) || end - start !== bytes) throw wrong('has another size than its shape says')
  return { name, type: dtype, shape, start: dataStart + start, end: dataStart + end }
}

async function* readValues(
  file: FileHandle,
  path: string,
  tensor: Tensor,
  signal: AbortSignal | undefined,
): AsyncGenerator<Float64Array | Float32Array, void, undefined> {
  const decode = decoders[tensor.type]
  if (decode === undefined) {
    throw new RagError('UNSUPPORTED', `Values of type ${tensor.type} cannot be read.`, {
      data: { path, tensor: tensor.name, type: tensor.type, supported: Object.keys(decoders) },
    })
  }
  const bytesPerValue = (bitsOfType[tensor.type] as number) / 8
  const width = tensor.shape.length > 1 ? (tensor.shape.at(-1) as number) : 1
  const valuesAtOnce = width > valuesPerPart || width === 0 ? valuesPerPart : valuesPerPart - (valuesPerPart % width)
  const buffer = Buffer.from(new ArrayBuffer(Math.min(valuesAtOnce * bytesPerValue, tensor.end - tensor.start)))
  for (let start = tensor.start; start < tensor.end; start += buffer.length) {
    signal?.throwIfAborted()
    const part = buffer.subarray(0, Math.min(buffer.length, tensor.end - start))
    await readBytes(file, path, start, part)
    yield decode(part.buffer as ArrayBuffer, part.length / bytesPerValue)
  }
}

type Decode = (buffer: ArrayBuffer, count: number) => Float64Array | Float32Array

/**
 * Turns little-endian values into numbers. Typed arrays have the byte order of the machine, and every machine that Node has
 * prebuilt binaries for, but one, is little-endian.
 */
const decoders: Readonly<Record<string, Decode>> = {
  F32: (buffer, count) => new Float32Array(buffer, 0, count),
  F64: (buffer, count) => new Float64Array(buffer, 0, count),
  F16: (buffer, count) => {
    halves ??= Float32Array.from({ length: 65_536 }, (_, bits) => halfToNumber(bits))
    const table = halves
    const bits = new Uint16Array(buffer, 0, count)
    const values = new Float32Array(count)
    for (let i = 0; i < count; i++) values[i] = table[bits[i] as number] as number
    return values
  },
  // The upper half of a single-precision value.
  BF16: (buffer, count) => {
    const values = Uint32Array.from(new Uint16Array(buffer, 0, count), (bits) => bits << 16)
    return new Float32Array(values.buffer)
  },
  I8: (buffer, count) => Float32Array.from(new Int8Array(buffer, 0, count)),
  U8: (buffer, count) => Float32Array.from(new Uint8Array(buffer, 0, count)),
  I16: (buffer, count) => Float32Array.from(new Int16Array(buffer, 0, count)),
  U16: (buffer, count) => Float32Array.from(new Uint16Array(buffer, 0, count)),
  I32: (buffer, count) => Float64Array.from(new Int32Array(buffer, 0, count)),
  U32: (buffer, count) => Float64Array.from(new Uint32Array(buffer, 0, count)),
  I64: (buffer, count) => Float64Array.from(new BigInt64Array(buffer, 0, count), Number),
  U64: (buffer, count) => Float64Array.from(new BigUint64Array(buffer, 0, count), Number),
}

/** All values of half precision, made when the first file needs them. */
let halves: Float32Array | undefined

/** IEEE 754 binary16: one bit of sign, five of exponent, ten of fraction. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >>> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  if (exponent === 0) return sign * fraction * 2 ** -24
  return sign * (1 + fraction / 1_024) * 2 ** (exponent - 15)
}

async function readBytes(file: FileHandle, path: string, start: number, bytes: Buffer): Promise<Buffer> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, start + done)
    if (bytesRead === 0) throw damaged(path, 'it became shorter while it was read')
    done += bytesRead
  }
  return bytes
}

async function writeAll(file: FileHandle, bytes: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
  const bytesPerWrite = 1 << 22
  for (let done = 0; done < bytes.length; ) {
    signal?.throwIfAborted()
    done += (await file.write(bytes, done, Math.min(bytesPerWrite, bytes.length - done))).bytesWritten
  }
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0)
}

/** Names come from the file: long or strange ones must not fill the log. */
function quote(name: string): string {
  return JSON.stringify(name.length > 60 ? `${name.slice(0, 60)}…` : name)
}

function damaged(path: string, problem: string, data: object = {}, cause?: unknown): RagError {
  return new RagError('INTEGRITY', `The file "${path}" is damaged: ${problem}.`, {
    data: { path, ...data },
    hint: 'Copy or download it again.',
    ...(cause === undefined ? {} : { cause }),
  })
}
