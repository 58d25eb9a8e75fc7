import { execFile } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Device } from '../../../src/onnx/devices.js'
import { openSession, type Session } from '../../../src/onnx/session.js'
import { randomNumbers } from '../../../src/testing/support.js'
import { embeddingModel } from '../../lib/embedding-model.js'

const cpu: Device = { kind: 'cpu', index: 0 }
const critical = <Result>(section: () => Result) => section()
let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ufrag-session-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const open = (weights: string, device = cpu) => openSession({ weights, device, threads: 1, critical })

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

describe('a session', () => {
  it('tells what its model takes and gives, and runs it', async () => {
    const { weights, dimensions } = embeddingModel()
    const session = await open(weights)
    try {
      expect(session.inputs.map(({ name, type, shape }) => [name, type, shape?.length])).toEqual([
        ['input_ids', 'int64', 2],
        ['attention_mask', 'int64', 2],
        ['token_type_ids', 'int64', 2],
      ])
      expect(session.outputs).toMatchObject([{ name: 'last_hidden_state', type: 'float32' }])
      expect(session.outputs[0]?.shape?.at(-1)).toBe(dimensions)
      const output = await session.run(feeds(session, [2, 50, 3]), 'last_hidden_state')
      expect(output.dims).toEqual([1, 3, dimensions])
    } finally {
      await session.release()
    }
  })

  it('runs native code in critical sections only', async () => {
    let sections = 0
    const counting = <Result>(section: () => Result) => {
      sections++
      return section()
    }
    const session = await openSession({
      weights: embeddingModel().weights,
      device: cpu,
      threads: 1,
      critical: counting,
    })
    // Loading the runtime, and the model.
    expect(sections).toBe(2)
    await session.run(feeds(session, [2, 3]), 'last_hidden_state')
    expect(sections).toBe(3)
    await session.release()
    expect(sections).toBe(4)
  })

  const overcommits = readIfThere('/proc/sys/vm/overcommit_memory').trim() === '1'
  it.skipIf(overcommits)('fails with LIMIT for a batch that no memory holds, and goes on', async () => {
    const tokens = 65_536
    // 16 rows make a product of 1.1 terabytes; what comes before it is small.
    const { weights } = embeddingModel({ layers: 1, hidden: 4, heads: 4, intermediate: 4, maxTokens: tokens })
    const session = await open(weights)
    try {
      const tensor = new session.Tensor('int64', new BigInt64Array(16 * tokens).fill(1n), [16, tokens])
      const inputs = { input_ids: tensor, attention_mask: tensor, token_type_ids: tensor }
      await expect(session.run(inputs, 'last_hidden_state')).rejects.toMatchObject({
        code: 'LIMIT',
        data: { reason: 'memory', device: 'cpu:0' },
      })
      expect((await session.run(feeds(session, [2, 3]), 'last_hidden_state')).dims).toEqual([1, 2, 4])
    } finally {
      await session.release()
    }
  })
})

