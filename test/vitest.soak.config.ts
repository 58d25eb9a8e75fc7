import { defineConfig } from 'vitest/config'

/** Every campaign in full: kills, mutations, damage. `npm test` runs a seeded sample of the same. */
export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['test/soak/**/*.test.ts'],
    testTimeout: 900_000,
    hookTimeout: 60_000,
    reporters: ['default', './test/summary-reporter.ts'],
    fileParallelism: false,
  },
})
