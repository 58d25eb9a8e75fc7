import { RagError } from '../core/errors.js'

/**
 * Loads an optional package when it is first needed: `importOptional('pkg', () => import('pkg'), 'npm i pkg')`. Rejects with
 * `RagError` `MISSING_PEER` and the install command, whether the package is not there or does not load (a native binary for
 * another platform); `cause` tells which. Nothing is remembered here, because `import()` remembers what it loaded and only that:
 * after installing the package the next call succeeds.
 */
export async function importOptional<Module>(
  name: string,
  load: () => Promise<Module>,
  install: string,
): Promise<Module> {
  try {
    return await load()
  } catch (cause) {
    const problem = isMissing(cause, name) ? 'is not installed' : 'is installed but could not be loaded'
    throw new RagError('MISSING_PEER', `The optional package "${name}" ${problem}.`, {
      cause,
      data: { package: name },
      hint: `Run: ${install}`,
    })
  }
}

/** Node's error of an `import()` or `require()` that names this very package, not one that it imports itself. */
function isMissing(cause: unknown, name: string): boolean {
  return (
    cause instanceof Error &&
    'code' in cause &&
    (cause.code === 'ERR_MODULE_NOT_FOUND' || cause.code === 'MODULE_NOT_FOUND') &&
    cause.message.includes(`'${name}'`)
  )
}
