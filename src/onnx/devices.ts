import { existsSync } from 'node:fs'
import { RagError } from '../core/errors.js'
import type { Quantization } from '../models/types.js'

/** What a model runs on. `deviceName()` gives it as people write it. */
export interface Device {
  readonly kind: DeviceKind
  /** Which one of several; 0 where the runtime offers no choice. */
  readonly index: number
}

/** Devices to try in turn. */
export type DeviceLadder = readonly [Device, ...Device[]]

type DeviceKind = 'cpu' | 'cuda' | 'webgpu' | 'coreml' | 'dml'

/** `true`: the runtime takes a number (`cuda:1`). */
const numbered: Readonly<Record<DeviceKind, boolean>> = {
  cpu: false,
  cuda: true,
  webgpu: false,
  coreml: false,
  dml: true,
}
const cpu: Device = { kind: 'cpu', index: 0 }
/** Above this a number is a slip: no machine has so many. */
const maxIndex = 63

/** `'cpu:0'`, `'cuda:1'`. */
export function deviceName({ kind, index }: Device): string {
  return `${kind}:${index}`
}

/** What {@link planDevices} must know beside the option. */
export interface DevicePlanOptions {
  /** Precision of the weights. */
  readonly quantization: Quantization
  /** For tests: another machine than this one. */
  readonly host?: DeviceHost
}

/** Facts about a machine. */
export interface DeviceHost {
  readonly platform: NodeJS.Platform
  readonly arch: string
  /** Whether the driver of an NVIDIA GPU is loaded. */
  readonly nvidia: boolean
  /** Whether there is the library through which WebGPU reaches a GPU on Linux. */
  readonly vulkan: boolean
}

/**
 * Reads the option `device`: for each worker that it asks for, the devices to try in turn, the CPU last.
 *
 * - `'cpu'`: `[[cpu]]`, a plan for as many workers as are wanted.
 * - `'cuda'`, `'cuda:1'`, `'webgpu'`, `'coreml'`, `'dml:1'`: that device, then the CPU.
 * - a list of such names: one worker each.
 * - `'auto'`: Linux on x64 with an NVIDIA driver: CUDA, then WebGPU where Vulkan is; Windows: DirectML; macOS on Apple silicon: WebGPU
 *   (CoreML compiles anew for every shape of batch). Dynamic int8 stays on the CPU: no accelerator has its operators, so every layer
 *   would travel back and forth. Without such a device nothing is tried and nothing said.
 *
 * Nothing is loaded: whether a device works shows when a session is opened. Throws `BAD_OPTION` for anything else.
 */
export function planDevices(
  option: unknown,
  { quantization, host = thisHost() }: DevicePlanOptions,
): readonly [DeviceLadder, ...DeviceLadder[]] {
  if (option === 'auto') {
    const [first, ...others] = quantization === 'int8' ? [] : accelerators(host)
    return [first === undefined ? [cpu] : [first, ...others, cpu]]
  }
  const [first, ...others] = Array.isArray(option) ? option : [option]
  if (first === undefined) throw badDevice(option, 'there is none in it')
  return [ladderOf(first), ...others.map(ladderOf)]
}

function ladderOf(name: unknown): DeviceLadder {
  const device = parseDevice(name)
  return device.kind === 'cpu' ? [cpu] : [device, cpu]
}

function accelerators({ platform, arch, nvidia, vulkan }: DeviceHost): Device[] {
  const kinds: DeviceKind[] = []
  if (platform === 'linux' && arch === 'x64' && nvidia) kinds.push('cuda', ...(vulkan ? ['webgpu' as const] : []))
  if (platform === 'win32') kinds.push('dml')
  if (platform === 'darwin' && arch === 'arm64') kinds.push('webgpu')
  return kinds.map((kind) => ({ kind, index: 0 }))
}

function thisHost(): DeviceHost {
  const { platform, arch } = process
  const isOneThere = (paths: readonly string[]) => platform === 'linux' && paths.some((path) => existsSync(path))
  return {
    platform,
    arch,
    // The driver's own files; on WSL it has none, but a device through which it reaches the host's.
    nvidia: isOneThere(['/proc/driver/nvidia/version', '/dev/dxg']),
    vulkan: isOneThere(libraryFolders.map((folder) => `${folder}/libvulkan.so.1`)),
  }
}

/** Where distributions put shared libraries. */
const libraryFolders = ['/usr/lib/x86_64-linux-gnu', '/lib/x86_64-linux-gnu', '/usr/lib64', '/lib64', '/usr/lib']

function parseDevice(name: unknown): Device {
  const [, kind, digits] = /^([a-z]+)(?::(\d{1,3}))?$/.exec(typeof name === 'string' ? name : '') ?? []
  if (kind === undefined || !isKind(kind)) throw badDevice(name, 'it is none that is known')
  const index = Number(digits ?? 0)
  if (index > 0 && !numbered[kind]) throw badDevice(name, `the runtime takes no number for ${kind}`)
  if (index > maxIndex) throw badDevice(name, `numbers go up to ${maxIndex}`)
  return { kind, index }
}

function isKind(name: string): name is DeviceKind {
  return Object.hasOwn(numbered, name)
}

function badDevice(device: unknown, why: string): RagError {
  return new RagError('BAD_OPTION', `The device ${JSON.stringify(device)} cannot be used: ${why}.`, {
    data: { device },
    hint: `Give 'auto', ${Object.keys(numbered)
      .map((kind) => `'${kind}'`)
      .join(', ')}, one with a number ('cuda:1'), or a list of them.`,
  })
}

/** A device that failed, and why. */
export interface DeviceFallback {
  readonly device: string
  readonly reason: string
}

/** What {@link openOnFirst} opened. */
export interface OpenedOn<Session> {
  readonly session: Session
  readonly device: Device
  readonly fallbacks: readonly DeviceFallback[]
}

/** Failures that no other device would mend. */
const final = ['INTEGRITY', 'NOT_FOUND', 'MISSING_PEER', 'BAD_OPTION'] as const

/**
 * Opens a session on the first device that takes it. What is wrong with the model or the installation is thrown at once; otherwise
 * the error is that of the last device.
 */
export async function openOnFirst<Session>(
  devices: DeviceLadder,
  open: (device: Device) => Promise<Session>,
): Promise<OpenedOn<Session>> {
  const fallbacks: DeviceFallback[] = []
  for (const [place, device] of devices.entries()) {
    try {
      return { session: await open(device), device, fallbacks }
    } catch (error) {
      if (place === devices.length - 1 || final.some((code) => RagError.isInstance(error, code))) throw error
      fallbacks.push({ device: deviceName(device), reason: reasonOf(error) })
    }
  }
  throw new Error('A ladder of devices has no rungs.')
}

/** With the runtime's own words, which say more than ours, or with what to do. */
function reasonOf(error: unknown): string {
  const { message, cause } = error instanceof Error ? error : new Error(String(error))
  if (!(cause instanceof Error)) return RagError.isInstance(error) && error.hint ? `${message} ${error.hint}` : message
  // What failed within the runtime begins with the place in its source code.
  return `${message} ${cause.message.trim().replace(/^\/onnxruntime_src\/.* was false\. /s, '')}`
}
