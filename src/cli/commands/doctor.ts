import { accessSync, constants, existsSync } from 'node:fs'
import { readdir, stat, statfs } from 'node:fs/promises'
import { availableParallelism, totalmem } from 'node:os'
import { join, resolve } from 'node:path'
import { isOffline, modelPlaces, prepackedDirectory } from '../../models/places.js'
import { errorCode, isMissingFile } from '../../util/system-error.js'
import { workerUrl } from '../../util/worker-url.js'
import { type Command, type CommandContext, describeError, exitCodes } from '../context.js'

/** One thing that was looked at. */
interface Finding {
  readonly name: string
  readonly state: 'ok' | 'absent' | 'broken'
  readonly detail: string
  /** The command or step that mends it. */
  readonly fix?: string
}

/** A package that is loaded at run time; without the required ones nothing works. */
interface RuntimePackage {
  readonly name: string
  readonly required: boolean
  readonly use: string
  readonly install?: string
  /** What is imported of it, where the package itself is not. */
  readonly module?: string
}

const packages: readonly RuntimePackage[] = [
  { name: 'lmdb', required: true, use: 'storage: "./folder"' },
  { name: '@hyzyla/pdfium', required: true, use: 'reading PDF' },
  { name: 'usearch', required: false, use: 'searching many vectors', install: 'npm i usearch@2.25' },
  { name: 'pdf-parse', required: false, use: 'extractor: { pdf: "pdf-parse" }', install: 'npm i pdf-parse@2' },
  { name: 'undici', required: false, use: 'allowUrls', install: 'npm i undici@7' },
  {
    name: 'sentence-splitter',
    required: false,
    use: 'chunker: "sentence-splitter"',
    install: 'npm i sentence-splitter@5',
  },
  {
    name: 'onnxruntime-node',
    required: false,
    use: 'embedder: { kind: "onnx" }',
    install: 'ONNXRUNTIME_NODE_INSTALL=skip npm i onnxruntime-node@1.30',
  },
  { name: '@huggingface/hub', required: false, use: 'fetching models', install: 'npm i @huggingface/hub@2' },
  {
    name: '@huggingface/tokenizers',
    required: false,
    use: 'models whose tokenizer is not WordPiece',
    install: 'npm i @huggingface/tokenizers@0.2',
  },
  {
    name: '@huggingface/transformers',
    required: false,
    use: 'llm: { kind: "transformers" }',
    install: 'npm i @huggingface/transformers@4',
  },
  { name: 'openai', required: false, use: 'models and embedders of services with its API', install: 'npm i openai@6' },
  { name: 'ai', required: false, use: 'models of the AI Gateway by name', install: 'npm i ai@6' },
  {
    name: '@lancedb/lancedb',
    required: false,
    use: 'vectorIndex: "lancedb"',
    install: 'npm i @lancedb/lancedb@0.37',
  },
  { name: 'hnswlib-node', required: false, use: 'vectorIndex: "hnswlib"', install: 'npm i hnswlib-node@3' },
  { name: 'keyv', required: false, use: 'a cache on Redis', install: 'npm i keyv@5 @keyv/redis@5' },
  { name: '@keyv/redis', required: false, use: 'a cache on Redis', install: 'npm i keyv@5 @keyv/redis@5' },
  { name: 'bullmq', required: false, use: 'a queue on Redis (ufrag worker)', install: 'npm i bullmq@5' },
  {
    name: '@modelcontextprotocol/sdk',
    required: false,
    use: 'ufrag mcp',
    install: 'npm i @modelcontextprotocol/sdk@1',
    module: '@modelcontextprotocol/sdk/types.js',
  },
  { name: '@langchain/core', required: false, use: 'ultrafast-rag/langchain', install: 'npm i @langchain/core@1' },
]
const workers = [
  'prepare',
  'lexical',
  'vector',
  'lance',
  'lmdb',
  'cache',
  'prepack',
  'embed',
  'static',
  'latent-semantic',
  'distill',
  'rerank',
  'generate',
]
const leastFreeBytes = 1 << 30

/** `ufrag doctor`: what is installed, what is missing, and the command that mends it. 1 when something required is broken. */
export const doctor: Command = async (context) => {
  const findings = [
    checkNode(),
    ...(await Promise.all(packages.map(checkPackage))),
    ...workers.map(checkWorker),
    ...checkModels(context.environment.variables),
    await checkPrepacked(context.environment.variables),
    ...(await checkStorage(context)),
  ]
  if (context.json) context.data({ findings })
  else for (const finding of findings) context.line(formatFinding(finding))
  return findings.some(({ state }) => state === 'broken') ? exitCodes.failed : exitCodes.ok
}

