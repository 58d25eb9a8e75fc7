import { fork } from 'node:child_process'
import { bundleChild } from './bundle.js'
import { anonymousBytes } from './memory.js'

const sampleEveryMs = 10
/** A child that has answered but does not end has left something open. */
const graceMs = 5000

/** What travels to the child, and what comes back. */
export interface ChildTask {
  readonly argument: unknown
}
export type ChildReply = { readonly result: unknown } | { readonly failure: string }

/** See `BenchContext.child`. Rejects with the child's own stack when it throws, and when it dies without an answer. */
export async function runChild<Result>(
  module: string,
  argument: unknown,
): Promise<{ result: Result; peakAnonymousBytes: number }> {
  const child = fork(await bundleChild(module), [], {
    // JSON would make `null` of NaN, and zero of that where it is counted with.
    serialization: 'advanced',
    execArgv: ['--expose-gc'],
  })
  let peakAnonymousBytes = Number.NaN
  const sample = () => {
    const bytes = child.pid === undefined ? undefined : anonymousBytes(child.pid)
    if (bytes !== undefined && !(bytes <= peakAnonymousBytes)) peakAnonymousBytes = bytes
  }
  const sampler = setInterval(sample, sampleEveryMs)
  try {
    const reply = await new Promise<ChildReply>((resolve, reject) => {
      child.once('error', reject)
      child.once('exit', (code, signal) =>
        reject(new Error(`${module} ended without a result (${signal === null ? `exit code ${code}` : signal}).`)),
      )
      child.once('message', (message) => {
        sample()
        resolve(message as ChildReply)
      })
      child.send({ argument } satisfies ChildTask)
    })
    if ('failure' in reply) throw new Error(`${module} failed in its own process:\n${reply.failure}`)
    return { result: reply.result as Result, peakAnonymousBytes }
  } finally {
    clearInterval(sampler)
    await ended(child)
  }
}

async function ended(child: ReturnType<typeof fork>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const exit = new Promise((resolve) => child.once('exit', resolve))
  const timer = setTimeout(() => {
    console.error(`! bench child ${child.pid} had something open ${graceMs} ms after its result and was killed`)
    child.kill('SIGKILL')
  }, graceMs)
  await exit
  clearTimeout(timer)
}
