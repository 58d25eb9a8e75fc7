import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { runCli } from '../../../src/cli/program.js'
import { type BullmqQueueOptions, createInProcessQueue } from '../../../src/queue/index.js'
import { UltraFastRAG } from '../../../src/ultra-fast-rag.js'

const folder = mkdtempSync(join(tmpdir(), 'ufrag-cli-worker-'))
writeFileSync(join(folder, 'a.txt'), 'The ferry goes at nine.')
writeFileSync(join(folder, 'b.txt'), ' ')
afterAll(() => rmSync(folder, { recursive: true }))

async function run(line: string[], variables: Record<string, string> = {}) {
  const controller = new AbortController()
  const queue = createInProcessQueue({ root: folder })
  await queue.enqueue('a.txt')
  await queue.enqueue('b.txt')
  let [out, err] = ['', '']
  let opened: BullmqQueueOptions | undefined
  const done = runCli(['--storage', join(folder, 'store'), ...line], {
    variables: { UFRAG_ROOT: folder, ...variables },
    write: (text) => {
      out += text
    },
    complain: (text) => {
      err += text
    },
    terminal: false,
    signal: controller.signal,
    open: async (options) => new UltraFastRAG(options),
    openQueue: async (options) => {
      opened = options
      // What a shell does once the work is done.
      void queue.idle().then(() => controller.abort())
      return queue
    },
    pull: () => Promise.reject(new Error('nothing to pull')),
    distill: () => Promise.reject(new Error('nothing to distill')),
  })
  const exitCode = await done
  return { exitCode, out, err, opened }
}

describe('ufrag worker', () => {
  it('ingests what is enqueued until it is ended, and tells of each job', async () => {
    const { exitCode, out, err, opened } = await run(['worker', '--queue', 'files'], {
      UFRAG_REDIS_URL: 'redis://there',
    })
    expect(exitCode).toBe(0)
    expect(opened).toMatchObject({ url: 'redis://there', name: 'files', root: folder })
    expect(out).toBe('a.txt\t1\tstored\n')
    expect(err).toContain('b.txt: ')
    expect(err).toContain('Finishing what runs.')
  })

  it('prints one line of JSON a job', async () => {
    const { exitCode, out } = await run(['worker', '--json', '--redis', 'redis://there', '--concurrency', '1'])
    expect(exitCode).toBe(0)
    const lines = out.trim().split('\n')
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { source: 'a.txt', namespace: '', attempt: 1, result: { unchanged: 1 } },
      { source: 'b.txt', error: { code: 'EMPTY' } },
    ])
  })

  it('wants to know where its queue is, and whole numbers', async () => {
    const { exitCode, err, opened } = await run(['worker'])
    expect(exitCode).toBe(2)
    expect(err).toContain('UFRAG_REDIS_URL')
    expect(opened).toBeUndefined()
    for (const flags of [
      ['--concurrency', '0'],
      ['--wait', 'long'],
    ])
      expect((await run(['worker', '--redis', 'redis://there', ...flags])).exitCode).toBe(2)
  })
})
