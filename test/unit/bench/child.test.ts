import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { runChild } from '../../../bench/lib/child.js'

const folder = mkdtempSync(join(tmpdir(), 'ufrag-child-'))
afterAll(() => rmSync(folder, { recursive: true }))

function module(name: string, source: string): string {
  const path = join(folder, `${name}.mts`)
  writeFileSync(path, source)
  return pathToFileURL(path).href
}

describe('runChild', () => {
  it('returns what the default export returned, with gc available', async () => {
    const source = 'export default async (x: { n: number }) => ({ twice: x.n * 2, gc: typeof globalThis.gc })'
    const { result, peakAnonymousBytes } = await runChild(module('twice', source), { n: 21 })
    expect(result).toEqual({ twice: 42, gc: 'function' })
    if (process.platform === 'linux') expect(peakAnonymousBytes).toBeGreaterThan(1 << 20)
  })

  it('hands on what could not be measured', async () => {
    const source = 'export default (x: number) => ({ given: Number.isNaN(x), bytes: Number.NaN, longest: Infinity })'
    const { result } = await runChild(module('unknown', source), Number.NaN)
    expect(result).toEqual({ given: true, bytes: Number.NaN, longest: Number.POSITIVE_INFINITY })
  })

  it('rejects with the stack of the child', async () => {
    const source = "export default () => { throw new RangeError('too far') }"
    await expect(runChild(module('broken', source), null)).rejects.toThrow(
      /broken\.mts failed[\s\S]*RangeError: too far/,
    )
  })

  it('rejects when the child dies without a word', async () => {
    await expect(runChild(module('dead', 'export default () => process.exit(3)'), null)).rejects.toThrow('exit code 3')
  })

  it('rejects when the module does not exist', async () => {
    await expect(runChild('lib/nothing-here.ts', null)).rejects.toThrow('nothing-here')
  })
})