function checkNode(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const detail = `${process.version}, ${process.platform} ${process.arch}, ${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GiB`
  if (major > 20 || (major === 20 && minor >= 19)) return { name: 'node', state: 'ok', detail }
  return { name: 'node', state: 'broken', detail, fix: 'Install Node 20.19 or later.' }
}

/** Loading a package also loads its native binding or WASM loader, which is what breaks. */
async function checkPackage({ name, required, use, install, module = name }: RuntimePackage): Promise<Finding> {
  try {
    await import(module)
    return { name, state: 'ok', detail: use }
  } catch (error) {
    const missing = errorCode(error) === 'ERR_MODULE_NOT_FOUND'
    if (missing && !required)
      return { name, state: 'absent', detail: `optional, for ${use}`, ...(install && { fix: install }) }
    const fix = install ?? `npm i ultrafast-rag --force (reinstalls ${name} for this platform)`
    return { name, state: 'broken', detail: missing ? 'not installed' : describeError(error), fix }
  }
}

function checkWorker(name: string): Finding {
  try {
    workerUrl(name)
    return { name: `${name} worker`, state: 'ok', detail: 'found' }
  } catch (error) {
    return { name: `${name} worker`, state: 'broken', detail: describeError(error) }
  }
}

/** Where models are looked for, in that order. */
function checkModels(environment: Readonly<Record<string, string | undefined>>): Finding[] {
  const places = modelPlaces({ environment }).map(({ kind, path, from }): Finding => {
    const what = kind === 'cache' ? 'hub cache' : 'folder'
    const source = from === 'default' ? '' : ` of ${from}`
    const name = `models in ${path}`
    if (existsSync(path)) return { name, state: 'ok', detail: `${what}${source}` }
    const detail = kind === 'cache' ? 'is made by the first download' : 'does not exist'
    return { name, state: 'absent', detail: `${what}${source} ${detail}` }
  })
  if (!isOffline(environment)) return places
  return [...places, { name: 'models', state: 'ok', detail: 'none are fetched: HF_HUB_OFFLINE is set' }]
}

/** Models as this processor computes them, which may be removed at any time. */
async function checkPrepacked(environment: Readonly<Record<string, string | undefined>>): Promise<Finding> {
  const folder = prepackedDirectory(undefined, environment)
  if (folder === undefined)
    return {
      name: 'prepacked models',
      state: 'absent',
      detail: 'none are made: UFRAG_PREPACKED is off, or there is no home',
    }
  const name = `prepacked models in ${folder}`
  try {
    const files = await readdir(folder, { recursive: true, withFileTypes: true })
    const sizes = await Promise.all(
      files.filter((file) => file.isFile()).map(async (file) => (await stat(join(file.parentPath, file.name))).size),
    )
    const bytes = sizes.reduce((sum, size) => sum + size, 0)
    return { name, state: 'ok', detail: `${Math.round(bytes / 2 ** 20)} MiB, to be removed at will` }
  } catch (error) {
    const detail = isMissingFile(error) ? 'is made when a model is first opened' : describeError(error)
    return { name, state: 'absent', detail }
  }
}

async function checkStorage(context: CommandContext): Promise<Finding[]> {
  const { storage } = context.options()
  if (typeof storage !== 'string') return []
  const folder = resolve(storage)
  if (!existsSync(folder))
    return [{ name: 'storage', state: 'absent', detail: `${folder} is made by the first ingest` }]
  const name = `storage ${folder}`
  try {
    accessSync(folder, constants.R_OK | constants.W_OK)
    const { bavail, bsize } = await statfs(folder)
    const free = bavail * bsize
    const { documents, chunks } = await context.withRag((rag) => rag.stats())
    const detail = `${documents} documents, ${chunks} chunks, ${(free / 2 ** 30).toFixed(1)} GiB free`
    if (free >= leastFreeBytes) return [{ name, state: 'ok', detail }]
    return [{ name, state: 'broken', detail, fix: 'Free some space: a full disk refuses new documents.' }]
  } catch (error) {
    return [
      { name, state: 'broken', detail: describeError(error), fix: 'Check the owner and permissions of the folder.' },
    ]
  }
}

function formatFinding({ name, state, detail, fix }: Finding): string {
  const mark = { ok: 'ok     ', absent: 'absent ', broken: 'BROKEN ' }[state]
  return `${mark} ${name}: ${detail}${fix === undefined ? '' : `\n        fix: ${fix}`}`
}
