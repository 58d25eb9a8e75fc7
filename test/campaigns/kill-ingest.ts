import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DocumentFailure, UltraFastRAG } from 'ultrafast-rag'
import { createBullmqQueue, type JobQueue } from 'ultrafast-rag/queue'
import { expect } from 'vitest'
import { startRedis } from '../lib/redis-server.js'
import { type Child, createRandom, startChild } from './child.js'
import { brokenEndings, mixedEndings, mixedFile, sentencesOf, versionSaid } from './mixed-files.js'
import type { MixedIngestOptions } from './mixed-ingest.child.js'
import { campaignQueue } from './queue-worker.child.js'

export interface KillIngest {
  readonly kills: number
  readonly seed: number
  readonly files: number
  readonly embedder: 'hashing' | false
  /** Where jobs wait that are worked on beside. */
  readonly queue: 'in-process' | 'bullmq'
}

/** What such a campaign has met, so that nobody takes an idle one for a proof. */
export interface KilledIngest {
  readonly committed: number
  readonly removed: number
  readonly failed: number
  readonly quarantined: number
  readonly jobs: number
}

/** A file, or a text that is enqueued. */
interface Item {
  readonly name: string
  readonly word: string
  /** Of what it says now; it grows with every change. 0: it has not been there yet. */
  version: number
  /** Whether it is there, and whether it can be read. */
  state: 'absent' | 'good' | 'broken'
  /** As of the last look at the store: the version there, and what is noted of failures. */
  stored: number | undefined
  failure: DocumentFailure | undefined
  /** The version that this failure is of. */
  failedVersion: number
  /** The newest version whose job is over, by what a process said. */
  acknowledged: number
}

/** What a job is about. */
interface Job {
  readonly item: Item
  readonly version: number
  readonly isBroken: boolean
}

/**
 * Kills a process at random, again and again over one store, that keeps it in step with a folder (files of many formats, some of which
 * cannot be read) and works on a queue. Between two kills files change, break, heal, vanish and come back. After each: what was
 * reported is so, everything is whole and of one version, nothing else was removed; attempts are counted as they were reported, and
 * what is quarantined stays so. In the end one more run brings everything in step. Resolves with `undefined` where there is no Redis.
 */
