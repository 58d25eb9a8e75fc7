import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Builds what benches measure, the package as it is imported (`ultrafast-rag`) and its workers, when `dist` is missing or older than the
 * sources; with `types`, also when its declarations are missing, as after `npm run demo`. Throws when the build fails.
 */
export function ensureBuilt(root: string, { types = false }: { readonly types?: boolean } = {}): void {
  const sources = [...listFiles(join(root, 'src')), join(root, 'tsup.config.ts'), join(root, 'package.json')]
  const built = listFiles(join(root, 'dist')).filter((path) => path.endsWith('.js'))
  const isWhole = built.length > 0 && (!types || existsSync(join(root, 'dist', 'index.d.ts')))
  if (isWhole && Math.max(...sources.map(modified)) <= Math.min(...built.map(modified))) return
  console.error(
    `Building dist, which is ${isWhole ? 'older than src' : 'missing or without types'} (npm run build) ...`,
  )
  const { status } = spawnSync('npm', ['run', '--silent', 'build'], {
    cwd: root,
    // The build's chatter would end up among the figures on standard output.
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  })
  if (status !== 0) throw new Error('npm run build failed; its output is above. "--no-build" measures what is there.')
}

function listFiles(folder: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

function modified(path: string): number {
  return statSync(path).mtimeMs
}
