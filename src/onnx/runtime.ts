import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { RagError } from '../core/errors.js'
import { importOptional } from '../util/import-optional.js'

/** What of `onnxruntime-node` is used. */
export type Runtime = Pick<typeof import('onnxruntime-node'), 'InferenceSession' | 'Tensor'>

const peer = 'onnxruntime-node'

/**
 * Loads `onnxruntime-node`. Rejects with `MISSING_PEER`, or with `UNSUPPORTED` when the process has loaded another version of it
 * already: two in one process corrupt each other's memory. (Known on Linux, and only for copies that were loaded before.)
 */
export async function loadRuntime(): Promise<Runtime> {
  refuseSecondCopy()
  return importOptional(
    peer,
    () => import('onnxruntime-node'),
    'ONNXRUNTIME_NODE_INSTALL=skip npm i onnxruntime-node@1.30',
  )
}

/** A file of the runtime that its package does not bring along; absent when it is there or when nobody can tell. */
export function missingLibrary(name: string): string | undefined {
  const folder = binaries()
  if (folder === undefined || !existsSync(folder) || existsSync(join(folder, name))) return undefined
  return join(folder, name)
}

/** Version of the runtime that {@link loadRuntime} loads; absent when it is not installed. */
export function runtimeVersion(): string | undefined {
  const folder = packageFolder()
  return folder === undefined ? undefined : versionOf(folder)
}

function refuseSecondCopy(): void {
  const own = packageFolder()
  if (own === undefined) return
  for (const other of loadedCopies()) {
    const versions = [own, other].map(versionOf)
    if (other === own || versions[0] === versions[1]) continue
    throw new RagError('UNSUPPORTED', `Two versions of ${peer} are in one process: ${versions.join(' and ')}.`, {
      data: { own, other },
      hint: `See who asks for which with "npm ls ${peer}", and make them agree ("overrides" in package.json).`,
    })
  }
}

/** Package folders of the bindings that any thread of this process has loaded. */
function loadedCopies(): Set<string> {
  // The list of mapped files is the one thing that all threads share; elsewhere than on Linux there is none to read.
  if (process.platform !== 'linux') return new Set()
  const lines = readMaps()
    .split('\n')
    .filter((line) => line.includes('/onnxruntime_binding.node'))
  return new Set(lines.map((line) => line.slice(line.indexOf('/'), line.indexOf('/bin/napi-'))))
}

function readMaps(): string {
  try {
    return readFileSync('/proc/self/maps', 'utf8')
  } catch {
    // A sandbox without /proc: the check is a courtesy.
    return ''
  }
}

function versionOf(folder: string): string {
  try {
    return String(JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).version)
  } catch {
    return 'unknown'
  }
}

function binaries(): string | undefined {
  const folder = packageFolder()
  return folder === undefined ? undefined : join(folder, 'bin', 'napi-v6', process.platform, process.arch)
}

function packageFolder(): string | undefined {
  try {
    return dirname(createRequire(import.meta.url).resolve(`${peer}/package.json`))
  } catch {
    // Not installed: loading it says so, with the command to install it.
    return undefined
  }
}
