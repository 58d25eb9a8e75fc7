import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { isBuiltin } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ensureBuilt } from '../../bench/lib/build.js'
import tsup from '../../tsup.config.js'
import { listFiles, packageName, readImports } from './imports.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>
  readonly bin: Readonly<Record<string, string>>
  readonly scripts: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}
const folder = mkdtempSync(join(tmpdir(), 'ufrag-package-'))
/** An empty project in which the packed package is installed. */
const consumer = join(folder, 'consumer')
let tarball = ''
let packed: readonly string[] = []

beforeAll(() => {
  ensureBuilt(root, { types: true })
  const output = run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], root)
  const [pack] = JSON.parse(output) as [{ filename: string; files: { path: string }[] }]
  tarball = join(folder, pack.filename)
  packed = pack.files.map(({ path }) => path)
  mkdirSync(consumer)
  writeFileSync(join(consumer, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  run('npm', ['i', tarball, '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'], consumer)
}, 240_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('the packed package', { timeout: 120_000 }, () => {
  it('holds only what it should', () => {
    const allowed =
      /^(?:dist\/[\w.-]+\.(?:js|js\.map|d\.ts)|docs\/(?:decisions\/)?[\w-]+\.md|docs\/benchmarks\/[\w-]+\.(?:json|md|svg)|examples\/[\w-]+\.ts|README\.md|LICENSE|package\.json)$/
    expect(packed.filter((path) => !allowed.test(path))).toEqual([])
    expect(packed).toEqual(
      expect.arrayContaining(['LICENSE', 'README.md', 'dist/index.js', 'dist/index.d.ts', 'dist/cli.js']),
    )
  })

  it('runs no script of its own when it is installed', () => {
    const hooks = ['preinstall', 'install', 'postinstall', 'prepare']
    expect(hooks.filter((hook) => hook in manifest.scripts)).toEqual([])
  })

  it('pleases publint', () => {
    expect(runQuietly('publint', [tarball, '--strict'])).toEqual({ status: 0, output: '' })
  })

  it('pleases arethetypeswrong', () => {
    expect(runQuietly('attw', [tarball, '--profile', 'esm-only', '--no-emoji', '--no-color'])).toEqual({
      status: 0,
      output: '',
    })
  })

  it('exports what is built, and builds what it exports, starts as worker, or runs as command', () => {
    const entries = Object.keys((tsup as { entry: Record<string, string> }).entry)
    const targets = [...Object.values(manifest.exports), ...Object.values(manifest.bin)]
      .flatMap((target) => (typeof target === 'string' ? [target] : Object.values(target)))
      .filter((target) => target.startsWith('./dist/') || target.startsWith('dist/'))
      .map((target) => target.replace(/^\.\//, ''))
    expect(targets.filter((target) => !existsSync(join(root, target)))).toEqual([])
    const named = new Set(targets.map((target) => target.replace(/^dist\/|(?:\.d)?\.[jt]s$/g, '')))
    expect(entries.filter((entry) => !named.has(entry) && !entry.endsWith('.worker'))).toEqual([])
    expect([...named].filter((name) => !entries.includes(name))).toEqual([])
    expect(entries.filter((entry) => !existsSync(join(root, 'dist', `${entry}.js`)))).toEqual([])
  })

  it('declares every package it imports, and carries none inside but zod', () => {
    const built = listFiles(root, 'dist').filter((file) => file.endsWith('.js'))
    const imported = built.flatMap((file) => readImports(root, file)).map(({ target }) => target)
    const bare = imported.filter((target) => !target.startsWith('dist/') && !isBuiltin(target))
    const foreign = new Set(bare.map(packageName))
    const { dependencies, optionalDependencies, peerDependencies } = manifest
    const declared = { ...dependencies, ...optionalDependencies, ...peerDependencies }
    expect([...foreign].filter((name) => !(name in declared))).toEqual([])
    // A package that is only a devDependency is bundled without a word; its sources then show up in the source maps.
    const maps = listFiles(root, 'dist').filter((file) => file.endsWith('.js.map'))
    const sources = maps.flatMap(
      (file) => (JSON.parse(readFileSync(join(root, file), 'utf8')) as { sources: string[] }).sources,
    )
    const inside = sources.map((source) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(source)?.[1])
    expect(new Set(inside.filter((name) => name !== undefined && name !== 'zod'))).toEqual(new Set())
  })

  it('marks every peer as optional', () => {
    const required = Object.keys(manifest.peerDependencies ?? {}).filter(
      (name) => manifest.peerDependenciesMeta?.[name]?.optional !== true,
    )
    expect(required).toEqual([])
  })
})

describe('in an empty project', { timeout: 120_000 }, () => {
  it('is imported without doing anything: no native code, no workers, no listeners, few files', () => {
    const { loaded, ...traces } = JSON.parse(runScript(importProbe)) as { loaded: string[]; [trace: string]: unknown }
    // zod keeps its settings in one place for all of its copies; it is the one global that importing leaves.
    expect(traces).toEqual({ resources: [], globals: ['__zod_globalConfig'], listeners: 0, printed: 0 })
    const foreign = loaded.map((url) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1])
    const allowed = new Set(['ultrafast-rag', 'p-limit', 'yocto-queue'])
    expect(foreign.filter((name) => name !== undefined && !allowed.has(name))).toEqual([])
    expect(loaded.length).toBeLessThan(60)
  })

  it('needs no permission but to read when it is imported', () => {
    const { status, output } = spawn(
      process.execPath,
      [
        '--experimental-permission',
        '--no-warnings',
        `--allow-fs-read=${folder}`,
        '-e',
        "import('ultrafast-rag').then(() => console.log('fine'))",
      ],
      consumer,
    )
    expect({ status, output: output.trim() }).toEqual({ status: 0, output: 'fine' })
  })

  it('can be required by CommonJS on this Node', () => {
    const script = "const { UltraFastRAG } = require('ultrafast-rag'); console.log(typeof UltraFastRAG)"
    expect(runScript(script, 'commonjs').trim()).toBe('function')
  })

  it('is one library with its subpaths, beside the packages they are for', () => {
    const script = `
      import { RagError, UltraFastRAG } from 'ultrafast-rag'
      import { fromLangChainEmbeddings, toLangChainRetriever } from 'ultrafast-rag/langchain'
      import { retrievalTool } from 'ultrafast-rag/ai-sdk'
      import { createMcpServer } from 'ultrafast-rag/mcp'
      let refused
      try { fromLangChainEmbeddings({}, {}) } catch (error) { refused = error instanceof RagError }
      const rag = new UltraFastRAG()
      const server = await createMcpServer(rag)
      const rejected = await createMcpServer(rag, { nonsense: 1 }).catch((error) => error instanceof RagError)
      console.log(refused, rejected, toLangChainRetriever(rag).lc_runnable, typeof retrievalTool(rag).execute, typeof server.connect)`
    const place = besidePeers()
    expect(run(process.execPath, ['--input-type=module', '-e', script], place).trim()).toBe(
      'true true true function function',
    )
    const required = `for (const name of ['langchain', 'ai-sdk', 'mcp']) require('ultrafast-rag/' + name); console.log('fine')`
    expect(run(process.execPath, ['--no-warnings', '--input-type=commonjs', '-e', required], place).trim()).toBe('fine')
  })

  it('says which package a subpath needs', () => {
    const script = `
      const { createMcpServer } = await import('ultrafast-rag/mcp')
      const { code, hint } = await createMcpServer({}).catch((error) => error)
      const missing = async (name) => (await import(name).catch((error) => error)).message
      console.log([code, hint, await missing('ultrafast-rag/langchain'), await missing('ultrafast-rag/ai-sdk')].join('\\n'))`
    const [code, hint, langchain, ai] = runScript(script).split('\n')
    expect([code, hint]).toEqual(['MISSING_PEER', 'Run: npm i @modelcontextprotocol/sdk@1'])
    expect(langchain).toContain("Cannot find package '@langchain/core'")
    expect(ai).toContain("Cannot find package 'ai'")
  })

  it('knows the errors of another copy of itself', () => {
    const copy = join(folder, 'copy', 'node_modules', 'ultrafast-rag')
    cpSync(join(consumer, 'node_modules', 'ultrafast-rag'), copy, { recursive: true })
    cpSync(join(consumer, 'node_modules'), join(folder, 'copy', 'node_modules'), { recursive: true, force: false })
    const other = JSON.stringify(join(copy, 'dist', 'index.js'))
    const script = `
      import { RagError } from 'ultrafast-rag'
      import { RagError as Other } from ${other}
      const error = new Other('CLOSED', 'gone')
      console.log(RagError === Other, RagError.isInstance(error), RagError.isInstance(error, 'CLOSED'), RagError.isInstance(error, 'LIMIT'))`
    expect(runScript(script).trim()).toBe('false true true false')
  })

  it('has types that compile strictly, with no optional peer installed', () => {
    const peers = Object.keys(manifest.peerDependencies ?? {})
    expect(peers.filter((name) => existsSync(join(consumer, 'node_modules', name)))).toEqual([])
    writeFileSync(
      join(consumer, 'use.ts'),
      `import { RagError, UltraFastRAG, type Hit } from 'ultrafast-rag'
       const rag = new UltraFastRAG({ storage: './x', chunker: { kind: 'sentence', chunkSize: 300 } })
       // @ts-expect-error no such chunker
       new UltraFastRAG({ chunker: 'sentense' })
       // @ts-expect-error no such option
       new UltraFastRAG({ chunkSiz: 3 })
       export const hits: Promise<Hit[]> = rag.retrieve('x')
       export const closed = RagError.isInstance(undefined, 'CLOSED')
      `,
    )
    const options = {
      compilerOptions: {
        strict: true,
        noEmit: true,
        module: 'nodenext',
        target: 'es2022',
        skipLibCheck: false,
        exactOptionalPropertyTypes: true,
        lib: ['es2023', 'esnext.disposable'],
        types: ['node'],
        typeRoots: [join(root, 'node_modules', '@types')],
      },
      files: ['use.ts'],
    }
    writeFileSync(join(consumer, 'tsconfig.json'), JSON.stringify(options))
    const { output } = spawn(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', '.'], consumer)
    expect(output).toBe('')
  })

  it('mentions no type of its own tools in its types', () => {
    const types = listFiles(root, 'dist').filter((file) => file.endsWith('.d.ts'))
    const named = types.flatMap((file) => readImports(root, file)).map(({ target }) => target)
    expect(named.filter((target) => /^(?:zod|commander|lmdb|htmlparser2|@hyzyla)/.test(target))).toEqual([])
  })

  it('has a command that starts', () => {
    const command = join(consumer, 'node_modules', '.bin', 'ufrag')
    expect(spawn(command, ['--help'], consumer)).toMatchObject({ status: 0, output: expect.stringContaining('ingest') })
    expect(spawn(command, ['stats'], consumer)).toMatchObject({
      status: 1,
      output: expect.stringContaining('no storage'),
    })
    expect(readdirSync(consumer)).not.toContain('.ufrag')
  })
})

describe('the project', { timeout: 120_000 }, () => {
  it('has no unused files, exports or dependencies', () => {
    expect(runQuietly('knip', ['--config', 'test/knip.json', '--no-progress'])).toEqual({ status: 0, output: '' })
  })
})

/** A project with the package, what it needs, and the packages that its subpaths are for. */
function besidePeers(): string {
  const place = join(folder, 'beside-peers')
  const modules = join(place, 'node_modules')
  mkdirSync(modules, { recursive: true })
  writeFileSync(join(place, 'package.json'), JSON.stringify({ private: true }))
  const installed = join(consumer, 'node_modules')
  cpSync(join(installed, 'ultrafast-rag'), join(modules, 'ultrafast-rag'), { recursive: true })
  for (const name of readdirSync(installed)) {
    if (name !== 'ultrafast-rag' && !name.startsWith('.')) symlinkSync(join(installed, name), join(modules, name))
  }
  for (const name of ['@langchain', '@modelcontextprotocol', 'ai']) {
    symlinkSync(join(root, 'node_modules', name), join(modules, name))
  }
  return place
}

/** Imports the package and tells what that left behind: open resources, globals, listeners, output, and the files it took. */
const importProbe = `
  import { register } from 'node:module'
  import { readFileSync, writeFileSync } from 'node:fs'
  const log = ${JSON.stringify(join(folder, 'loaded.txt'))}
  writeFileSync(log, '')
  const hook = 'import { appendFileSync } from "node:fs"; export async function load(url, context, next) {' +
    ' appendFileSync(' + JSON.stringify(log) + ', url + "\\\\n"); return next(url, context) }'
  register('data:text/javascript,' + encodeURIComponent(hook))
  const count = () => process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0)
  let printed = 0
  for (const method of ['log', 'warn', 'error', 'info', 'debug']) console[method] = () => { printed++ }
  const before = { globals: Object.keys(globalThis), listeners: count() }
  await import('ultrafast-rag')
  await new Promise((resolve) => setTimeout(resolve, 50))
  const passing = new Set(['TTYWrap', 'PipeWrap', 'MessagePort', 'Timeout', 'FSReqPromise', 'CloseReq'])
  process.stdout.write(JSON.stringify({
    resources: process.getActiveResourcesInfo().filter((name) => !passing.has(name)),
    globals: Object.keys(globalThis).filter((name) => !before.globals.includes(name)),
    listeners: count() - before.listeners,
    printed,
    loaded: readFileSync(log, 'utf8').trim().split('\\n').filter((url) => url.startsWith('file:')),
  }))
`

function runScript(source: string, type: 'module' | 'commonjs' = 'module'): string {
  return run(process.execPath, ['--no-warnings', `--input-type=${type}`, '-e', source], consumer)
}

/** Runs a command and returns its standard output; throws with everything it said when it fails. */
function run(command: string, parameters: readonly string[], cwd: string): string {
  const { status, stdout, stderr } = spawnSync(command, parameters, { cwd, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${parameters.join(' ')} ended with ${status}:\n${stdout}${stderr}`)
  return stdout
}

function spawn(command: string, parameters: readonly string[], cwd: string): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(command, parameters, { cwd, encoding: 'utf8' })
  return { status, output: stdout + stderr }
}

/** Runs one of the project's tools: what it says counts only when it complains. */
function runQuietly(tool: string, parameters: readonly string[]): { status: number | null; output: string } {
  const { status, output } = spawn(join(root, 'node_modules', '.bin', tool), parameters, root)
  return { status, output: status === 0 ? '' : output }
}
