import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { formatTable } from '../src/util/table.js'
import type { Bench, BenchContext, Metrics } from './lib/bench.js'
import { ensureBuilt } from './lib/build.js'
import { runChild } from './lib/child.js'
import { describeMachine, formatMachine, type Machine } from './lib/machine.js'
import { resolvePeer } from './lib/peers.js'

const usage = `npm run bench -- NAME... [--quick] [--json FILE] [--write] [--no-build]

  --quick       fewer repetitions, same sizes
  --json FILE   also write { name, machine, metrics } (an array of them for several names)
  --write       also write docs/benchmarks/NAME.json, and the tables and pictures that a bench has
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

await main()

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
  const machine = describeMachine(root)
  for (const line of formatMachine(machine)) console.log(line)
  if (!values['no-build']) ensureBuilt(root)
  const context = createContext(values)
  const reports: Report[] = []
  for (const name of names) {
    const report: Report = { name, machine, metrics: await runBench(name, context) }
    context.write(`${name}.json`, toJson({ ...report, quick: values.quick }))
    reports.push(report)
  }
  if (values.json !== undefined) {
    writeFileSync(values.json, toJson(reports.length === 1 ? reports[0] : reports))
  }
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

function createContext({ quick, write }: { readonly quick: boolean; readonly write: boolean }): BenchContext {
  const data = process.env.UFRAG_DATA ?? join(root, '..', 'shared', 'data')
  const found = existsSync(data)
  if (!found) console.log(`! no measuring data at ${data}: set UFRAG_DATA; benches that need it say what they skip`)
  return {
    quick,
    data: found ? data : undefined,
    log: (line) => console.log(line),
    table: (rows) => console.log(formatTable(rows).join('\n')),
    write: (name, content) => {
      if (!write) return
      mkdirSync(written, { recursive: true })
      writeFileSync(join(written, name), content)
    },
    child: runChild,
    peer: resolvePeer,
  }
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