export async function killIngest({ kills, queue, ...options }: KillIngest): Promise<KilledIngest | undefined> {
  const redis = queue === 'bullmq' ? await startRedis() : undefined
  if (queue === 'bullmq' && redis === undefined) return undefined
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-kill-'))
  const campaign = new Campaign(folder, { ...options, redis: redis?.url })
  try {
    for (let kill = 0; kill < kills; kill++) await campaign.round()
    await campaign.finish()
    return campaign.met
  } finally {
    await campaign.close()
    await redis?.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

class Campaign {
  readonly #root: string
  readonly #options: Pick<MixedIngestOptions, 'storage' | 'root' | 'embedder'>
  readonly #random: () => number
  readonly #files: readonly Item[]
  readonly #texts: readonly Item[]
  readonly #redis: string | undefined
  readonly #jobs = new Map<string, Job>()
  readonly #queue: JobQueue | undefined
  readonly met = { committed: 0, removed: 0, failed: 0, quarantined: 0, jobs: 0 }

  constructor(
    folder: string,
    {
      embedder,
      files,
      redis,
      seed,
    }: Pick<KillIngest, 'embedder' | 'files' | 'seed'> & { readonly redis: string | undefined },
  ) {
    this.#root = join(folder, 'files')
    this.#options = { storage: join(folder, 'store'), root: this.#root, embedder }
    mkdirSync(this.#root)
    this.#random = createRandom(seed)
    this.#redis = redis
    this.#queue =
      redis === undefined ? undefined : createBullmqQueue({ url: redis, root: this.#root, ...campaignQueue })
    this.#files = Array.from({ length: files }, (_, place) => newItem(`f${place}`, endingAt(place)))
    this.#texts = Array.from({ length: Math.ceil(files / 5) }, (_, place) => newItem(`m${place}`))
  }

  /** Changes things, lets a process work on them, kills it, and looks. */
  async round(): Promise<void> {
    await this.#change()
    const child = this.#startChild()
    const random = this.#random
    try {
      // At a random step of the first run or the two after it, and then somewhere before the next one.
      await fileLines(child, 1 + Math.floor(random() * 3 * this.#files.length))
      await pause(random() * 20)
    } finally {
      child.process.kill('SIGKILL')
      await child.ended
    }
    await this.#look(child.lines)
  }

  /** Without a kill everything gets in step, and stays. */
  async finish(): Promise<void> {
    await this.#change()
    const child = this.#startChild()
    try {
      await child.line((line) => line.startsWith('pass'))
      await this.#queue?.idle({ deadlineMs: 60_000 })
      const jobsDone = () => this.#texts.every(({ name }) => jobsOf(child, name) > 0)
      if (this.#queue === undefined) await until(jobsDone)
    } finally {
      child.process.kill('SIGKILL')
      await child.ended
    }
    await this.#look(child.lines)
    for (const item of this.#files)
      expect(item.stored, item.name).toBe(
        item.state === 'good' ? item.version : item.state === 'broken' ? item.stored : undefined,
      )
    for (const item of this.#texts) if (item.state === 'good') expect(item.stored, item.name).toBe(item.version)
    const failedJobs = (await this.#queue?.failed({ limit: 1_000 })) ?? []
    for (const { id, error } of failedJobs) {
      expect(this.#jobs.get(id)?.isBroken, `a job failed: ${error?.message}`).toBe(true)
      expect(error?.code).toBe('EMPTY')
    }
    await this.#settle()
  }

  async close(): Promise<void> {
    await this.#queue?.close()
  }

  #startChild(): Child {
    const options: MixedIngestOptions = {
      ...this.#options,
      texts: this.#redis === undefined ? this.#texts.map(toText) : [],
      ...(this.#redis === undefined ? {} : { redis: this.#redis }),
    }
    return startChild('./mixed-ingest.child.ts', options)
  }

  async #change(): Promise<void> {
    const random = this.#random
    const isFirst = this.#files.every(({ version }) => version === 0)
    for (const item of this.#files) if (isFirst || random() < 0.25) await this.#changeFile(item)
    for (const item of this.#texts) {
      if (!isFirst && random() < 0.5) continue
      item.version++
      item.state = random() < 0.85 ? 'good' : 'broken'
      const id = await this.#queue?.enqueue(toText(item))
      if (id !== undefined) this.#jobs.set(id, jobOf(item))
    }
  }

  async #changeFile(item: Item): Promise<void> {
    const random = this.#random
    const path = join(this.#root, item.name)
    const ending = endingOf(item.name)
    if (item.state !== 'absent' && random() < 0.25) {
      item.state = 'absent'
      rmSync(path)
      return
    }
    item.version++
    item.state = brokenEndings.includes(ending) && random() < 0.4 ? 'broken' : 'good'
    const isLarge = ending === 'txt' && random() < 0.2
    const sentences = isLarge ? 4_000 : 2 + Math.floor(random() * 40)
    const { word, version } = item
    writeFileSync(path, await mixedFile(ending, item.state === 'broken' ? version : { word, version, sentences }))
    // Old files are told by their stamp, new ones are read once more.
    const time = new Date(1_600_000_000_000 + version * 10_000)
    if (random() < 0.7) utimesSync(path, time, time)
  }

  /** Compares the store with what the process has said until it was killed. */
  async #look(lines: readonly string[]): Promise<void> {
    expect(lines.filter((line) => line.startsWith('contradiction'))).toEqual([])
    this.#hear(lines)
    const rag = new UltraFastRAG(this.#options)
    try {
      const failures = new Map<string, DocumentFailure>()
      for await (const failure of rag.failures()) failures.set(failure.id, failure)
      const ids = new Set<string>()
      let chunks = 0
      for await (const document of rag.documents()) {
        expect(ids.has(document.id), `${document.id} is there once`).toBe(false)
        ids.add(document.id)
        chunks += document.chunks
      }
      const stats = await rag.stats()
      expect(stats.chunks).toBe(chunks)
      expect(stats.indexes.lexical.chunks).toBe(chunks)
      for (const item of [...this.#files, ...this.#texts]) {
        const stored = ids.delete(item.name) ? await readVersion(rag, item) : undefined
        const now = { stored, failure: failures.get(item.name) }
        failures.delete(item.name)
        if (this.#files.includes(item)) checkFile(item, now, lines)
        else checkText(item, now)
        if (now.failure?.failedAt !== item.failure?.failedAt) item.failedVersion = item.version
        Object.assign(item, now)
      }
      expect([...ids], 'documents of nobody').toEqual([])
      expect([...failures.keys()], 'failures of nobody').toEqual([])
    } finally {
      await rag.close()
    }
  }

  /** Counts what was met, and remembers which jobs are over. */
  #hear(lines: readonly string[]): void {
    for (const line of lines) {
      const [kind, first = '', second = ''] = line.split(' ')
      if (kind === 'file' && first in this.met) this.met[first as keyof KilledIngest]++
      const item = kind === 'enqueued' ? this.#texts.find(({ name }) => name === first) : undefined
      if (item !== undefined) this.#jobs.set(second, jobOf(item))
    }
    for (const line of lines) {
      const [kind, id = '', outcome] = line.split(' ')
      if (kind !== 'job') continue
      const job = this.#jobs.get(id)
      expect(job, `the job ${id} is known`).toBeDefined()
      if (job === undefined) continue
      this.met.jobs++
      if (outcome === 'done') job.item.acknowledged = Math.max(job.item.acknowledged, job.version)
    }
  }

  /** What was left alone is told to be so, by one run after the other. */
  async #settle(): Promise<void> {
    const rag = new UltraFastRAG(this.#options)
    const good = this.#files.filter(({ state }) => state === 'good').length
    const bad = this.#files.filter(({ state }) => state === 'broken').length
    try {
      for (let attempt = 0; attempt < 3; attempt++) await rag.ingest(['.'], { sync: true })
      const report = await rag.ingest(['.'], { sync: true })
      expect(report).toMatchObject({ documents: 0, unchanged: good, removed: 0, failed: [] })
      expect(report.quarantined).toHaveLength(bad)
    } finally {
      await rag.close()
    }
  }
}

interface Seen {
  readonly stored: number | undefined
  readonly failure: DocumentFailure | undefined
}

function checkFile(item: Item, { failure, stored }: Seen, lines: readonly string[]): void {
  const { name, state, version } = item
  const stages = lines.flatMap((line) => {
    const [kind, stage = '', source] = line.split(' ')
    return kind === 'file' && source === name ? [stage] : []
  })
  const count = (stage: string) => stages.filter((one) => one === stage).length
  const what = `${name} (${state}, version ${version}, ${item.stored} before): ${stages.join(' ')}`
  expect(count('committed'), what).toBeLessThanOrEqual(state === 'good' && item.stored !== version ? 1 : 0)
  expect(count('removed'), what).toBeLessThanOrEqual(state === 'absent' && item.stored !== undefined ? 1 : 0)
  if (state === 'absent') {
    const isSynced = count('removed') > 0 || lines.includes('pass true')
    expect(isSynced ? [undefined] : [undefined, item.stored], what).toContain(stored)
    if (lines.includes('pass true')) expect(failure, what).toBeUndefined()
    return
  }
  if (state === 'good') {
    const isAcknowledged = count('committed') + count('unchanged') > 0
    expect(isAcknowledged ? [version] : [version, item.stored], what).toContain(stored)
    expect(count('failed') + count('quarantined'), what).toBe(0)
    if (isAcknowledged) expect(failure, what).toBeUndefined()
    return
  }
  expect(stored, what).toBe(item.stored)
  expect(count('committed') + count('unchanged'), what).toBe(0)
  // A failure is noted before it is reported: the last one may be known to the store alone.
  const before = item.failedVersion === version ? (item.failure?.attempts ?? 0) : 0
  const told = before + count('failed')
  const noted = count('failed') === 0 && failure?.failedAt === item.failure?.failedAt ? told : (failure?.attempts ?? 0)
  expect([told, told + 1], what).toContain(noted)
  expect(noted, what).toBeLessThanOrEqual(3)
  if (count('quarantined') > 0) {
    expect(failure, what).toMatchObject({ attempts: 3, quarantined: true })
    expect(stages.lastIndexOf('failed'), what).toBeLessThan(stages.indexOf('quarantined'))
  }
}

/** A text that was enqueued: its versions come one after the other, and a good one stays until the next. */
function checkText({ name, state, version, acknowledged, stored: before }: Item, { failure, stored }: Seen): void {
  const what = `${name} (${state}, version ${version}, ${acknowledged} acknowledged, ${before} before)`
  if (acknowledged > 0) expect(stored, what).toBeGreaterThanOrEqual(acknowledged)
  if (before !== undefined) expect(stored, what).toBeGreaterThanOrEqual(before)
  if (stored !== undefined) expect(stored, what).toBeLessThanOrEqual(version)
  if (failure !== undefined) expect(failure, what).toMatchObject({ code: 'EMPTY', quarantined: false })
}

/** The version of a stored document; it must be all there. */
async function readVersion(rag: UltraFastRAG, { name, word }: Item): Promise<number> {
  const hits = await rag.retrieve(word, { topK: 10_000 })
  const own = hits.filter(({ chunk }) => chunk.documentId === name)
  const numbers = new Set(own.map(({ chunk }) => chunk.id))
  expect(numbers.size, `${name} has each passage once`).toBe(own.length)
  return versionSaid(
    word,
    own.map(({ chunk }) => chunk.text),
  )
}

function newItem(base: string, ending?: string): Item {
  return {
    name: ending === undefined ? base : `${base}.${ending}`,
    word: `zq${base}x`,
    version: 0,
    state: 'absent',
    stored: undefined,
    failure: undefined,
    failedVersion: 0,
    acknowledged: 0,
  }
}

/** Kinds that may break are more frequent. */
function endingAt(place: number): string {
  const endings = [...mixedEndings, ...brokenEndings]
  return endings[place % endings.length] as string
}

function endingOf(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1)
}

function jobOf(item: Item): Job {
  return { item, version: item.version, isBroken: item.state === 'broken' }
}

function toText({ name, state, version, word }: Item): { readonly id: string; readonly text: string } {
  const content = { word, version, sentences: 5 + (version % 7) }
  return { id: name, text: state === 'broken' ? ' '.repeat(version) : sentencesOf('txt', content).join(' ') }
}

/** Resolves when so many files have been told of. */
async function fileLines({ line }: Child, count: number): Promise<void> {
  let left = count
  await line((text) => text.startsWith('file') && --left === 0)
}

function jobsOf({ lines }: Child, name: string): number {
  const ids = lines.filter((line) => line.startsWith(`enqueued ${name} `)).map((line) => line.split(' ')[2])
  return lines.filter((line) => ids.some((id) => line.startsWith(`job ${id} `))).length
}

async function until(holds: () => boolean): Promise<void> {
  for (let look = 0; !holds(); look++) {
    if (look > 600) throw new Error('It took longer than a minute.')
    await pause(100)
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
