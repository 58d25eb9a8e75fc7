import { afterAll, describe, it } from 'vitest'
import { createBullmqQueue } from '../../src/queue/bullmq.js'
import { createInProcessQueue } from '../../src/queue/in-process.js'
import { type JobQueueSettings, jobQueueConformance } from '../../src/testing/index.js'
import { startRedis } from '../lib/redis-server.js'

const server = await startRedis()
afterAll(() => server?.stop())

describe('in-process queue', () => {
  jobQueueConformance(it, {
    create: async (settings) => createInProcessQueue(settings),
    open: { skip: 'its jobs are of one process' },
  })
})

describe.skipIf(server === undefined)('bullmq queue', () => {
  let names = 0
  const open = async (settings: JobQueueSettings) =>
    createBullmqQueue({ url: server?.url ?? '', name: `q${names}`, lockMs: 1_000, stalledIntervalMs: 250, ...settings })
  jobQueueConformance(it, {
    create: (settings) => {
      names++
      return open(settings)
    },
    open: { again: (_, settings) => open(settings) },
  })
})
