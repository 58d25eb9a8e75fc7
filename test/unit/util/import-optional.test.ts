import { describe, expect, it } from 'vitest'
import { RagError } from '../../../src/core/errors.js'
import { importOptional } from '../../../src/util/import-optional.js'

const missing = (name: string): Promise<never> =>
  Promise.reject(
    Object.assign(new Error(`Cannot find package '${name}' imported from /app/index.js`), {
      code: 'ERR_MODULE_NOT_FOUND',
    }),
  )

async function failure(attempt: Promise<unknown>): Promise<RagError> {
  const error = await attempt.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!RagError.isInstance(error)) throw new Error('expected a RagError')
  return error
}

describe('importOptional', () => {
  it('returns the module', async () => {
    const path = await importOptional('node:path', () => import('node:path'), 'npm i node')
    expect(path.join('a', 'b')).toMatch(/^a.b$/)
  })

  it('names the package and the install command when it is not installed', async () => {
    const error = await failure(importOptional('some-peer', () => missing('some-peer'), 'npm i some-peer@2'))
    expect(error.code).toBe('MISSING_PEER')
    expect(error.message).toBe('The optional package "some-peer" is not installed.')
    expect(error.hint).toBe('Run: npm i some-peer@2')
    expect(error.data).toEqual({ package: 'some-peer' })
    expect(error.cause).toBeInstanceOf(Error)
  })

  it("knows Node's own error for a package that does not exist", async () => {
    // Kept from the bundler's and the type checker's eyes: the name must reach Node as it is.
    const name: string = 'ultrafast-rag-no-such-package'
    const error = await failure(importOptional(name, () => import(/* @vite-ignore */ name), 'npm i nothing'))
    expect(error.message).toContain('is not installed')
  })

  it('says so when the package is there and does not load', async () => {
    for (const load of [() => missing('its-dependency'), () => Promise.reject(new Error('dlopen failed'))]) {
      const error = await failure(importOptional('some-peer', load, 'npm i some-peer'))
      expect(error.code).toBe('MISSING_PEER')
      expect(error.message).toContain('could not be loaded')
    }
  })

  it('catches what a loader throws at once', async () => {
    const error = await failure(
      importOptional(
        'some-peer',
        () => {
          throw new Error('no')
        },
        'npm i some-peer',
      ),
    )
    expect(error.code).toBe('MISSING_PEER')
  })

  it('forgets a failure', async () => {
    let installed = false
    const load = () => (installed ? Promise.resolve({ ready: true }) : missing('late-peer'))
    await expect(importOptional('late-peer', load, 'npm i late-peer')).rejects.toThrow('not installed')
    installed = true
    await expect(importOptional('late-peer', load, 'npm i late-peer')).resolves.toEqual({ ready: true })
  })
})
