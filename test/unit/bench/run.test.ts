import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'ufrag-bench-'))
afterAll(() => rmSync(folder, { recursive: true }))

function bench(...parameters: string[]) {
  return spawnSync(process.execPath, ['--import', 'tsx', 'bench/run.ts', ...parameters], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, UFRAG_DATA: join(folder, 'missing') },
  })
}

describe('npm run bench', () => {
  it('lists the benches when it is given no name', () => {
    const { status, stderr } = bench()
    expect(status).toBe(0)
    expect(stderr).toMatch(/Benches: .*\binstruments\b/)
  })

  it('ends with 2 and the list on an unknown name', () => {
    const { status, stderr } = bench('speedy')
    expect(status).toBe(2)
    expect(stderr).toContain('No bench is called speedy.')
    expect(stderr).toContain('instruments')
  })

  it('prints the machine, says that data is missing, and writes metrics whose truth is known', () => {
    const file = join(folder, 'report.json')
    const { status, stdout, stderr } = bench('instruments', '--quick', '--no-build', '--json', file)
    expect(stderr).toBe('')
    expect(status).toBe(0)
    expect(stdout).toContain(process.version)
    expect(stdout).toContain('no measuring data')
    const report = JSON.parse(readFileSync(file, 'utf8'))
    expect(Object.keys(report)).toEqual(['name', 'machine', 'metrics'])
    expect(report.name).toBe('instruments')
    expect(report.machine.versions.lmdb).toMatch(/^3\./)
    expect(report.machine.versions).toHaveProperty('onnxruntime-node')
    expect(report.machine.loadAtEnd).toHaveLength(3)
    // Memory is exact enough on a busy machine; the time-based readings are not asserted.
    if (process.platform === 'linux') {
      expect(report.metrics['memory.peakMiB']).toBeGreaterThan(60)
      expect(report.metrics['memory.childPeakMiB']).toBeGreaterThan(64)
    }
  })
})
