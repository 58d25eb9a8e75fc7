import { rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join, parse } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build, type Plugin } from 'esbuild'

const home = new URL('..', import.meta.url)
const bench = fileURLToPath(home)
const bundles = new Map<string, Promise<string>>()
const written: string[] = []

/**
 * Makes plain JavaScript of a module, by its place in `bench` or its URL, that a process of its own is to run, and gives its path: what turns TypeScript into JavaScript as it is
 * loaded would hold some 90 MB in that process, which would count as memory of whoever is measured there.
 */
export function bundleChild(module: string): Promise<string> {
  const known = bundles.get(module)
  if (known !== undefined) return known
  const made = make(fileURLToPath(new URL(module, home)))
  bundles.set(module, made)
  return made
}

async function make(path: string): Promise<string> {
  // Below the package, so that it finds what the package has installed, and itself by its name.
  const outfile = join(bench, '..', 'tmp', 'bench', `${parse(path).name}-${process.pid}-${bundles.size}.mjs`)
  await build({
    stdin: {
      contents: `import run from ${JSON.stringify(path)}\nimport { serve } from './child.js'\nserve(run)`,
      resolveDir: bench,
      sourcefile: 'entry.ts',
    },
    outfile,
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    logLevel: 'silent',
    plugins: [ownPlaces],
  })
  if (written.push(outfile) === 1) process.once('exit', removeWritten)
  return outfile
}

function removeWritten(): void {
  for (const path of written) rmSync(path, { force: true })
}

/** Whatever looks for files beside itself finds them where they are. */
const ownPlaces: Plugin = {
  name: 'own-places',
  setup({ onLoad }) {
    onLoad({ filter: /\.m?ts$/ }, async ({ path }) => {
      const contents = await readFile(path, 'utf8')
      return {
        contents: contents.replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href)),
        loader: 'ts',
      }
    })
  },
}
