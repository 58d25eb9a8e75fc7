import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { openTokenizer } from '../../src/models/tokenizer.js'

/** How long a tokenizer takes to open, in milliseconds. */
export interface TokenizerOpening {
  /** Until it has encoded a first text. */
  readonly wallMs: number
  /** `JSON.parse` of its file, after that: what the time can be compared with on another machine. */
  readonly parseMs: number
}

export default async function openOnce(directory: string): Promise<TokenizerOpening> {
  const began = performance.now()
  const tokenizer = await openTokenizer(directory)
  tokenizer.encode(['What is the first question?'], { maxTokens: 512 })
  const wallMs = performance.now() - began
  const content = readFileSync(join(directory, 'tokenizer.json'), 'utf8')
  const parsing = performance.now()
  JSON.parse(content)
  return { wallMs, parseMs: performance.now() - parsing }
}
