import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { randomNumbers } from '../../src/testing/support.js'

const child = fileURLToPath(new URL('../campaigns/enrich.child.ts', import.meta.url))
const passages = 300
const kills = 20

it('pays for nothing twice in twenty kills, but for the calls that were under way', async () => {
  const storage = mkdtempSync(join(tmpdir(), 'ufrag-enrich-kill-'))
  const random = randomNumbers(17)
  const asked = new Map<string, number>()
  let onAnswer = () => {}
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const part of request) text += part
    asked.set(text, (asked.get(text) ?? 0) + 1)
    await new Promise((resolve) => setTimeout(resolve, 2))
    response.end('pharology', () => onAnswer())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const run = (killAfter: number) =>
    new Promise<string>((resolve, reject) => {
      const task = JSON.stringify({ storage, url, passages })
      const process = spawn('node', ['--import', 'tsx', child, task], { stdio: ['ignore', 'pipe', 'inherit'] })
      let output = ''
      process.stdout.on('data', (part) => {
        output += part
      })
      let answers = 0
      onAnswer = () => {
        if (++answers === killAfter) process.kill('SIGKILL')
      }
      process.once('error', reject)
      process.once('exit', () => resolve(output))
    })
  try {
    let killed = 0
    for (; killed < kills; killed++) if ((await run(5 + Math.floor(random() * 8))) !== '') break
    const report = JSON.parse(await run(Number.POSITIVE_INFINITY))
    expect(report).toMatchObject({ unenriched: 0 })
    expect(killed).toBe(kills)
    expect(asked.size).toBe(passages)
    const paid = [...asked.values()].reduce((sum, times) => sum + times, 0)
    console.log({ passages, paid, killed })
    // Five at once; an answer that was sent and not yet kept is one of them.
    expect(paid).toBeLessThanOrEqual(passages + kills * 10)
  } finally {
    server.close()
    rmSync(storage, { recursive: true, force: true })
  }
})