describe('files that are no model', () => {
  it.each([
    ['nothing', () => ''],
    ['a text', () => 'hello, this is a text'],
    ['a page that says "not found"', () => '<!doctype html><title>404</title>'],
    ['the pointer that git stores', () => 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n'],
    ['half of a model', () => whole().subarray(0, whole().length / 2)],
    ['a model without its last bytes', () => whole().subarray(0, -100)],
    ['another kind of protocol buffer', () => Uint8Array.of(0x0a, 3, 1, 2, 3)],
  ])('are INTEGRITY and named: %s', async (name, content) => {
    const path = file(`${name.replaceAll(/\W/g, '')}.onnx`, content())
    await expect(open(path)).rejects.toMatchObject({ code: 'INTEGRITY', data: { file: path } })
  })

  it('are INTEGRITY when the file with the weights is missing or cut', async () => {
    const { weights } = embeddingModel({ externalData: true })
    const path = file('model.onnx', readFileSync(weights))
    await expect(open(path)).rejects.toMatchObject({ code: 'INTEGRITY', data: { file: path } })
    const data = readFileSync(`${weights}_data`)
    file('model.onnx_data', data.subarray(0, data.length / 2))
    await expect(open(path)).rejects.toMatchObject({ code: 'INTEGRITY', data: { file: path } })
    file('model.onnx_data', data)
    await (await open(path)).release()
  })

  it('are NOT_FOUND when there is none', async () => {
    const path = join(folder, 'nowhere.onnx')
    await expect(open(path)).rejects.toMatchObject({ code: 'NOT_FOUND', data: { file: path } })
  })

  it('are refused or, where the damage is in the numbers, opened: never worse', async () => {
    const random = randomNumbers(5)
    const bytes = whole()
    const counts = { opened: 0, refused: 0 }
    for (let round = 0; round < 60; round++) {
      const damaged = Uint8Array.from(bytes)
      for (let change = 0; change < 3; change++) {
        const place = Math.floor(random() * 8_000)
        damaged[random() < 0.5 ? place : bytes.length - 1 - place] = Math.floor(random() * 256)
      }
      try {
        await (await open(file('damaged.onnx', damaged))).release()
        counts.opened++
      } catch (error) {
        expect(['INTEGRITY', 'UNSUPPORTED']).toContain((error as { code: string }).code)
        counts.refused++
      }
    }
    expect(counts.refused).toBeGreaterThan(10)
  })
})

describe('devices that are not there', () => {
  it.each([
    [{ kind: 'cuda', index: 63 }, /libonnxruntime_providers_cuda\.so|cannot be used/],
    [{ kind: process.platform === 'darwin' ? 'dml' : 'coreml', index: 0 }, /cannot be used/],
  ] as const)('%j are UNSUPPORTED', async (device, message) => {
    await expect(open(embeddingModel().weights, device)).rejects.toMatchObject({ code: 'UNSUPPORTED', message })
  })

  it('do not hide that the file is no model', async () => {
    const device: Device = { kind: 'coreml', index: 0 }
    const path = join(folder, 'nowhere.onnx')
    await expect(open(path, device)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })
})

describe.skipIf(process.platform !== 'linux')('a second copy of the runtime in the process', () => {
  /** A copy of the package that says it is another version. */
  function copyOfRuntime(version: string): string {
    const own = realpathSync(dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json')))
    const copy = join(folder, version, 'node_modules', 'onnxruntime-node')
    const binaries = join('bin', 'napi-v6', process.platform, process.arch)
    mkdirSync(join(copy, binaries), { recursive: true })
    cpSync(join(own, 'dist'), join(copy, 'dist'), { recursive: true })
    copyFileSync(join(own, binaries, 'onnxruntime_binding.node'), join(copy, binaries, 'onnxruntime_binding.node'))
    symlinkSync(join(own, binaries, 'libonnxruntime.so.1'), join(copy, binaries, 'libonnxruntime.so.1'))
    symlinkSync(join(own, '..', 'onnxruntime-common'), join(copy, '..', 'onnxruntime-common'))
    const description = JSON.parse(readFileSync(join(own, 'package.json'), 'utf8'))
    writeFileSync(join(copy, 'package.json'), JSON.stringify({ ...description, version }))
    return copy
  }

  it('is refused when it is of another version, before two of them can meet', async () => {
    const script = file(
      'second-copy.mts',
      `
      import { createRequire } from 'node:module'
      const require = createRequire(import.meta.url)
      require(process.argv[2])
      const { openLane } = await import(${JSON.stringify(source('src/embed/onnx/open-lane.ts'))})
      const lane = openLane({ model: JSON.parse(process.argv[3]), devices: [{ kind: 'cpu', index: 0 }], threads: 1 })
      console.log(await lane.load().then(() => 'opened', ({ code, message }) => code + ' ' + message))
      await lane.close()
      `,
    )
    const run = async (copy: string) =>
      (await promisify(execFile)('node', ['--import', 'tsx', script, copy, JSON.stringify(embeddingModel())])).stdout
    expect(await run(copyOfRuntime('1.21.0'))).toMatch(/^UNSUPPORTED .*1\.\d+\.\d+ and 1\.21\.0/)
    const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json')
    expect(await run(copyOfRuntime(version))).toMatch(/^opened/)
  }, 60_000)
})

function whole(): Uint8Array {
  return readFileSync(embeddingModel().weights)
}

function feeds({ Tensor, inputs }: Session, ...rows: readonly (readonly number[])[]) {
  const dims = [rows.length, rows[0]?.length ?? 0]
  const tensor = (value: (id: number) => number) =>
    new Tensor(
      'int64',
      BigInt64Array.from(rows.flat(), (id) => BigInt(value(id))),
      dims,
    )
  const values: Record<string, (id: number) => number> = { input_ids: (id) => id, attention_mask: () => 1 }
  return Object.fromEntries(inputs.map(({ name }) => [name, tensor(values[name] ?? (() => 0))]))
}

function source(path: string): string {
  return pathToFileURL(fileURLToPath(new URL(`../../../${path}`, import.meta.url))).href
}

function readIfThere(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : ''
}
