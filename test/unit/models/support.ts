import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll } from 'vitest'
import type { Logger } from '../../../src/core/lifecycle.js'

/** An initializer of a model: its values, or where else they lie. */
export type Initializer =
  | { readonly name: string; readonly values: Float32Array }
  | { readonly name: string; readonly location: string; readonly count: number; readonly offset?: number }

/**
 * The bytes of an ONNX file that adds its initializers, vectors of the same length, to its input `x`. Small as it is, the runtime
 * loads it.
 */
export function onnxFile(initializers: readonly Initializer[]): Buffer {
  const width = lengthOf(initializers[0])
  const nodes = initializers.map(({ name }, index) =>
    message(
      text(1, index === 0 ? 'x' : `sum${index - 1}`),
      text(1, name),
      text(2, index === initializers.length - 1 ? 'y' : `sum${index}`),
      text(4, 'Add'),
    ),
  )
  const graph = message(
    ...nodes.map((node) => bytes(1, node)),
    text(2, 'g'),
    ...initializers.map((initializer) => bytes(5, tensor(initializer))),
    bytes(11, valueInfo('x', width)),
    bytes(12, valueInfo('y', width)),
  )
  return message(number(1, 8), bytes(7, graph), bytes(8, message(text(1, ''), number(2, 13))))
}

function tensor(initializer: Initializer): Buffer {
  const { name } = initializer
  const head = [number(1, lengthOf(initializer)), number(2, 1), text(8, name)]
  if ('values' in initializer) {
    const { buffer, byteOffset, byteLength } = initializer.values
    return message(...head, bytes(9, Buffer.from(buffer, byteOffset, byteLength)))
  }
  const { location, count, offset = 0 } = initializer
  const entries = { location, offset: String(offset), length: String(count * 4) }
  const external = Object.entries(entries).map(([key, value]) => bytes(13, message(text(1, key), text(2, value))))
  return message(...head, ...external, number(14, 1))
}

function lengthOf(initializer: Initializer | undefined): number {
  if (initializer === undefined) return 0
  return 'values' in initializer ? initializer.values.length : initializer.count
}

function valueInfo(name: string, width: number): Buffer {
  const shape = bytes(2, message(bytes(1, message(number(1, width)))))
  return message(text(1, name), bytes(2, message(bytes(1, message(number(1, 1), shape)))))
}

function message(...fields: readonly Buffer[]): Buffer {
  return Buffer.concat(fields)
}

function number(field: number, value: number): Buffer {
  return Buffer.concat([varint(field * 8), varint(value)])
}

function bytes(field: number, value: Buffer): Buffer {
  return Buffer.concat([varint(field * 8 + 2), varint(value.length), value])
}

function text(field: number, value: string): Buffer {
  return bytes(field, Buffer.from(value))
}

export function varint(value: number): Buffer {
  const result: number[] = []
  let rest = value
  do {
    result.push((rest % 128) + (rest >= 128 ? 128 : 0))
    rest = Math.floor(rest / 128)
  } while (rest > 0)
  return Buffer.from(result)
}

/** A small sound ONNX file. */
export function smallOnnxFile(value = 1): Buffer {
  return onnxFile([{ name: 'w', values: new Float32Array(8).fill(value) }])
}

/** A folder of this test file, removed at its end. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-models-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Writes files: values that are not text or bytes as JSON. Returns the folder. */
export function writeFiles(folder: string, files: Readonly<Record<string, unknown>>): string {
  for (const [path, content] of Object.entries(files)) {
    const file = join(folder, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, typeof content === 'string' || Buffer.isBuffer(content) ? content : JSON.stringify(content))
  }
  return folder
}

/** Files of a small BERT: what openEmbeddingModel cannot do without. */
export function bertFiles(config: object = {}): Record<string, unknown> {
  return {
    'config.json': { model_type: 'bert', hidden_size: 32, max_position_embeddings: 64, ...config },
    'tokenizer.json': { version: '1.0', model: { type: 'WordPiece', vocab: { '[UNK]': 0 } } },
    'onnx/model.onnx': smallOnnxFile(),
  }
}

/** A logger that keeps its warnings. */
export function warnings(): { readonly logger: Logger; readonly messages: string[] } {
  const messages: string[] = []
  const nothing = () => {}
  return {
    messages,
    logger: { debug: nothing, info: nothing, error: nothing, warn: (message) => messages.push(message) },
  }
}
