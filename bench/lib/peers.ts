import { spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder = new URL('../peers/', import.meta.url)

/**
 * File URL of a package of `bench/peers`, or of one of its subpaths, for `import()`. Installs the folder from its lock file when the package is missing or the
 * lock file is newer than what is installed; throws with npm's own words when that fails.
 */
export async function resolvePeer(name: string): Promise<string> {
  const [scope = '', rest = ''] = name.split('/')
  if (!isInstalled(scope.startsWith('@') ? `${scope}/${rest}` : scope)) install()
  const { resolve } = (await import(new URL('resolve.mjs', folder).href)) as { resolve: (name: string) => string }
  return resolve(name)
}

function isInstalled(name: string): boolean {
  const marker = new URL('node_modules/.package-lock.json', folder)
  if (!existsSync(new URL(`node_modules/${name}/package.json`, folder)) || !existsSync(marker)) return false
  return statSync(marker).mtimeMs >= statSync(new URL('package-lock.json', folder)).mtimeMs
}

function install(): void {
  console.error('Installing what benches compare with (npm ci in bench/peers) ...')
  const { status, stderr, error } = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: fileURLToPath(folder),
    encoding: 'utf8',
    // npm on Windows is a .cmd file, which only a shell can start.
    shell: process.platform === 'win32',
  })
  if (status !== 0) throw new Error(`npm ci in bench/peers failed: ${error?.message ?? stderr}`)
}
