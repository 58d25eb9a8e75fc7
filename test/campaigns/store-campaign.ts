import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { getBytes, openEnvironment } from '../../src/lmdb/environment.js'
import { openLmdbStore } from '../../src/store/lmdb.js'
import { keys, rows } from '../../src/store/lmdb-layout.js'
import type { StoreNamespace } from '../../src/store/types.js'
import { assertWhole } from '../../src/testing/store-suite.js'
import { randomNumbers } from '../../src/testing/support.js'
import { type ChildOptions, type Operation, type Report, versionOf } from './store.child.js'

export interface KillCampaign {
  readonly directory: string
  readonly seed: number
  readonly kills: number
}

export interface KillResults {
  readonly acknowledged: number
  /** Operations that were under way when the process was killed and turned out to be done. */
  readonly doneUnacknowledged: number
  /** Milliseconds to open the store, after each kill. */
  readonly openMs: readonly number[]
}

/**
 * Kills a writing process again and again at a random moment, on the same folder, and looks each time whether every document is
 * as it was last acknowledged, or as the operation under way would have it; whole, and nothing else.
 */
export async function killCampaign({ directory, seed, kills }: KillCampaign): Promise<KillResults> {
  const random = randomNumbers(seed)
  const known = new Map<string, number>()
  const openMs: number[] = []
  let acknowledged = 0
  let doneUnacknowledged = 0
  for (let kill = 1; kill <= kills; kill++) {
    const options = { directory, seed: seed * 1000 + kill, prefix: 'd', documents: 24, operations: 1e6, lanes: 3 }
    const underWay = new Map<string, number>()
    const killAfter = 5 + Math.floor(random() * 120)
    let reports = 0
    await runChild(options, (report, stop) => {
      if (report.stage === 'begun') underWay.set(report.id, report.seed)
      else {
        underWay.delete(report.id)
        known.set(report.id, report.seed)
        acknowledged++
      }
      // A moment after a report, so that it hits every phase of the operations that follow.
      if (++reports === killAfter) setTimeout(stop, random() * 30)
    })

    const began = performance.now()
    const store = await openLmdbStore({ directory, retireMs: 0 })
    openMs.push(performance.now() - began)
    const namespace = store.namespace('')
    for (const [id, pending] of underWay) {
      if (!isAt(namespace, { id, seed: pending }) || isAt(namespace, { id, seed: known.get(id) ?? 0 })) continue
      known.set(id, pending)
      doneUnacknowledged++
    }
    checkContents(namespace, known)
    await eventually(async () => assert.deepEqual(await leftovers(directory), { journals: 0, retired: 0, strays: 0 }))
    await store.close()
  }
  return { acknowledged, doneUnacknowledged, openMs }
}

/** Runs a writer to its end, or until `stop` is called, which kills it. Rejects when it fails by itself. */
export async function runChild(
  options: ChildOptions,
  onReport: (report: Report, stop: () => void) => void,
): Promise<void> {
  const script = new URL('./store.child.ts', import.meta.url).pathname
  const child = spawn(process.execPath, ['--import', 'tsx', script, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let killed = false
  let complaints = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints += text
  })
  const stop = () => {
    killed = true
    child.kill('SIGKILL')
  }
  const exited = once(child, 'exit')
  for await (const line of createInterface({ input: child.stdout })) {
    // The last line may be cut off by the kill; an acknowledgement is printed in one write.
    if (line.endsWith('}')) onReport(JSON.parse(line) as Report, stop)
  }
  const [code] = await exited
  if (code !== 0 && !killed) throw new Error(`The writer failed with ${code}: ${complaints}`)
}

/** Every document is at its known version, whole; the store holds nothing else and agrees with itself. */
export function checkContents(namespace: StoreNamespace, known: ReadonlyMap<string, number>): void {
  const present = [...known].filter(([, seed]) => seed !== 0)
  const listed = [...namespace.list()]
  assert.deepEqual(listed.map(({ id }) => id).sort(), present.map(([id]) => id).sort())
  for (const [id, seed] of present) {
    const record = namespace.get(id)
    assert.ok(record)
    const sample = versionOf({ id, seed })
    assert.equal(record.contentHash, sample.document.contentHash)
    assertWhole(namespace, record, sample)
  }
  const added = [...(namespace.changes(0)?.added ?? [])]
  assert.deepEqual(added.map(({ id }) => id).sort(), present.map(([id]) => id).sort())
  assert.deepEqual(
    added.map(({ generation }) => generation).sort((a, b) => a - b),
    listed.map(({ generation }) => generation).sort((a, b) => a - b),
  )
  assert.deepEqual(namespace.counts(), {
    documents: listed.length,
    chunks: listed.reduce((sum, { chunks }) => sum + chunks, 0),
  })
  const ranges = listed
    .flatMap(({ base, chunks }) => (chunks === 0 ? [] : [[base, base + chunks] as const]))
    .sort((a, b) => a[0] - b[0])
  for (const [place, [start]] of ranges.entries()) if (place > 0) assert.ok(start >= (ranges[place - 1]?.[1] ?? 0))
}

function isAt(namespace: StoreNamespace, { id, seed }: Operation): boolean {
  const record = namespace.get(id)
  return seed === 0 ? record === undefined : record?.contentHash === versionOf({ id, seed }).document.contentHash
}

/** What a store holds beside its current documents: open journals, retired versions, and content that belongs to neither. */
export async function leftovers(
  directory: string,
): Promise<{ readonly journals: number; readonly retired: number; readonly strays: number }> {
  const environment = await openEnvironment({ directory, readOnly: true, mapSize: 2 ** 30 })
  try {
    environment.resetReadTxn()
    const journals = [...environment.getKeys(keys.journals())].map(keys.numberIn)
    const retired = [...environment.getKeys(keys.retirements())].map(keys.numberIn)
    const current = [...environment.getRange(keys.namespaces())].flatMap(({ value }) =>
      [...environment.getRange(keys.documents(rows.namespace(value).id))].map(
        ({ value: version }) => rows.version(version).record.generation,
      ),
    )
    const owned = new Set([...journals, ...retired, ...current])
    const stored = new Set([...environment.getKeys(keys.contents())].map(keys.generationIn))
    const strays = [...stored].filter((generation) => !owned.has(generation)).length
    // The current versions all have at least their directory.
    for (const generation of current) assert.ok(getBytes(environment, keys.directory(generation)))
    return { journals: journals.length, retired: retired.length, strays }
  } finally {
    await environment.close()
  }
}

/** Waits until an assertion holds, up to ten seconds. */
export async function eventually(check: () => Promise<void>): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await check()
      return
    } catch (error) {
      if (attempt === 200) throw error
      await sleep(50)
    }
  }
}
