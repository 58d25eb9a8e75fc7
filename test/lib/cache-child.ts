import { createDiskCache } from '../../src/cache/disk.js'

/** Reads one key of a cache, writes another, and dies without closing. */
const [directory = '', known = '', added = ''] = process.argv.slice(2)
const cache = createDiskCache({ directory })
const [hit] = await cache.get([known])
console.log(`found ${hit?.value.length}`)
await cache.set([{ key: added, value: new Uint8Array(1_000) }])
process.kill(process.pid, 'SIGKILL')
