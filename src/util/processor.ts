import { readFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { memoizeAsync } from './memoize-async.js'

/** What Linux tells of the processor; empty elsewhere, and in sandboxes that hide it. */
export const readCpuInfo = memoizeAsync(async () => {
  if (process.platform !== 'linux') return ''
  return readFile('/proc/cpuinfo', 'utf8').catch(() => '')
})

/** What this processor is and can do, as text: two that differ in it may want other machine code. */
export async function processorFeatures(): Promise<string> {
  const features = /^(?:flags|Features)\s*:.*$/m.exec(await readCpuInfo())?.[0] ?? ''
  return [process.arch, cpus()[0]?.model ?? '', features].join('\n')
}
