import { describe, expect, it } from 'vitest'
import { EndableStream } from '../../../src/util/endable-stream.js'

/** A stream of numbers that waits for ever behind the given one, as a silent model does. */
function numbers(options: { readonly waitsAt?: number; readonly heedsSignal?: boolean } = {}) {
  const { waitsAt = Number.POSITIVE_INFINITY, heedsSignal = true } = options
  const controller = new AbortController()
  const log: string[] = []
  const stream = new EndableStream<number>(async function* (onRunning) {
    log.push('begun')
    onRunning({ signal: controller.signal, abandon: () => controller.abort('abandoned') })
    try {
      for (let number = 0; ; number++) {
        if (number === waitsAt) {
          await new Promise((_, reject) => {
            if (heedsSignal) controller.signal.addEventListener('abort', () => reject(controller.signal.reason))
          })
        }
        yield number
      }
    } finally {
      log.push('unwound')
    }
  })
  return { stream, log, controller }
}

const turn = () => new Promise(setImmediate)

describe('a stream that can be left', () => {
  it('gives what its source gives, and begins when it is first asked', async () => {
    const { stream, log } = numbers()
    expect(log).toEqual([])
    expect([await stream.next(), await stream.next()]).toEqual([
      { done: false, value: 0 },
      { done: false, value: 1 },
    ])
  })

  it('ends its work when it is left between two values', async () => {
    const { stream, log, controller } = numbers()
    for await (const number of stream) if (number === 2) break
    expect([log, controller.signal.reason]).toEqual([['begun', 'unwound'], 'abandoned'])
    expect(await stream.next()).toEqual({ done: true, value: undefined })
  })

  it('ends its work when it is left while somebody waits, and tells him that it is over', async () => {
    const { stream, log } = numbers({ waitsAt: 1 })
    await stream.next()
    const waiting = stream.next()
    await stream.return()
    expect(await waiting).toEqual({ done: true, value: undefined })
    expect(log).toEqual(['begun', 'unwound'])
  })

  it('does not begin when it is left before', async () => {
    const { stream, log } = numbers()
    await stream.return()
    expect(await stream.next()).toEqual({ done: true, value: undefined })
    expect(log).toEqual([])
  })

  it('is unwound by its signal although nobody asks, who learns the reason when he asks again', async () => {
    const { stream, log, controller } = numbers()
    await stream.next()
    controller.abort(new Error('too late'))
    await turn()
    expect(log).toEqual(['begun', 'unwound'])
    await expect(stream.next()).rejects.toThrow('too late')
    expect(await stream.next()).toEqual({ done: true, value: undefined })
  })

  it('rejects at once for who waits when its signal fires, even where the source does not heed it', async () => {
    const { stream, controller } = numbers({ waitsAt: 1, heedsSignal: false })
    await stream.next()
    const waiting = stream.next()
    controller.abort(new Error('too late'))
    await expect(waiting).rejects.toThrow('too late')
  })

  it('passes on what its source throws, and is over then', async () => {
    const stream = new EndableStream<number>(async function* () {
      yield 1
      throw new Error('broken')
    })
    await stream.next()
    await expect(stream.next()).rejects.toThrow('broken')
    expect(await stream.next()).toEqual({ done: true, value: undefined })
  })

  it('ends its work with `await using`', async () => {
    const { stream, log } = numbers()
    {
      await using open = stream
      await open.next()
    }
    expect(log).toEqual(['begun', 'unwound'])
  })
})
