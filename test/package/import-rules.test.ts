import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { type Import, listFiles, packageName, readImports } from './imports.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

const ports = '(?:extract|chunk|embed|vector-index|lexical-index|fusion|store|enrich|rerank|llm|cache)'
const portTypes = new RegExp(`^src/${ports}/types\\.ts$`)
const core = /^src\/core\//
const util = /^src\/util\//
const text = /^src\/text\//
const models = /^src\/models\//
const onnx = /^src\/onnx\//
const lmdb = /^src\/lmdb\//
const catalogue = /^src\/compose\/catalogue\.ts$/
const metadataIndex = /^src\/metadata-index\//
/** What of `eval` stands on nothing. */
const measures = /^src\/eval\/(?:metrics|bootstrap)\.ts$/
const facade = /^src\/(?:index|ultra-fast-rag|async-embedding|parallel-retriever)\.ts$/

interface Rule {
  /** Files the rule is about; the first rule that matches holds. */
  readonly files: RegExp
  /** What they may import besides their own folder. */
  readonly may: readonly RegExp[]
  /** What they may only `import type`. */
  readonly types?: readonly RegExp[]
  /** Whether they may import files of their own folder. Default true. */
  readonly folder?: false
  /** Whether they may import Node's own modules. Default true. */
  readonly node?: false
  readonly why: string
}

