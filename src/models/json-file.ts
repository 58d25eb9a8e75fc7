import { readFile } from 'node:fs/promises'
import { RagError } from '../core/errors.js'
import { isMissingFile } from '../util/system-error.js'

/** An object of a model's JSON files: nothing is known of its members. */
export type Json = Readonly<Record<string, unknown>>

/** What a JSON file of a model says; `undefined` when there is no such file. Rejects with `INTEGRITY` when it is not JSON. */
export async function readJson(path: string): Promise<unknown> {
  let bytes: Buffer
  try {
    // Given an encoding, readFile would decode piece by piece.
    bytes = await readFile(path)
  } catch (error) {
    if (isMissingFile(error)) return undefined
    throw error
  }
  try {
    return JSON.parse(bytes.toString())
  } catch {
    // The parser's own message quotes the file; the name says enough.
    throw new RagError('INTEGRITY', `The model file "${path}" is not JSON: it is cut off or was changed.`, {
      data: { file: path },
      hint: 'Delete the file and fetch the model again ("ufrag pull MODEL").',
    })
  }
}

/** The value if it is an object, else an empty one. */
export function asObject(value: unknown): Json {
  return isObject(value) ? value : {}
}

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
