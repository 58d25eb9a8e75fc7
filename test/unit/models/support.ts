import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll } from 'vitest'
import type { Logger } from '../../../src/core/lifecycle.js'
import { type Encoded, field, integerField, message } from '../../fixtures/models/protobuf.js'

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
      field(1, index === 0 ? 'x' : `sum${index - 1}`),
      field(1, name),
      field(2, index === initializers.length - 1 ? 'y' : `sum${index}`),
      field(4, 'Add'),
    ),
  )
  const graph = message(
    ...nodes.map((node) => field(1, node)),
    field(2, 'g'),
    ...initializers.map((initializer) => field(5, tensor(initializer))),
    field(11, valueInfo('x', width)),
    field(12, valueInfo('y', width)),
  )
  const opset = message(field(1, ''), integerField(2, 13))
  return Buffer.concat(message(integerField(1, 8), field(7, graph), field(8, opset)).pieces)
}

function tensor(initializer: Initializer): Encoded {
  const head = message(integerField(1, lengthOf(initializer)), integerField(2, 1), field(8, initializer.name))
  if ('values' in initializer) {
    const { buffer, byteOffset, byteLength } = initializer.values
    return message(head, field(9, new Uint8Array(buffer, byteOffset, byteLength)))
  }
  const { location, count, offset = 0 } = initializer
  const entries = Object.entries({ location, offset: String(offset), length: String(count * 4) })
  return message(
    head,
    ...entries.map(([key, value]) => field(13, message(field(1, key), field(2, value)))),
    integerField(14, 1),
  )
}

function lengthOf(initializer: Initializer | undefined): number {
  if (initializer === undefined) return 0
  return 'values' in initializer ? initializer.values.length : initializer.count
}

function valueInfo(name: string, width: number): Encoded {
  const shape = field(2, message(field(1, integerField(1, width))))
  return message(field(1, name), field(2, field(1, message(integerField(1, 1), shape))))
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
