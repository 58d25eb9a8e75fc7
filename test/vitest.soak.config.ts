import { readFileSync } from 'node:fs'
import { globSync } from 'tinyglobby'
import { defineConfig } from 'vitest/config'

const root = new URL('..', import.meta.url).pathname
/** Files some of whose tests `npm test` leaves out; see `test/lib/soak.ts`. */
const withLongTests = globSync('test/{unit,conformance,package}/**/*.test.ts', { cwd: root }).filter((file) =>
  readFileSync(`${root}${file}`, 'utf8').includes('/lib/soak.js'),
)

/** Every campaign in full (kills, mutations, damage), of which `npm test` runs a seeded sample, and the tests that take seconds each. */
export default defineConfig({
  test: {
    root,
    include: ['test/soak/**/*.test.ts', ...withLongTests],
    env: { UFRAG_SOAK: '1', UFRAG_PREPACKED: 'off' },
    testTimeout: 900_000,
    hookTimeout: 60_000,
    reporters: ['default', './test/summary-reporter.ts'],
    fileParallelism: false,
  },
})
