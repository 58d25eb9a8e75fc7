import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { runCli } from '../../../src/cli/program.js'
import { RagError } from '../../../src/core/errors.js'
import { type BullmqQueueOptions, createInProcessQueue, type JobStatus } from '../../../src/queue/index.js'

const folder = mkdtempSync(join(tmpdir(), 'ufrag-cli-enqueue-'))
for (const name of ['a.txt', 'b.txt']) writeFileSync(join(folder, name), `The text of ${name}.`)
afterAll(() => rmSync(folder, { recursive: true }))

/** Runs a command on a queue whose worker fails at `b.txt`. */
async function run(line: string[], variables: Record<string, string> = { UFRAG_REDIS_URL: 'redis://there' }) {
  const queue = createInProcessQueue({ root: folder })
  const jobs: Pick<JobStatus, 'source' | 'namespace' | 'priority'>[] = []
  queue.process(
    async ({ id, source, namespace }) => {
      const status = await queue.job(id)
      jobs.push({ source, namespace, priority: status?.priority ?? 'normal' })
      if (source === 'b.txt') throw new RagError('CORRUPT', 'It is damaged.', { hint: 'Get another.' })
      return { documents: 1, unchanged: 0, chunks: 1 }
    },
    { concurrency: 1, target: 'here' },
  )
  let [out, err] = ['', '']
  let opened: BullmqQueueOptions | undefined
  const exitCode = await runCli(line, {
    variables: { UFRAG_ROOT: folder, ...variables },
    write: (text) => {
      out += text
    },
    complain: (text) => {
      err += text
    },
    terminal: false,
    signal: new AbortController().signal,
    open: () => Promise.reject(new Error('no documents are opened')),
    openQueue: async (options) => {
      opened = options
      return queue
    },
    pull: () => Promise.reject(new Error('nothing to pull')),
    distill: () => Promise.reject(new Error('nothing to distill')),
  })
  return { exitCode, out, err, opened, jobs }
}

describe('ufrag enqueue', () => {
  it('makes a job of each input and prints its id, without opening a storage', async () => {
    const { exitCode, out, opened } = await run(['enqueue', 'a.txt', '.', '--queue', 'files'])
    expect(exitCode).toBe(0)
    expect(opened).toMatchObject({ url: 'redis://there', name: 'files', root: folder })
    expect(out).toMatch(/^[0-9a-f]{32}\ta\.txt\n[0-9a-f]{32}(-2)?\t\.\n$/)
  })

  it('hands on namespace and priority, waits when it is asked to, and tells what failed', async () => {
    const line = ['enqueue', 'a.txt', 'b.txt', '--priority', 'high', '--wait', '--namespace', 'acme']
    const { exitCode, err, jobs } = await run(line)
    expect(exitCode).toBe(3)
    expect(jobs).toEqual(['a.txt', 'b.txt'].map((source) => ({ source, namespace: 'acme', priority: 'high' })))
    expect(err).toBe('b.txt: It is damaged.\n  Get another.\n')
  })

  it('enqueues the others when one is not there', async () => {
    const { exitCode, out, err } = await run(['enqueue', 'missing.txt', 'a.txt', '--json'])
    expect(exitCode).toBe(3)
    const [missing, found] = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(missing).toMatchObject({ source: 'missing.txt', error: { code: 'NOT_FOUND' } })
    expect(found).toMatchObject({ source: 'a.txt', id: expect.any(String) })
    expect(err).toBe('')
  })

  it('wants to know where its queue is, and priorities that there are', async () => {
    expect((await run(['enqueue', 'a.txt'], {})).exitCode).toBe(2)
    expect((await run(['enqueue', 'a.txt', '--priority', 'urgent'])).exitCode).toBe(2)
    expect((await run(['enqueue'])).exitCode).toBe(2)
  })
})
