import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
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
  /** The same when it had ended. */
  readonly loadAtEnd?: readonly number[]
  /** Commit of the checkout with `+` when files differ from it; absent outside a repository. */
  readonly commit?: string
  /** Installed versions of the direct dependencies, optional ones and peers with them. */
  readonly versions: Readonly<Record<string, string>>
  /** The same of `bench/peers`, when the bench compared with one of them. */
  readonly peers?: Readonly<Record<string, string>>
}

export function describeMachine(root: string): Machine {
  const commit = readCommit(root)
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    node: process.version,
    os: `${process.platform} ${process.arch} ${release()}`,
    load: readLoad(),
    ...(commit === undefined ? {} : { commit }),
    versions: readVersions(root),
  }
}

/** What only the end of a bench tells: the load, and the libraries it compared with. */
export function describeEnd(peers: string | undefined): Pick<Machine, 'loadAtEnd' | 'peers'> {
  return { loadAtEnd: readLoad(), ...(peers === undefined ? {} : { peers: readVersions(peers) }) }
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

export function readLoad(): number[] {
  return loadavg().map((value) => Math.round(value * 100) / 100)
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

/** Of what a package asks for, as far as it is installed beside it. */
function readVersions(root: string): Record<string, string> {
  const { dependencies, optionalDependencies, peerDependencies } = readPackage(root)
  const names = Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })
  const folders = names.map((name) => [name, join(root, 'node_modules', name)] as const)
  const installed = folders.filter(([, folder]) => existsSync(join(folder, 'package.json')))
  return Object.fromEntries(installed.map(([name, folder]) => [name, readPackage(folder).version ?? 'unknown']))
}

function readPackage(folder: string): PackageFile {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as PackageFile
}

interface PackageFile {
  readonly version?: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}
