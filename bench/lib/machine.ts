import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { formatNumber } from './measure.js'

/** Where and with what a bench ran. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryBytes: number
  readonly node: string
  readonly os: string
  /** Average number of runnable processes over 1, 5 and 15 minutes, before the bench began. */
  readonly load: readonly number[]
  /** Commit of the checkout with `+` when files differ from it; absent outside a repository. */
  readonly commit?: string
  /** Installed versions of the direct dependencies. */
  readonly versions: Readonly<Record<string, string>>
}

export function describeMachine(root: string): Machine {
  const commit = readCommit(root)
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    node: process.version,
    os: `${process.platform} ${process.arch} ${release()}`,
    load: loadavg().map((value) => Math.round(value * 100) / 100),
    ...(commit === undefined ? {} : { commit }),
    versions: readVersions(root),
  }
}

/** The machine in two lines, with a warning when others are using it. */
export function formatMachine(machine: Machine): string[] {
  const { cpu, cores, memoryBytes, node, os, load, commit, versions } = machine
  const packages = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
  const lines = [
    `${cpu}, ${cores} cores, ${formatNumber(memoryBytes / 2 ** 30)} GiB, Node ${node}, ${os}, load ${load.join(' ')}`,
    `${commit === undefined ? '' : `commit ${commit}, `}${packages.join(', ')}`,
  ]
  if ((load[0] ?? 0) > cores / 2) lines.push(`! load ${load[0]}: others are using this machine, trust ratios only`)
  return lines
}

function readCommit(root: string): string | undefined {
  const git = (...parameters: string[]) =>
    execFileSync('git', parameters, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  try {
    return git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain') === '' ? '' : '+')
  } catch {
    // No git, or no repository (a downloaded archive): the figures stand without it.
    return undefined
  }
}

function readVersions(root: string): Record<string, string> {
  const read = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as PackageFile
  const names = Object.keys(read(join(root, 'package.json')).dependencies ?? {})
  return Object.fromEntries(
    names.map((name) => [name, read(join(root, 'node_modules', name, 'package.json')).version ?? 'unknown']),
  )
}

interface PackageFile {
  readonly version?: string
  readonly dependencies?: Readonly<Record<string, string>>
}