/** What may import what. A new folder needs a line here. */
const rules: readonly Rule[] = [
  { files: core, may: [], node: false, why: 'core is the vocabulary and imports nothing' },
  { files: util, may: [core], why: 'helpers know the vocabulary only' },
  { files: text, may: [core, util], why: 'text is pure: any adapter may import it' },
  {
    files: models,
    may: [core, util, text],
    why: 'what is known of model files: where they are, what they say, their tokens',
  },
  {
    files: onnx,
    may: [core, util],
    types: [/^src\/models\/types\.ts$/],
    why: 'the runtime of neural models: sessions and devices, whatever the model is for',
  },
  { files: lmdb, may: [core, util], why: 'the environment in which a store, or a cache, lies on disk' },
  {
    files: portTypes,
    may: [],
    types: [core, /^src\/models\/types\.ts$/],
    folder: false,
    node: false,
    why: 'a port is types over the vocabulary',
  },
  {
    files: new RegExp(`^src/${ports}/`),
    may: [core, util, text, models, onnx, lmdb],
    types: [portTypes],
    why: 'an adapter never imports the adapter of another port; a second port arrives as an argument',
  },
  {
    files: metadataIndex,
    may: [core, util],
    types: [portTypes],
    why: 'derived from the store, which arrives as an argument',
  },
  {
    files: /^src\/pipelines\//,
    may: [core, util, text, metadataIndex, /^src\/fusion\//, measures],
    types: [portTypes, /^src\/performance\/types\.ts$/],
    why: 'pipelines see ports, never an adapter',
  },
  { files: /^src\/stream\//, may: [core, util], why: 'events on the wire: whoever has them may send them' },
  { files: /^src\/performance\//, may: [core, util], why: 'it listens; nobody it listens to is known to it' },
  {
    files: /^src\/config\//,
    may: [core, util],
    types: [portTypes, catalogue, /^src\/models\/types\.ts$/],
    why: 'options are checked before any adapter is loaded',
  },
  {
    files: /^src\/compose\//,
    may: [core, util, text, metadataIndex, new RegExp(`^src/(?:${ports}|models|onnx|pipelines|performance|config)/`)],
    why: 'the one composition root does not know who uses it',
  },
  {
    files: /^src\/(?:ultra-fast-rag|async-embedding|parallel-retriever)\.ts$/,
    may: [core, util, /^src\/(?:compose|config)\//],
    types: [/^src\/(?:pipelines|performance)\//, portTypes],
    folder: false,
    why: 'the facade delegates only',
  },
  {
    files: /^src\/index\.ts$/,
    may: [/^src\/(?!cli|testing|http|queue|eval|interop|langchain|ai-sdk|mcp)/],
    why: 'the public names',
  },
  {
    files: /^src\/testing\//,
    may: [core, util],
    types: [portTypes, /^src\/queue\/types\.ts$/],
    why: 'suites see ports; the adapter is an argument',
  },
  {
    files: measures,
    may: [core, util],
    why: 'measures are pure functions: whoever ranks may ask how well',
  },
  {
    files: /^src\/(?:cli|http|queue|eval)\//,
    // The doctor tells where models are looked for.
    may: [core, util, facade, /^src\/config\//, /^src\/(?:eval|queue|mcp)\//, catalogue, /^src\/models\/places\.ts$/],
    why: 'what stands on the facade uses the facade',
  },
  {
    files: /^src\/(?:interop|langchain|ai-sdk|mcp)\//,
    may: [core, util, facade, /^src\/interop\//],
    types: [portTypes, /^src\/(?:pipelines|compose|config)\//],
    why: 'for others it is a use of the facade, and loads nothing else of the library',
  },
]

/** Where each package may be imported. Whatever is missing here may be imported nowhere. */
const packages: Readonly<Record<string, { readonly in: RegExp; readonly optional?: true }>> = {
  lmdb: { in: /^src\/lmdb\// },
  keyv: { in: /^src\/cache\/redis\.ts$/, optional: true },
  '@keyv/redis': { in: /^src\/cache\/redis\.ts$/, optional: true },
  'lru-cache': { in: /^src\/cache\/memory\.ts$/ },
  zod: { in: /^src\/config\// },
  commander: { in: /^src\/cli\// },
  'cli-progress': { in: /^src\/cli\// },
  htmlparser2: { in: /^src\/extract\/(?:html-reader|xml)\.ts$/ },
  yauzl: { in: /^src\/extract\/zip\.ts$/ },
  'csv-parse': { in: /^src\/extract\/csv\.ts$/ },
  '@streamparser/json': { in: /^src\/extract\/json\.ts$/ },
  '@hyzyla/pdfium': { in: /^src\/extract\/pdf/ },
  'snowball-stemmers': { in: /^src\/text\// },
  'p-limit': { in: /^src\/(?:compose|pipelines|util|embed\/remote)\// },
  chokidar: { in: /^src\/pipelines\/steps\/observe-folder\.ts$/ },
  tinyglobby: { in: /^src\/pipelines\/steps\/discover/ },
  usearch: { in: /^src\/vector-index\/segments\/graph\.ts$/, optional: true },
  'hnswlib-node': { in: /^src\/vector-index\/segments\/graph\.ts$/, optional: true },
  '@lancedb/lancedb': { in: /^src\/vector-index\/lance\/client\.ts$/, optional: true },
  undici: { in: /^src\/extract\/guarded-agent\.ts$/, optional: true },
  'ipaddr.js': { in: /^src\/extract\// },
  'pdf-parse': { in: /^src\/extract\/pdf-parse\.ts$/, optional: true },
  'onnxruntime-node': { in: /^src\/onnx\//, optional: true },
  '@huggingface/tokenizers': { in: /^src\/models\//, optional: true },
  '@huggingface/transformers': { in: /^src\/llm\/transformers\//, optional: true },
  '@huggingface/hub': { in: /^src\/models\//, optional: true },
  ai: { in: /^src\/(?:util\/ai-sdk-model\.ts$|ai-sdk\/)/, optional: true },
  '@langchain/core': { in: /^src\/langchain\//, optional: true },
  '@modelcontextprotocol/sdk': { in: /^src\/mcp\//, optional: true },
  openai: { in: /^src\/util\/openai-client\.ts$/, optional: true },
  bullmq: { in: /^src\/queue\/bullmq/, optional: true },
  'sentence-splitter': { in: /^src\/chunk\/sentence-splitter\.ts$/, optional: true },
}

const files = listFiles(root, 'src').filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
const imports = files.flatMap((file) => readImports(root, file))
const ownImports = imports.filter(({ target }) => target.startsWith('src/'))
const nodeImports = imports.filter(({ target }) => target.startsWith('node:'))
const foreignImports = imports.filter(({ target }) => !target.startsWith('src/') && !target.startsWith('node:'))

const ruleOf = (file: string) => rules.find((rule) => rule.files.test(file))
const place = ({ file, line, target }: Import) => `${file}:${line} imports ${target}`

describe('import rules', () => {
  it('see imports of every kind, of our own files and of packages', () => {
    expect(new Set(imports.map(({ kind }) => kind))).toEqual(new Set(['static', 'type', 'dynamic']))
    expect(foreignImports.map(({ target }) => packageName(target))).toEqual(expect.arrayContaining(['zod', 'p-limit']))
  })

  it('cover every source file', () => {
    expect(files.filter((file) => ruleOf(file) === undefined)).toEqual([])
  })

  it('are kept by every import of our own files', () => {
    const broken = ownImports.filter((one) => !isAllowed(one))
    expect(broken.map((one) => `${place(one)} (${one.kind}): ${ruleOf(one.file)?.why}`)).toEqual([])
  })

  it("let core and the ports do without Node's modules", () => {
    expect(nodeImports.filter(({ file }) => ruleOf(file)?.node === false).map(place)).toEqual([])
  })

  it('let a package be imported only where it belongs', () => {
    const broken = foreignImports.filter(({ file, target }) => !packages[packageName(target)]?.in.test(file))
    expect(broken.map(place)).toEqual([])
  })

  it('let optional peers be imported lazily and through importOptional only', () => {
    const optional = foreignImports.filter(({ target }) => packages[packageName(target)]?.optional)
    // A subpath for users of a package has that package, and what extends its classes cannot wait for them.
    const isOwn = ({ file, target }: Import) =>
      (file.startsWith('src/langchain/') && packageName(target) === '@langchain/core') ||
      (file.startsWith('src/ai-sdk/') && packageName(target) === 'ai')
    expect(optional.filter((one) => one.kind === 'static' && !isOwn(one)).map(place)).toEqual([])
    const helper = new Set(
      ownImports.filter(({ target }) => target === 'src/util/import-optional.ts').map(({ file }) => file),
    )
    expect(optional.filter(({ kind, file }) => kind === 'dynamic' && !helper.has(file)).map(place)).toEqual([])
  })

  it('leave no circle of files that need each other to load', () => {
    expect(findCircle()).toEqual([])
  })
})

function isAllowed({ file, target, kind }: Import): boolean {
  const rule = ruleOf(file)
  if (rule === undefined) return true
  if (rule.folder !== false && folderOf(file) === folderOf(target)) return true
  if (rule.may.some((pattern) => pattern.test(target))) return true
  return kind === 'type' && (rule.types ?? []).some((pattern) => pattern.test(target))
}

/** `src/store/lmdb.ts` lies in `src/store`, as does `src/store/x/y.ts`; files directly in `src` share none. */
function folderOf(file: string): string {
  const parts = file.split('/')
  return parts.length > 2 ? parts.slice(0, 2).join('/') : file
}

/** Files of the first circle of static imports, in order; empty when there is none. */
function findCircle(): string[] {
  const needed = ownImports.filter(({ kind }) => kind === 'static')
  const done = new Set<string>()
  const walk = (file: string, path: readonly string[]): string[] => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file]
    if (done.has(file)) return []
    for (const { target } of needed.filter((one) => one.file === file)) {
      const circle = walk(target, [...path, file])
      if (circle.length > 0) return circle
    }
    done.add(file)
    return []
  }
  for (const file of files) {
    const circle = walk(file, [])
    if (circle.length > 0) return circle
  }
  return []
}
