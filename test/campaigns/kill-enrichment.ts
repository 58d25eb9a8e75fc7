import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UltraFastRAG } from 'ultrafast-rag'
import { expect } from 'vitest'
import { startChatApi } from '../lib/chat-api.js'
import { type Child, createRandom, startChild } from './child.js'
import { callsAtOnce, type EnrichFolderOptions } from './enrich-folder.child.js'

/** What such a campaign has met. */
export interface KilledEnrichment {
  /** Answers that were given, which somebody would have paid for, and how many of them were given before. */
  readonly paid: number
  readonly paidAgain: number
  /** Answers of one process that had to be given to another again, at most. */
  readonly mostPaidAgain: number
}

/**
 * Kills a process at random, again and again, whose documents are enriched by a service that counts, and now and then fails for a
 * moment. Of what one process has had answered, another asks again only what was under way when the first was killed: as many as there are
 * calls at once. In the end every passage has what the service said, and nothing more is asked.
 */
export async function killEnrichment({
  kills,
  seed,
  documents,
}: {
  readonly kills: number
  readonly seed: number
  readonly documents: number
}): Promise<KilledEnrichment> {
  const random = createRandom(seed)
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-enrich-kill-'))
  const root = join(folder, 'files')
  mkdirSync(root)
  const passages = writeDocuments(root, documents)
  /** Of each question, the processes to which it was answered, by number. */
  const answered = new Map<string, number[]>()
  let round = 0
  const service = await startChatApi(async (prompt) => {
    await new Promise((resolve) => setTimeout(resolve, 10))
    if (random() < 0.02) return (response) => response.writeHead(503).end()
    answered.set(prompt, [...(answered.get(prompt) ?? []), round])
    return lineFor(prompt)
  })
  const options: EnrichFolderOptions = { storage: join(folder, 'store'), root, url: service.url }
  try {
    const questions = passages.length * 2
    for (; round < kills; round++) {
      // Nobody has to wait until everything has been asked: there would be nothing left to kill.
      const target = answered.size + 1 + Math.floor((random() * (questions - answered.size) * 2) / (kills - round + 1))
      await killAt(startChild('./enrich-folder.child.ts', options), () => answered.size >= target, random)
    }
    const last = startChild('./enrich-folder.child.ts', options)
    expect(await last.ended, last.errors()).toBe(0)
    expect(JSON.parse(last.lines.at(-1) ?? '')).toMatchObject({ failed: 0, unenriched: 0 })
    expect(answered.size, 'every question was asked').toBe(questions)

    for (const [question, rounds] of answered)
      expect(new Set(rounds).size, `"${question}" was asked once by each process`).toBe(rounds.length)
    const again = Array.from({ length: kills }, (_, killed) => paidAfter(answered, killed))
    for (const [killed, count] of again.entries())
      expect(count, `questions of process ${killed} that were asked again`).toBeLessThanOrEqual(callsAtOnce)
    await checkAll({ options, passages })
    const paid = [...answered.values()].reduce((sum, rounds) => sum + rounds.length, 0)
    return { paid, paidAgain: paid - questions, mostPaidAgain: Math.max(...again) }
  } finally {
    await service.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Documents of several passages each. Every fifth is a copy of the one before, which is asked about once. */
function writeDocuments(root: string, documents: number): string[] {
  const passages = new Set<string>()
  for (let document = 0; document < documents; document++) {
    const told = document % 5 === 4 ? document - 1 : document
    const texts = Array.from({ length: 5 }, (_, place) => `Passage p${told}x${place} stands here.`)
    for (const text of texts) passages.add(text)
    writeFileSync(join(root, `d${document}.md`), texts.map((text) => `# Part\n\n${text}`).join('\n\n'))
  }
  return [...passages]
}

async function killAt(child: Child, holds: () => boolean, random: () => number): Promise<void> {
  let hasEnded = false
  void child.ended.then(() => {
    hasEnded = true
  })
  while (!holds() && !hasEnded) await new Promise((resolve) => setTimeout(resolve, 2))
  await new Promise((resolve) => setTimeout(resolve, random() * 30))
  child.process.kill('SIGKILL')
  await child.ended
}

/** Questions that were answered to this process, and to a later one again. */
function paidAfter(answered: ReadonlyMap<string, readonly number[]>, killed: number): number {
  return [...answered.values()].filter((rounds) => rounds.includes(killed) && rounds.some((one) => one > killed)).length
}

/** Every passage is found by what was said of it, and another ingest asks nothing. */
async function checkAll({
  options: { root, storage },
  passages,
}: {
  readonly options: EnrichFolderOptions
  readonly passages: readonly string[]
}): Promise<void> {
  const rag = new UltraFastRAG({ storage, root, embedder: false })
  try {
    for (const text of passages)
      for (const kind of ['first', 'second']) {
        const hits = await rag.retrieve(lineFor(`${kind} ${text}`), { topK: 1 })
        expect(hits[0]?.chunk.text, `${kind} of ${text}`).toBe(text)
      }
  } finally {
    await rag.close()
  }
}

function lineFor(prompt: string): string {
  return `said${createHash('sha256').update(prompt).digest('hex').slice(0, 12)}`
}
