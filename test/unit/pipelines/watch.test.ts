import { mkdirSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { RagError } from '../../../src/core/errors.js'
import type { IngestReport } from '../../../src/pipelines/ingest.js'
import type { ObserveFolderOptions } from '../../../src/pipelines/steps/observe-folder.js'
import { type FolderWatch, type WatchEvent, type WatchOptions, watchFolder } from '../../../src/pipelines/watch.js'
import { createFakeClock } from '../../lib/fake-clock.js'
import { ignore } from './support.js'

const folders: string[] = []
const watches: FolderWatch[] = []
afterEach(async () => {
  await Promise.all(watches.splice(0).map((watch) => watch.close()))
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

const nothing: IngestReport = {
  documents: 0,
  unchanged: 0,
  removed: 0,
  chunks: 0,
  failed: [],
  quarantined: [],
  unembedded: 0,
  embeddingFailures: [],
  durationMs: 0,
}

/** A watch over a real folder, with an observer and a clock that do as they are told, and an ingest that notes what it is asked. */
async function start(options: WatchOptions = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-watch-'))
  folders.push(folder)
  const clock = createFakeClock({ date: Date.now() })
  const calls: { readonly inputs: string[]; readonly gone: string[] | undefined; readonly sync: boolean }[] = []
  const observers: (ObserveFolderOptions & { closed: boolean })[] = []
  const events: WatchEvent[] = []
  const answers: (() => Promise<IngestReport>)[] = []
  const short = (path: string) => path.slice(folder.length + 1) || '.'
  const watch = await watchFolder(
    folder,
    { onEvent: (event) => void events.push(event), ...options },
    {
      ingest: async (inputs, { gone, signal, sync = false }) => {
        signal.throwIfAborted()
        calls.push({ inputs: inputs.map(short), gone: gone?.paths.map(short).sort(), sync })
        return (await answers.shift()?.()) ?? nothing
      },
      observe: async (observing) => {
        const observer = { ...observing, closed: false }
        observers.push(observer)
        return {
          close: async () => {
            observer.closed = true
          },
        }
      },
      ignores: () => false,
      clock,
      logger: { debug: ignore, info: ignore, warn: ignore, error: ignore },
    },
  )
  watches.push(watch)
  calls.length = 0
  const write = (name: string, agoMs = 60_000) => {
    const path = join(folder, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, `The text of ${name}.`)
    const time = new Date(clock.date() - agoMs)
    utimesSync(path, time, time)
  }
  const hear = (...names: string[]) => {
    for (const name of names) observers.at(-1)?.onChange(join(folder, name))
  }
  /** Lets time pass a little at a time, and the file system answer in between: it knows nothing of the clock. */
  const pass = async (milliseconds: number) => {
    const steps = Math.ceil(Math.min(40, milliseconds / 50))
    for (let step = 0; step < steps; step++) {
      await clock.pass(milliseconds / steps)
      for (let look = 0; look < 4; look++) await stat(tmpdir())
    }
  }
  return { watch, folder, clock, calls, observers, events, answers, write, hear, pass }
}

describe('a watch', () => {
  it('takes in what has settled as one batch, and looks for what is gone', async () => {
    const { calls, hear, write, pass } = await start()
    write('a.txt')
    hear('a.txt')
    await pass(200)
    write('b.txt')
    hear('b.txt', 'gone.txt')
    expect(calls).toEqual([])
    await pass(150)
    expect(calls).toEqual([{ inputs: ['a.txt'], gone: ['a.txt'], sync: false }])
    await pass(300)
    expect(calls.slice(1)).toEqual([{ inputs: ['b.txt'], gone: ['b.txt', 'gone.txt'], sync: false }])
    await pass(10_000)
    expect(calls).toHaveLength(2)
  })

  it('waits while a file is heard of, and while its time says that it is being written', async () => {
    const { calls, hear, write, pass } = await start()
    write('a.txt')
    for (let time = 0; time < 5; time++) {
      hear('a.txt')
      await pass(250)
    }
    expect(calls).toEqual([])
    await pass(100)
    expect(calls).toHaveLength(1)
    // Written just now, without anybody telling.
    hear('b.txt')
    await pass(250)
    write('b.txt', 10)
    await pass(100)
    expect(calls).toHaveLength(1)
    await pass(400)
    expect(calls[1]).toMatchObject({ inputs: ['b.txt'] })
  })

  it('takes a file of the future as it is, once it stays so', async () => {
    const { calls, hear, write, pass } = await start()
    write('a.txt', -3_600_000)
    hear('a.txt')
    await pass(350)
    expect(calls).toEqual([])
    await pass(350)
    expect(calls).toHaveLength(1)
  })

  it('hands over a folder once, without what lies in it', async () => {
    const { calls, hear, write, pass } = await start()
    write('deep/a.txt')
    write('deep/er/b.txt')
    write('deeper.txt')
    hear('deep/er/b.txt', 'deep', 'deep/a.txt', 'deep/er', 'deeper.txt')
    await pass(400)
    expect(calls).toMatchObject([{ inputs: ['deep', 'deeper.txt'] }])
  })

  it('looks at the whole folder every ten minutes, or as often as it is told, or never', async () => {
    const usual = await start()
    await usual.pass(1_250_000)
    expect(usual.calls).toEqual(Array(2).fill({ inputs: ['.'], gone: undefined, sync: true }))
    const often = await start({ rescanMs: 1_000 })
    await often.pass(5_500)
    expect(often.calls).toHaveLength(5)
    const never = await start({ rescanMs: 0 })
    await never.pass(10_000_000)
    expect(never.calls).toEqual([])
  })

  it('looks at the whole folder again after a failure, later each time, until it works', async () => {
    const { answers, calls, events, hear, write, pass } = await start({ rescanMs: 0 })
    const fail = async () => {
      throw new RagError('STORAGE_FULL', 'The disk is full.')
    }
    answers.push(fail, fail, fail)
    write('a.txt')
    hear('a.txt')
    await pass(2_200)
    expect(calls.map(({ sync }) => sync)).toEqual([false])
    await pass(200)
    expect(calls.map(({ sync }) => sync)).toEqual([false, true])
    await pass(4_200)
    expect(calls.map(({ sync }) => sync)).toEqual([false, true, true])
    await pass(8_200)
    expect(calls.map(({ sync }) => sync)).toEqual([false, true, true, true])
    await pass(1_000_000)
    expect(calls).toHaveLength(4)
    expect(events.map(({ type }) => type)).toEqual(['scanned', 'error', 'error', 'error', 'scanned'])
  })

  it('tries again what a service that was down has kept out, but not what is damaged', async () => {
    const { answers, calls, hear, write, pass } = await start({ rescanMs: 0 })
    const report = (error: RagError) => async () => ({ ...nothing, failed: [{ source: 'a.txt', error }] })
    answers.push(report(new RagError('CORRUPT', 'Damaged.')))
    write('a.txt')
    hear('a.txt')
    await pass(100_000)
    expect(calls).toHaveLength(1)
    answers.push(report(new RagError('PROVIDER', 'Down.', { retryable: true })))
    hear('a.txt')
    await pass(100_000)
    expect(calls.slice(1).map(({ sync }) => sync)).toEqual([false, true])
  })

  it('removes nothing while its folder is gone, and goes on with the folder that comes back', async () => {
    const { calls, events, folder, hear, observers, write, pass } = await start({ rescanMs: 0 })
    write('a.txt')
    renameSync(folder, `${folder}-moved`)
    folders.push(`${folder}-moved`)
    hear('a.txt')
    await pass(20_000)
    expect(calls).toEqual([])
    expect(events.at(-1)).toMatchObject({ type: 'error', error: { code: 'NOT_FOUND' } })
    mkdirSync(folder)
    await pass(40_000)
    expect(calls).toMatchObject([{ inputs: ['.'], sync: true }])
    expect(observers.map(({ closed }) => closed)).toEqual([true, false])
    write('b.txt')
    hear('b.txt')
    await pass(400)
    expect(calls[1]).toMatchObject({ inputs: ['b.txt'] })
  })

  it('tells once that something cannot be observed, and finds it by looking', async () => {
    const { calls, events, observers, pass } = await start()
    const error = Object.assign(new Error('System limit for number of file watchers reached'), { code: 'ENOSPC' })
    for (let time = 0; time < 1_000; time++) observers[0]?.onError(error)
    await pass(3_000)
    expect(events.slice(1)).toMatchObject([
      { type: 'error', error: { code: 'LIMIT', data: { code: 'ENOSPC' } } },
      { type: 'scanned' },
    ])
    expect(calls).toHaveLength(1)
  })

  it('survives an onEvent that throws, and ends with its signal, whatever it does', async () => {
    const controller = new AbortController()
    const onEvent = () => {
      throw new Error('mine')
    }
    const { answers, clock, hear, observers, watch, write, pass } = await start({ onEvent, signal: controller.signal })
    answers.push(
      () => new Promise((_, reject) => controller.signal.addEventListener('abort', () => reject(new Error('aborted')))),
    )
    write('a.txt')
    hear('a.txt')
    await pass(400)
    controller.abort()
    await watch.closed
    await watch.close()
    expect(observers[0]?.closed).toBe(true)
    expect(clock.sleeping).toBe(0)
  })

  it('does not begin where there is no folder', async () => {
    await expect(
      watchFolder(
        join(tmpdir(), 'ufrag-nothing-here'),
        {},
        {
          ingest: async () => nothing,
          observe: async () => ({ close: async () => {} }),
          ignores: () => false,
          clock: createFakeClock(),
          logger: { debug: ignore, info: ignore, warn: ignore, error: ignore },
        },
      ),
    ).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })
})
