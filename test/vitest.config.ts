import { readFileSync } from 'node:fs'
import { globSync } from 'tinyglobby'
import { defineConfig } from 'vitest/config'

const root = new URL('..', import.meta.url).pathname

/**
 * Folders whose tests leave nothing behind in their process: their files share one for each worker, which saves half a second of loading
 * a file. A file that replaces modules, time or the environment, or counts listeners, has a process of its own.
 */
const sharing =
  'ai-sdk|chunk|config|core|enrich|eval|extract|facade|fusion|langchain|lexical-index|llm|metadata-index|performance|pipelines|rerank|stream|text|util'
const needsItsOwn =
  /vi\.(?:mock|doMock|stubEnv|useFakeTimers|spyOn|resetModules)|process\.(?:env\.|chdir|listenerCount|on\()|globalThis\./
const files = globSync(`test/unit/(${sharing})/**/*.test.ts`, { cwd: root })
const together = files.filter((file) => !needsItsOwn.test(readFileSync(`${root}${file}`, 'utf8')))

export default defineConfig({
  test: {
    root,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    reporters: ['default', './test/summary-reporter.ts'],
    maxWorkers: 2,
    // Nothing is left in the cache of whoever runs the tests; those of prepacked models name folders of their own.
    env: { UFRAG_PREPACKED: 'off' },
    projects: [
      {
        extends: true,
        test: {
          name: 'apart',
          include: ['test/**/*.test.ts'],
          exclude: ['test/soak/**', 'node_modules/**', 'bench/peers/**', ...together],
        },
      },
      { extends: true, test: { name: 'together', include: together, isolate: false } },
    ],
  },
})
