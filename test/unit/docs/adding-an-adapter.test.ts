import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll } from 'vitest'

/** Inside the project, so that its packages are found. */
const folder = mkdtempSync(fileURLToPath(new URL('./example-', import.meta.url)))
afterAll(() => rmSync(folder, { recursive: true }))

const page = readFileSync(new URL('../../../docs/adding-an-adapter.md', import.meta.url), 'utf8')
const [adapter = '', suite = ''] = [...page.matchAll(/```ts\n(.*?)```/gs)].map(([, source]) => source)
const source = (path: string) => new URL(`../../../src/${path}`, import.meta.url).href

writeFileSync(join(folder, 'word.ts'), adapter.replace('../core/errors.js', source('core/errors.ts')))
writeFileSync(
  join(folder, 'word.conformance.ts'),
  suite.replace('ultrafast-rag/testing', source('testing/index.ts')).replace('./word.js', './word.ts'),
)
// The page's own code: it registers the suite over the page's own adapter.
await import(pathToFileURL(join(folder, 'word.conformance.ts')).href)
