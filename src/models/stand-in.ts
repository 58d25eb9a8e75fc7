import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { importOptional } from '../util/import-optional.js'
import type { Tokenizer } from './types.js'

/** The library's tokenizer, until our own takes its place. */
export async function openTokenizer(directory: string): Promise<Tokenizer> {
  const read = async (name: string) => JSON.parse(await readFile(join(directory, name), 'utf8'))
  const [json, config] = await Promise.all([read('tokenizer.json'), read('tokenizer_config.json')])
  const library = await importOptional(
    '@huggingface/tokenizers',
    () => import('@huggingface/tokenizers'),
    'npm i @huggingface/tokenizers@0.2',
  )
  const tokenizer = new library.Tokenizer(json, config)
  return {
    paddingId: 0,
    encode(texts, { maxTokens, prefix = '' }) {
      const rows = texts.map((text) => {
        const ids: number[] = tokenizer.encode(prefix + text).ids
        return ids.length > maxTokens ? [...ids.slice(0, maxTokens - 1), ids.at(-1) as number] : ids
      })
      const offsets = new Int32Array(rows.length + 1)
      for (const [i, row] of rows.entries()) offsets[i + 1] = (offsets[i] as number) + row.length
      return { ids: Int32Array.from(rows.flat()), offsets }
    },
  }
}
