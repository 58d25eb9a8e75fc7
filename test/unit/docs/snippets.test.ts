import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { describe, expect } from 'vitest'
import { inSoak } from '../../lib/soak.js'

const root = fileURLToPath(new URL('../../../', import.meta.url))
/** Its snippets are run: `adding-an-adapter.test.ts`. */
const elsewhere = 'docs/adding-an-adapter.md'
const pages = ['README.md', ...readdirSync(`${root}docs`).map((name) => `docs/${name}`)].filter(
  (path) => path.endsWith('.md') && path !== elsewhere,
)

/** What snippets use without saying where it comes from. A snippet's own declarations go before these. */
const assumed = `
import type { pipeline as pipelineType } from 'node:stream/promises'
import type { Readable as ReadableType } from 'node:stream'
import type { ServerResponse } from 'node:http'
import type * as ai from 'ai'
import type { Embeddings } from '@langchain/core/embeddings'
import type { Document } from '@langchain/core/documents'
import type * as library from 'ultrafast-rag'
import type { toAiSdkEmbeddingModel as toModel } from 'ultrafast-rag/ai-sdk'
declare global {
  const UltraFastRAG: typeof library.UltraFastRAG
  const AsyncEmbedding: typeof library.AsyncEmbedding
  const ParallelRetriever: typeof library.ParallelRetriever
  const distillStatic: typeof library.distillStatic
  const fitPca: typeof library.fitPca
  const toSse: typeof library.toSse
  const rag: library.UltraFastRAG
  const other: library.UltraFastRAG
  const embedding: library.AsyncEmbedding
  const embedder: library.Embedder
  const llm: library.LlmFunction
  const askMyModel: library.LlmFunction
  const onProgress: NonNullable<library.IngestOptions['onProgress']>
  const onEvent: NonNullable<library.WatchOptions['onEvent']>
  const question: string
  const questions: readonly string[]
  const texts: string[]
  const lines: AsyncIterable<string>
  const vectors: Float32Array
  const keys: readonly string[]
  const signal: AbortSignal
  const request: Request
  const response: ServerResponse
  const myModel: {
    stream(messages: readonly library.PromptMessage[] | undefined, options: { readonly signal?: AbortSignal | undefined }): AsyncIterable<{ readonly text: string }>
  }
  const load: () => Promise<void>
  const google: ((model: string) => Exclude<ai.LanguageModel, string>) & { embeddingModel(model: string): Exclude<ai.EmbeddingModel, string> }
  const model: ai.LanguageModel
  const { embed, embedMany, generateText, stepCountIs }: Pick<typeof ai, 'embed' | 'embedMany' | 'generateText' | 'stepCountIs'>
  const embeddings: Embeddings
  const documents: Document[]
  const ids: string[]
  const toAiSdkEmbeddingModel: typeof toModel
  const pipeline: typeof pipelineType
  const Readable: typeof ReadableType
}
`

/** A package that is not installed here. */
const google = `
declare module '@ai-sdk/google' {
  export const google: typeof globalThis.google
}
`

describe('the snippets of the documentation', () => {
  inSoak('are of the right types', { timeout: 120_000 }, () => {
    const files = new Map([
      [`${root}snippets/assumed.ts`, assumed],
      [`${root}snippets/google.d.ts`, google],
    ])
    for (const page of pages) {
      for (const { line, source } of snippetsOf(readFileSync(`${root}${page}`, 'utf8'))) {
        files.set(`${root}snippets/${page.replace(/\W/g, '-')}-${line}.ts`, `${source}\nexport {}\n`)
      }
    }
    expect(files.size).toBeGreaterThan(40)
    expect(problemsOf(files)).toEqual([])
  })
})

/** The code of a page that is complete: what leaves something out has an ellipsis outside of its comments. */
function snippetsOf(text: string): { line: number; source: string }[] {
  return [...text.matchAll(/^```ts\n([\s\S]*?)^```/gm)]
    .map(({ index, 1: source = '' }) => ({ line: text.slice(0, index).split('\n').length + 1, source }))
    .filter(({ source }) => !source.replace(/\/\/.*$/gm, '').includes('…'))
}

function problemsOf(files: ReadonlyMap<string, string>): string[] {
  const { config } = ts.readConfigFile(`${root}test/types.json`, ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, `${root}test`)
  const host = ts.createCompilerHost(options)
  const { fileExists, readFile } = host
  host.fileExists = (path) => files.has(path) || fileExists(path)
  host.readFile = (path) => files.get(path) ?? readFile(path)
  const program = ts.createProgram([...files.keys()], options, host)
  return [...files.keys()]
    .map((path) => program.getSourceFile(path))
    .flatMap((file) => [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)])
    .filter(({ code }) => code !== topLevelReturn)
    .map(({ file, messageText, start = 0 }) => {
      const line = file === undefined ? 0 : file.getLineAndCharacterOfPosition(start).line
      const place = (file?.fileName.slice(root.length + 'snippets/'.length) ?? '').replace(/\.ts$/, '')
      return `${place}+${line}: ${ts.flattenDiagnosticMessageText(messageText, ' ').slice(0, 200)}`
    })
}

/** Handlers are shown by what they return. */
const topLevelReturn = 1108
