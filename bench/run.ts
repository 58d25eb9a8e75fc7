import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { formatTable } from '../src/util/table.js'
import type { Bench, BenchContext, Metrics } from './lib/bench.js'
import { ensureBuilt } from './lib/build.js'
import { runChild } from './lib/child.js'
import { describeEnd, describeMachine, formatMachine, type Machine, readLoad } from './lib/machine.js'
import { resolvePeer } from './lib/peers.js'

const usage = `npm run bench -- NAME... [--quick] [--json FILE] [--write] [--no-build]

  --quick       fewer repetitions, same sizes
  --json FILE   also write { name, machine, metrics } (an array of them for several names), after each bench
  --write       also write docs/benchmarks/NAME.json, and the tables and pictures that a bench has, unless there
                was nothing to measure; with --quick not over the figures of a full run, without measuring data
                not over figures with it
  --no-build    use dist as it is
`
const here = fileURLToPath(new URL('.', import.meta.url))
const root = join(here, '..')
/** Where `--write` writes. */
const written = join(root, 'docs', 'benchmarks')

/** What `--json` writes for one bench. */
interface Report {
  readonly name: string
  readonly machine: Machine
  readonly metrics: Metrics
}

/** What `--write` writes, beside tables and pictures. */
interface WrittenReport extends Report {
  readonly quick: boolean
  /** Whether there was measuring data: some benches make documents else. */
  readonly data: boolean
}

// Models that are made for a bench leave nothing in the cache of whoever runs it.
const prepacked = mkdtempSync(join(tmpdir(), 'ufrag-bench-prepacked-'))
process.env.UFRAG_PREPACKED = prepacked
try {
  await main()
} finally {
  rmSync(prepacked, { recursive: true, force: true })
}

async function main(): Promise<void> {
  const { positionals: names, values } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      json: { type: 'string' },
      write: { type: 'boolean', default: false },
      'no-build': { type: 'boolean', default: false },
    },
  })
  const known = listBenches()
  const unknown = names.filter((name) => !known.includes(name))
  if (names.length === 0 || unknown.length > 0) {
    const complaint = unknown.length > 0 ? `No bench is called ${unknown.join(', ')}.\n\n` : ''
    process.stderr.write(`${complaint}${usage}\nBenches: ${known.join(', ')}\n`)
    process.exitCode = unknown.length > 0 ? 2 : 0
    return
  }
  const data = findData()
  const kept = values.write ? names.filter((name) => holdsBetter(name, { data, quick: values.quick })) : []
  if (kept.length > 0) {
    process.stderr.write(
      `What is written of ${kept.join(', ')} is of a full run or of one with measuring data: leave out --write, or do as much.\n`,
    )
    process.exitCode = 2
    return
  }
  const machine = describeMachine(root)
  for (const line of formatMachine(machine)) console.log(line)
  if (!values['no-build']) ensureBuilt(root)
  const reports: Report[] = []
  for (const name of names) {
    const { context, files, usesPeers } = createContext({ quick: values.quick, data })
    const load = readLoad()
    const metrics = await runBench(name, context)
    const atEnd = describeEnd(usesPeers() ? join(here, 'peers') : undefined)
    const report: Report = { name, machine: { ...machine, load, ...atEnd }, metrics }
    reports.push(report)
    if (values.json !== undefined) writeFileSync(values.json, toJson(names.length === 1 ? report : reports))
    if (values.write) writeFiles(files, { ...report, quick: values.quick, data: data !== undefined })
  }
}

/** Whether the figures that are written down are worth more than those of this run. */
function holdsBetter(name: string, { data, quick }: Pick<BenchContext, 'data' | 'quick'>): boolean {
  const path = join(written, `${name}.json`)
  if (!existsSync(path)) return false
  const held = JSON.parse(readFileSync(path, 'utf8')) as Partial<WrittenReport>
  return (quick && held.quick === false) || (data === undefined && held.data === true)
}

/** Nothing is written of a bench that had nothing to measure: what is there is worth more. */
function writeFiles(files: ReadonlyMap<string, string>, report: WrittenReport): void {
  if (Object.keys(report.metrics).length === 0) return
  mkdirSync(written, { recursive: true })
  for (const [name, content] of files) writeFileSync(join(written, name), content)
  writeFileSync(join(written, `${report.name}.json`), toJson(report))
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`
}

function listBenches(): string[] {
  return readdirSync(here)
    .filter((name) => name.endsWith('.ts') && name !== 'run.ts' && name !== 'child.ts')
    .map((name) => name.slice(0, -'.ts'.length))
    .sort()
}

function findData(): string | undefined {
  const data = process.env.UFRAG_DATA ?? join(root, '..', 'shared', 'data')
  if (existsSync(data)) return data
  console.log(`! no measuring data at ${data}: set UFRAG_DATA; benches that need it say what they skip`)
  return undefined
}

/** What one bench receives, with the files it asks to be written. */
function createContext({ data, quick }: Pick<BenchContext, 'data' | 'quick'>) {
  const files = new Map<string, string>()
  let peers = false
  const context: BenchContext = {
    quick,
    data,
    log: (line) => console.log(line),
    table: (rows) => console.log(formatTable(rows).join('\n')),
    write: (name, content) => void files.set(name, content),
    child: runChild,
    peer: (name) => {
      peers = true
      return resolvePeer(name)
    },
  }
  return { context, files, usesPeers: () => peers }
}

async function runBench(name: string, context: BenchContext): Promise<Metrics> {
  console.log(`\n# ${name}${context.quick ? ' (quick)' : ''}`)
  const began = performance.now()
  const { default: bench } = (await import(new URL(`${name}.ts`, import.meta.url).href)) as { default: Bench }
  const metrics = checked(name, await bench(context))
  console.log(`${Object.keys(metrics).length} metrics in ${((performance.now() - began) / 1000).toFixed(1)} s`)
  return metrics
}

/** JSON has no NaN: a figure that could not be taken is dropped aloud instead of becoming `null`. */
function checked(name: string, metrics: Metrics): Metrics {
  const rows = Object.entries(metrics)
  const wrongKey = rows.find(([key]) => !/^[\w-]+(\.[\w-]+)*$/.test(key))
  if (wrongKey !== undefined)
    throw new Error(`${name}: "${wrongKey[0]}" is no metric key of the form "metric" or "group.metric".`)
  for (const [key, value] of rows) if (!Number.isFinite(value)) console.log(`! ${key} could not be measured here`)
  return Object.fromEntries(rows.filter(([, value]) => Number.isFinite(value)))
}
