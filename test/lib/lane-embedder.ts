import type { Embedder, EmbedderCapabilities, Embeddings } from '../../src/embed/types.js'
import { createFakeEmbedder } from '../../src/testing/index.js'

export interface LaneEmbedderOptions {
  /** Default 2. */
  readonly lanes?: number
  /** Texts of one pass at most. Default 10. */
  readonly textsPerPass?: number
  /** Takes as long as a pass. */
  readonly pass: () => Promise<void>
  readonly capabilities: Omit<EmbedderCapabilities, 'fitted'>
}

/** What the lanes saw. */
export interface LaneFacts {
  passes: number
  /** Passes that a lane had to wait for, the first of each lane not among them. */
  starved: number
  texts: number
  calls: number
  mostCalls: number
  /** Texts of calls that were not answered, at most. */
  mostTexts: number
}

/**
 * An embedder that behaves as one of several lanes does: texts of all calls wait in one queue, and each lane takes some, for a while.
 * It counts how often a lane found nothing to do while more was to come. The vectors are those of the fake embedder.
 */
export function createLaneEmbedder(options: LaneEmbedderOptions): Embedder & { readonly facts: LaneFacts } {
  const { capabilities, lanes = 2, pass, textsPerPass = 10 } = options
  const fake = createFakeEmbedder()
  const facts: LaneFacts = { passes: 0, starved: 0, texts: 0, calls: 0, mostCalls: 0, mostTexts: 0 }
  const queue: (() => void)[] = []
  const idle = new Set<() => void>()
  let calls = 0
  let texts = 0
  let started = false

  async function runLane(): Promise<void> {
    for (let passes = 0; ; passes++) {
      if (queue.length === 0) {
        await new Promise<void>((resolve) => idle.add(resolve))
        if (passes > 0) facts.starved++
      }
      const taken = queue.splice(0, textsPerPass)
      facts.passes++
      await pass()
      for (const done of taken) done()
    }
  }

  function wakeLanes(): void {
    for (const wake of idle) wake()
    idle.clear()
  }

  return {
    ...fake,
    facts,
    capabilities: { fitted: false, ...capabilities },
    async embed(given, callOptions): Promise<Embeddings> {
      if (!started) for (let lane = 0; lane < lanes; lane++) void runLane()
      started = true
      facts.calls++
      facts.texts += given.length
      facts.mostCalls = Math.max(facts.mostCalls, ++calls)
      texts += given.length
      facts.mostTexts = Math.max(facts.mostTexts, texts)
      const done = given.map(() => new Promise<void>((resolve) => queue.push(resolve)))
      wakeLanes()
      await Promise.all(done)
      calls--
      texts -= given.length
      return fake.embed(given, callOptions)
    },
  }
}

/** So many turns of the event loop: a time that passes the slower, the more there is to do. */
export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate)
}
