import { existsSync } from 'node:fs'
import { RagError } from '../core/errors.js'

/**
 * Where the built worker `NAME.worker.js` lies: beside this code when it is built, in `dist/` when the sources run (tests, benches).
 * Throws `RagError` `WORKER` when it is missing, which happens when a bundler inlined the package: keep `ultrafast-rag` external.
 */
export function workerUrl(name: string): URL {
  const candidates = [`./${name}.worker.js`, `../../dist/${name}.worker.js`].map(
    (path) => new URL(path, import.meta.url),
  )
  const found = candidates.find((url) => existsSync(url))
  if (found !== undefined) return found
  throw new RagError('WORKER', `The worker file "${name}.worker.js" was not found.`, {
    data: { tried: candidates.map(String) },
    hint: 'Mark "ultrafast-rag" as external in your bundler, or run "npm run build" in a checkout.',
  })
}
