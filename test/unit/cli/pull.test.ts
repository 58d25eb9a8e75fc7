import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { ensureBuilt } from '../../../bench/lib/build.js'
import { inSoak } from '../../lib/soak.js'
import { startHub } from '../models/hub-server.js'
import { bertFiles, onnxFile, temporaryFolder } from '../models/support.js'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const home = temporaryFolder()
const hub = await startHub()
const weights = onnxFile([{ name: 'w', values: new Float32Array(200_000) }])
const commit = 'e'.repeat(40)
const snapshot = join(home, 'hub/models--acme--tiny/snapshots', commit)

beforeAll(() => {
  ensureBuilt(root)
  const files = Object.entries({ ...bertFiles(), 'onnx/model.onnx': weights }).map(([path, content]) => [
    path,
    Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content)),
  ])
  hub.models.set('acme/tiny', { commit, files: Object.fromEntries(files) })
}, 240_000)

describe('the built command', () => {
  inSoak('pulls a model, is interrupted by Ctrl-C and continues where it was', async () => {
    hub.bytesPerSecond = 400_000
    const first = start(['pull', 'acme/tiny'])
    while (!hub.seen.some(({ host }) => host === 'storage')) await new Promise((resolve) => setTimeout(resolve, 10))
    await new Promise((resolve) => setTimeout(resolve, 300))
    first.child.kill('SIGINT')
    expect(await first.ended).toMatchObject({ code: 130, out: '' })
    expect(existsSync(join(snapshot, 'onnx/model.onnx'))).toBe(false)

    hub.bytesPerSecond = Number.POSITIVE_INFINITY
    const second = await start(['pull', 'acme/tiny', '--json']).ended
    expect([second.code, second.err]).toEqual([0, ''])
    expect(JSON.parse(second.out)).toEqual({
      model: 'acme/tiny',
      kind: 'embedding',
      directory: snapshot,
      weights: join(snapshot, 'onnx/model.onnx'),
      quantization: 'fp32',
      bytes: weights.length,
    })
    expect(readFileSync(join(snapshot, 'onnx/model.onnx')).equals(weights)).toBe(true)
    expect(hub.seen.at(-1)?.range).toMatch(/^bytes=[1-9]/)
  })

  it('ends with 1 and tells what to do when there is no such model', async () => {
    const { code, out, err } = await start(['pull', 'acme/none']).ended
    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(/^The hub has no model "acme\/none".*\n {2}Check its spelling at http/)
  })
})

interface Run {
  readonly child: ChildProcess
  readonly ended: Promise<{ readonly code: number | null; readonly out: string; readonly err: string }>
}

function start(line: readonly string[]): Run {
  const env = { PATH: process.env.PATH, HF_HOME: home, HF_ENDPOINT: hub.endpoint }
  const child = spawn(process.execPath, [join(root, 'dist/cli.js'), ...line], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const texts = { out: '', err: '' }
  child.stdout.on('data', (text) => {
    texts.out += text
  })
  child.stderr.on('data', (text) => {
    texts.err += text
  })
  const ended = new Promise<Awaited<Run['ended']>>((resolve) =>
    child.on('close', (code) => resolve({ code, ...texts })),
  )
  return { child, ended }
}
