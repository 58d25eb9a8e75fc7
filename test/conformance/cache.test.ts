import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Keyv from 'keyv'
import { afterAll, describe, it } from 'vitest'
import { createDiskCache } from '../../src/cache/disk.js'
import { createKeyvCache } from '../../src/cache/keyv.js'
import { createMemoryCache } from '../../src/cache/memory.js'
import { createRedisCache } from '../../src/cache/redis.js'
import { createTieredCache } from '../../src/cache/tiered.js'
import { cacheConformance } from '../../src/testing/cache-suite.js'
import { systemClock } from '../../src/util/clock.js'
import { startRedis } from '../lib/redis-server.js'

const folder = mkdtempSync(join(tmpdir(), 'ufrag-cache-'))
let folders = 0
const clockOf = (now: () => number) => ({ ...systemClock, date: now })
const disk = (now: () => number) => createDiskCache({ directory: join(folder, String(folders++)) }, clockOf(now))

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await redisServer?.stop()
})

describe('memory cache', () => {
  cacheConformance(it, { create: async ({ now }) => createMemoryCache({}, clockOf(now)) })
})

describe('disk cache', () => {
  cacheConformance(it, { create: async ({ now }) => disk(now) })
})

describe('keyv cache', () => {
  cacheConformance(it, {
    create: async ({ now }) => createKeyvCache({ keyv: new Keyv({ throwOnErrors: true }) }, clockOf(now)),
  })
})

describe('tiered cache', () => {
  cacheConformance(it, {
    create: async ({ now }) => createTieredCache({ near: createMemoryCache({}, clockOf(now)), far: disk(now) }),
  })
})

const redisServer = await startRedis()
describe.skipIf(redisServer === undefined)('redis cache', () => {
  cacheConformance(it, {
    create: async ({ now }) =>
      createRedisCache({ url: redisServer?.url ?? '', prefix: `suite ${folders++}` }, clockOf(now)),
  })
})
