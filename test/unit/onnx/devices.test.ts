import { describe, expect, it } from 'vitest'
import { RagError, type RagErrorCode } from '../../../src/core/errors.js'
import {
  type Device,
  type DeviceHost,
  type DeviceLadder,
  deviceName,
  openOnFirst,
  planDevices,
} from '../../../src/onnx/devices.js'

const bare: DeviceHost = { platform: 'linux', arch: 'x64', nvidia: false, vulkan: false }
const plan = (
  option: unknown,
  { quantization = 'fp32', host = bare }: Partial<Parameters<typeof planDevices>[1]> = {},
) => planDevices(option, { quantization, host }).map((ladder) => ladder.map(deviceName))

describe('the option `device`', () => {
  it.each([
    ['cpu', [['cpu:0']]],
    ['cpu:0', [['cpu:0']]],
    ['cuda', [['cuda:0', 'cpu:0']]],
    ['cuda:1', [['cuda:1', 'cpu:0']]],
    ['dml:2', [['dml:2', 'cpu:0']]],
    ['webgpu', [['webgpu:0', 'cpu:0']]],
    ['coreml', [['coreml:0', 'cpu:0']]],
    [
      ['cuda:0', 'cuda:1'],
      [
        ['cuda:0', 'cpu:0'],
        ['cuda:1', 'cpu:0'],
      ],
    ],
    [
      ['cpu', 'cpu'],
      [['cpu:0'], ['cpu:0']],
    ],
  ])('%j names what to try, the CPU last', (option, expected) => {
    expect(plan(option)).toEqual(expected)
  })

  it.each([
    '',
    'gpu',
    'CUDA',
    'cuda:',
    'cuda:-1',
    'cuda:x',
    'cuda:64',
    'cuda:1000',
    'cuda:0 ',
    'cpu:1',
    'webgpu:1',
    'coreml:1',
    'toString',
    ['auto'],
    [],
    [['cpu']],
    7,
    null,
    undefined,
  ])('%j is BAD_OPTION', (option) => {
    expect(() => plan(option)).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }))
  })

  it.each<[string, Partial<DeviceHost>, string[]]>([
    ['Linux without a GPU', {}, ['cpu:0']],
    ['Linux with an NVIDIA GPU', { nvidia: true }, ['cuda:0', 'cpu:0']],
    ['the same with Vulkan', { nvidia: true, vulkan: true }, ['cuda:0', 'webgpu:0', 'cpu:0']],
    ['Linux on ARM', { arch: 'arm64', nvidia: true, vulkan: true }, ['cpu:0']],
    ['Windows', { platform: 'win32' }, ['dml:0', 'cpu:0']],
    ['macOS on Apple silicon', { platform: 'darwin', arch: 'arm64' }, ['webgpu:0', 'cpu:0']],
    ['macOS on Intel', { platform: 'darwin' }, ['cpu:0']],
  ])("'auto' takes what is there: %s", (_, host, expected) => {
    expect(plan('auto', { host: { ...bare, ...host } })).toEqual([expected])
  })

  it("'auto' leaves dynamic int8 on the CPU", () => {
    const host = { ...bare, nvidia: true, vulkan: true }
    expect(plan('auto', { host, quantization: 'int8' })).toEqual([['cpu:0']])
    expect(plan('cuda', { host, quantization: 'int8' })).toEqual([['cuda:0', 'cpu:0']])
  })

  it("'auto' knows this machine", () => {
    expect(planDevices('auto', { quantization: 'fp32' })[0].at(-1)).toEqual({ kind: 'cpu', index: 0 })
  })
})

describe('the ladder of devices', () => {
  const ladder: DeviceLadder = [
    { kind: 'cuda', index: 1 },
    { kind: 'webgpu', index: 0 },
    { kind: 'cpu', index: 0 },
  ]
  const failing = (failures: Readonly<Record<string, Error>>) => {
    const tried: string[] = []
    const open = async (device: Device) => {
      const name = deviceName(device)
      tried.push(name)
      if (failures[name] !== undefined) throw failures[name]
      return `session on ${name}`
    }
    return { tried, open }
  }

  it('opens the first that works and tries no other', async () => {
    const { tried, open } = failing({})
    expect(await openOnFirst(ladder, open)).toEqual({ session: 'session on cuda:1', device: ladder[0], fallbacks: [] })
    expect(tried).toEqual(['cuda:1'])
  })

  it('goes down, and keeps why, with the words of the runtime or what to do', async () => {
    const inside =
      '/onnxruntime_src/onnxruntime/core/providers/webgpu/webgpu_context.cc:136 Init() a == b was false. No adapter\n'
    const { open } = failing({
      'cuda:1': new RagError('UNSUPPORTED', 'A library is missing.', { hint: 'Install it.' }),
      'webgpu:0': new RagError('UNSUPPORTED', 'It cannot be used.', { cause: new Error(inside) }),
    })
    expect(await openOnFirst(ladder, open)).toEqual({
      session: 'session on cpu:0',
      device: ladder[2],
      fallbacks: [
        { device: 'cuda:1', reason: 'A library is missing. Install it.' },
        { device: 'webgpu:0', reason: 'It cannot be used. No adapter' },
      ],
    })
  })

  it('goes down for want of memory, and fails with the last one', async () => {
    const memory = new RagError('LIMIT', 'no room', { data: { reason: 'memory' } })
    const { tried, open } = failing({ 'cuda:1': memory, 'webgpu:0': memory, 'cpu:0': new Error('the last') })
    await expect(openOnFirst(ladder, open)).rejects.toThrow('the last')
    expect(tried).toHaveLength(3)
  })

  it.each<RagErrorCode>(['INTEGRITY', 'NOT_FOUND', 'MISSING_PEER'])(
    'stops at %s: no other device mends it',
    async (code) => {
      const { tried, open } = failing({ 'cuda:1': new RagError(code, 'broken') })
      await expect(openOnFirst(ladder, open)).rejects.toMatchObject({ code })
      expect(tried).toEqual(['cuda:1'])
    },
  )
})
