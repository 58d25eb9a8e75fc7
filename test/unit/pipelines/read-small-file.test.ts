import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readSmallFile } from '../../../src/pipelines/steps/read-file.js'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ufrag-small-file-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function fileOf(bytes: number): string {
  const path = join(folder, `${bytes}`)
  writeFileSync(path, Buffer.alloc(bytes, 'x'))
  return path
}

describe('readSmallFile', () => {
  it('reads a file up to the limit, and leaves a larger one alone', () => {
    for (const bytes of [0, 1, 999, 1_000]) expect(readSmallFile(fileOf(bytes), 1_000)).toHaveLength(bytes)
    for (const bytes of [1_001, 5_000]) expect(readSmallFile(fileOf(bytes), 1_000)).toBeUndefined()
    expect(Buffer.from(readSmallFile(fileOf(3), 10) ?? []).toString()).toBe('xxx')
  })

  it.runIf(process.platform === 'linux')('leaves alone what does not tell its size', () => {
    expect(readSmallFile('/proc/version', 10_000)).toBeUndefined()
    expect(() => readSmallFile('/dev/zero', 1_000)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }))
  })

  it('says what is wrong, and waits for nobody', () => {
    const pipe = join(folder, 'pipe')
    execFileSync('mkfifo', [pipe])
    expect(() => readSmallFile(pipe, 1_000)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }))
    expect(() => readSmallFile(folder, 1_000)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }))
    const missing = join(folder, 'missing')
    expect(() => readSmallFile(missing, 1_000)).toThrow(
      expect.objectContaining({ code: 'NOT_FOUND', data: { path: missing, code: 'ENOENT' } }),
    )
  })
})
