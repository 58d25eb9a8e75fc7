import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { freezeWorkers } from '../campaigns/freeze-worker.js'
import { killWorkers } from '../campaigns/kill-workers.js'
import { startRedis } from '../lib/redis-server.js'

it('keeps every document once, in its last version, in a hundred kills of workers', async (context) => {
  if (!(await killWorkers({ kills: 100, seed: 2 }))) context.skip('there is no redis-server on the PATH')
})

it('keeps the newer version in twenty workers that wake up after their lock was lost', async (context) => {
  const met = await freezeWorkers({ rounds: 20, seed: 2 })
  if (met === undefined) return context.skip('there is no redis-server on the PATH')
  console.log(met)
  expect(met.takenOver).toBeGreaterThan(3)
})

it('shows two workers, one of which is killed', async (context) => {
  const redis = await startRedis()
  if (redis === undefined) return context.skip('there is no redis-server on the PATH')
  const example = fileURLToPath(new URL('../../examples/queue-workers.ts', import.meta.url))
  const { status, stdout, stderr } = spawnSync('node', ['--import', 'tsx', example, redis.url], { encoding: 'utf8' })
  await redis.stop()
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(stdout).toMatch(/completed \d+, failed 0/)
  const [, files, stored] = stdout.match(/(\d+) files enqueued[\s\S]*?(\d+) documents stored/) ?? []
  expect(stored).toBe(files)
})
