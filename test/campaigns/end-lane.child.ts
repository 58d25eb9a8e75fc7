/**
 * A process that ends, or ends its threads, while the runtime is at work in them. Run by `end-lane.ts` as
 * `node --import tsx end-lane.child.ts '{"way": …}'`.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { openLane } from '../../src/embed/onnx/open-lane.js'
import type { EmbeddingModel } from '../../src/models/types.js'
import { randomNumbers } from '../../src/testing/support.js'

export interface EndLaneOptions {
  /** What happens to a lane, in the middle of it. */
  readonly way: keyof typeof ways
  readonly model: EmbeddingModel
  readonly seed: number
  /** Times, for the ways that do not end the process. */
  readonly rounds: number
}

/** Exit code of the ways that name one themselves. */
export const ownExitCode = 5

const ways = {
  closeWhileRunning: async (options: EndLaneOptions, random: () => number) => {
    for (let round = 0; round < options.rounds; round++) {
      const { lane, running } = await startRun(options)
      await sleep(random() * 60)
      await Promise.all([lane.close(), running])
    }
  },
  closeWhileLoading: async (options: EndLaneOptions, random: () => number) => {
    for (let round = 0; round < options.rounds; round++) {
      const { lane, loading } = startLoad(options)
      await sleep(random() * 300)
      await Promise.all([lane.close(), loading])
    }
  },
  closeIdle: async (options: EndLaneOptions) => {
    for (let round = 0; round < options.rounds; round++) {
      const { lane } = startLoad(options)
      await lane.load()
      await lane.close()
    }
  },
  exitWhileRunning: async (options: EndLaneOptions, random: () => number) => {
    await Promise.all([startRun(options), startRun(options)])
    await sleep(random() * 60)
    process.exit(ownExitCode)
  },
  exitWhileLoading: async (options: EndLaneOptions, random: () => number) => {
    startLoad(options)
    startLoad(options)
    await sleep(random() * 300)
    process.exit(ownExitCode)
  },
  throwWhileRunning: async (options: EndLaneOptions) => {
    await startRun(options)
    setTimeout(() => {
      throw new Error('an error of the application')
    }, 10)
    await sleep(10_000)
  },
  exitWhenAborted: async (options: EndLaneOptions) => {
    const controller = new AbortController()
    await startRun(options, controller.signal)
    await sleep(10)
    controller.abort(new Error('not needed'))
    await sleep(1)
    process.exit(ownExitCode)
  },
  /** The last thing the application does is to ask; nobody closes the lane. */
  leaveRunning: async (options: EndLaneOptions) => {
    await startRun(options)
  },
  leaveIdle: async (options: EndLaneOptions) => {
    const { running } = await startRun(options)
    await running
  },
  waitForSignal: async (options: EndLaneOptions) => {
    await startRun(options)
    console.log('running')
    await sleep(10_000)
  },
}

function startLoad({ model }: EndLaneOptions) {
  const lane = openLane({ model, devices: [{ kind: 'cpu', index: 0 }], threads: 1 })
  return { lane, loading: settled(lane.load()) }
}

/** Resolves when the model is loaded and two batches of some 100 ms are in its thread. */
async function startRun(options: EndLaneOptions, signal?: AbortSignal) {
  const { lane } = startLoad(options)
  await lane.load()
  const tokens = 128
  const rows = 8
  const batch = {
    ids: new Int32Array(rows * tokens).fill(7),
    offsets: Int32Array.from({ length: rows + 1 }, (_, row) => row * tokens),
  }
  const running = Promise.all([lane.run(batch, signal), lane.run(batch, signal)].map(settled))
  await sleep(5)
  return { lane, running }
}

async function settled(promise: Promise<unknown>): Promise<void> {
  await promise.catch(() => {
    // How a call ends is for the tests of lanes; here it is how the process does.
  })
}

const [, script, argument] = process.argv
if (script?.endsWith('end-lane.child.ts') && argument !== undefined) {
  const options = JSON.parse(argument) as EndLaneOptions
  await ways[options.way](options, randomNumbers(options.seed))
}
