import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Tokenizer } from '@huggingface/tokenizers'
import { randomNumbers } from '../../src/testing/support.js'
import { placesOf, tokenizerJson } from '../fixtures/models/tokenizer-json.js'
import { wordPieceDefinition, wordPieceTokens } from '../fixtures/models/tokenizer-kinds.js'

/** A tensor as its bytes. */
export interface RawTensor {
  readonly type: string
  readonly shape: readonly number[]
  readonly values: ArrayBufferView
}

/** A folder for the models of one test file; call `remove` at its end. */
export function createModelFolders() {
  const root = mkdtempSync(join(tmpdir(), 'ufrag-static-'))
  let next = 0
  return {
    root,
    /** Writes files into a folder of its own, and returns it. */
    write(files: Readonly<Record<string, string | Uint8Array>>): string {
      const folder = join(root, String(next++))
      for (const [name, content] of Object.entries(files)) {
        mkdirSync(dirname(join(folder, name)), { recursive: true })
        writeFileSync(join(folder, name), content)
      }
      return folder
    },
    remove: () => rmSync(root, { recursive: true }),
  }
}

const special = ['[PAD]', '[UNK]']
/** Common words, pieces and characters of many scripts. */
export const staticTokens: readonly string[] = wordPieceTokens({ special, cased: false })

export function tokenizerFile(tokens: readonly string[] = staticTokens): string {
  const definition = wordPieceDefinition({ cased: false, tokens })
  return JSON.stringify(tokenizerJson({ definition, special, idOf: placesOf(tokens) }))
}

/** Seeded values between -1 and 1. */
export function randomMatrix(rows: number, columns: number, seed: number): Float32Array<ArrayBuffer> {
  const random = randomNumbers(seed)
  return Float32Array.from({ length: rows * columns }, () => random() * 2 - 1)
}

export function safetensors(tensors: Readonly<Record<string, RawTensor>>): Uint8Array {
  const header: Record<string, object> = {}
  const parts: Uint8Array[] = []
  let offset = 0
  for (const [name, { type, shape, values }] of Object.entries(tensors)) {
    const { buffer, byteOffset, byteLength } = values
    header[name] = { dtype: type, shape, data_offsets: [offset, offset + byteLength] }
    parts.push(new Uint8Array(buffer, byteOffset, byteLength))
    offset += byteLength
  }
  const text = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  return Buffer.concat([length, text, ...parts])
}

/** What {@link plainVector} needs of a model. */
export interface PlainModel {
  /** Content of `tokenizer.json`. */
  readonly tokenizer: string
  /** The row of a token, factor included. */
  readonly row: (id: number) => ArrayLike<number>
  readonly format: 'model2vec' | 'sentence-transformers'
  readonly maxTokens?: number
}

/**
 * The vector of one text by the plain definition of its format, in double precision, with the tokenizer of Hugging Face; `undefined`
 * when it has none. See `StaticModel.encode` of model2vec and `StaticEmbedding.forward` of sentence-transformers.
 */
export function plainVectors(model: PlainModel): (text: string) => number[] | undefined {
  const json = JSON.parse(model.tokenizer)
  const tokenizer = new Tokenizer(json, {})
  const unknown = json.model.vocab[json.model.unk_token] as number
  const lengths = Object.keys(json.model.vocab)
    .map((token) => [...token].length)
    .sort((a, b) => a - b)
  const median = Math.trunc(
    (lengths[Math.ceil(lengths.length / 2) - 1]! + lengths[Math.floor(lengths.length / 2)]!) / 2,
  )
  const limit = model.maxTokens ?? (model.format === 'model2vec' ? 512 : Number.POSITIVE_INFINITY)

  return (text) => {
    const read = model.format === 'model2vec' ? [...text].slice(0, limit * median).join('') : text
    const all: number[] = tokenizer.encode(read, { add_special_tokens: false }).ids
    const known = all.filter((id) => id !== unknown)
    const ids = (model.format === 'model2vec' ? known : all).slice(0, limit)
    if (!ids.some((id) => id !== unknown)) return undefined
    const sum = Array.from(model.row(ids[0]!), () => 0)
    for (const id of ids) for (let i = 0; i < sum.length; i++) sum[i]! += model.row(id)[i]! / ids.length
    const length = Math.hypot(...sum)
    return length === 0 ? undefined : sum.map((value) => value / length)
  }
}
