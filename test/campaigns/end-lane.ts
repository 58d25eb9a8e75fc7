import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { embeddingModel } from '../lib/embedding-model.js'
import { startChild } from './child.js'
import { type EndLaneOptions, ownExitCode } from './end-lane.child.js'

/** How a process ends that may end: 134 (SIGABRT) is what it must not be. */
const endings: Readonly<Record<EndLaneOptions['way'], number | string>> = {
  closeWhileRunning: 0,
  closeWhileLoading: 0,
  closeIdle: 0,
  exitWhileRunning: ownExitCode,
  exitWhileLoading: ownExitCode,
  throwWhileRunning: 1,
  exitWhenAborted: ownExitCode,
  leaveRunning: 0,
  leaveIdle: 0,
  waitForSignal: 'SIGTERM',
}

const ways = Object.keys(endings) as EndLaneOptions['way'][]

/** Ends processes, and threads in them, while the runtime is loading or running in those threads; every process must end as told. */
export async function endLanes({ processes, rounds, seed }: { processes: number; rounds: number; seed: number }) {
  // A batch takes some 100 ms, to be hit in the middle.
  const model = embeddingModel({ layers: 4, hidden: 192, intermediate: 768, weights: ['fp32'] })
  for (let place = 0; place < processes; place++) {
    const options = { model, seed: seed * 1000 + place, rounds }
    await Promise.all(ways.map((way) => endOne({ ...options, way })))
  }
}

async function endOne(options: EndLaneOptions): Promise<void> {
  const { way, seed } = options
  const child = startChild('./end-lane.child.ts', options)
  if (way === 'waitForSignal') {
    await child.line((line) => line === 'running')
    await sleep(seed % 60)
    child.process.kill('SIGTERM')
  }
  const ended = await child.ended
  assert.equal(ended, endings[way], `${way} (seed ${seed}) ended with ${ended}:\n${child.errors()}`)
}
