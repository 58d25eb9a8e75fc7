import { describe, expect, it } from 'vitest'
import { RagError } from '../../../src/core/errors.js'
import { createInProcessQueue } from '../../../src/queue/in-process.js'
import type { JobState } from '../../../src/queue/types.js'
import { randomNumbers } from '../../../src/util/random.js'
import { createFakeClock } from '../../lib/fake-clock.js'

/** What must come of a random history, told from the history alone. */
interface Story {
  /** The content each document was enqueued with last, and the id of that job. */
  readonly last: Map<string, { content: string; id: string }>
  /** Jobs whose end is up to chance, for they were cancelled at some time. */
  readonly cancelled: Set<string>
  readonly accepted: Set<string>
}

const documents = ['a', 'b', 'c', 'd']
const contents = ['1', '2', '3']

/** Enqueues, cancels, retries and closes workers at random, while attempts end, fail and hang at random; then lets everything end. */
async function tell(seed: number) {
  const random = randomNumbers(seed)
  const pick = <Value>(values: readonly Value[]): Value => values[Math.floor(random() * values.length)] as Value
  const clock = createFakeClock()
  const queue = createInProcessQueue(
    { maxWaiting: 1 + Math.floor(random() * 6), attempts: 4, retryDelayMs: 100 },
    clock,
  )
  const story: Story = { last: new Map(), cancelled: new Set(), accepted: new Set() }
  const stored = new Map<string, string>()
  const running = new Set<string>()
  let calm = false

  const handler = async ({ input, signal }: { input: unknown; signal: AbortSignal }) => {
    const { id, text } = input as { id: string; text: string }
    expect(running.has(id)).toBe(false)
    running.add(id)
    try {
      await clock.sleep(random() * 50, signal)
      if (!calm && random() < 0.3) throw new RagError('PROVIDER', 'away', { retryable: true })
      stored.set(id, text)
      return { documents: 1, unchanged: 0, chunks: 1 }
    } finally {
      running.delete(id)
    }
  }
  const begin = () => queue.process(handler, { concurrency: 1 + Math.floor(random() * 3), target: 'x' })
  let worker = begin()

  for (let step = 0; step < 40; step++) {
    const dice = random()
    if (dice < 0.55) {
      const [document, content] = [pick(documents), pick(contents)]
      const enqueued = queue.enqueue({ id: document, text: content }, { priority: pick(['high', 'normal', 'low']) })
      const id = await clock.settle(enqueued)
      story.last.set(document, { content, id })
      story.accepted.add(id)
      story.cancelled.delete(id)
    } else if (dice < 0.65 && story.accepted.size > 0) {
      const id = pick([...story.accepted])
      if (await queue.cancel(id)) story.cancelled.add(id)
    } else if (dice < 0.72) {
      await clock.settle(worker.close(random() < 0.5 ? 0 : 1_000))
      worker = begin()
    } else await clock.pass(random() * 200)
  }
  calm = true
  await clock.settle(queue.idle())
  const states = new Map<string, JobState | undefined>()
  for (const id of story.accepted) states.set(id, (await queue.job(id))?.state)
  const counts = await queue.counts()
  await clock.settle(queue.close())
  return { story, stored, states, counts }
}

describe('the in-process queue, in any history', () => {
  it('ends every job, runs no two of a document at once, and stores what was enqueued last', async () => {
    let compared = 0
    for (let seed = 1; seed <= 25; seed++) {
      const { story, stored, states, counts } = await tell(seed)
      expect(counts, `seed ${seed}`).toMatchObject({ waiting: 0, active: 0 })
      for (const [id, state] of states) expect(['completed', 'failed', 'cancelled'], `${seed} ${id}`).toContain(state)
      for (const [document, { content, id }] of story.last) {
        if (states.get(id) !== 'completed' || story.cancelled.has(id)) continue
        expect(stored.get(document), `seed ${seed}, document ${document}`).toBe(content)
        compared++
      }
    }
    expect(compared).toBeGreaterThan(40)
  })
})
