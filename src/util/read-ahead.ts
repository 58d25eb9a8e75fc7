/**
 * Reads an async iterable ahead of its consumer until the values waiting weigh `capacity`; order is kept. An error of the source is
 * thrown after the values before it. Ending the iteration ends the source.
 */
export async function* readAhead<Value>(
  source: AsyncIterable<Value>,
  options: { readonly capacity: number; readonly weigh: (value: Value) => number },
): AsyncGenerator<Value, void, undefined> {
  const waiting: { readonly value: Value; readonly weight: number }[] = []
  let weight = 0
  let state = 'reading' as 'reading' | 'ended' | 'abandoned'
  let failure: { readonly error: unknown } | undefined
  let wakeReader: (() => void) | undefined
  let wakeSource: (() => void) | undefined

  const isAbandoned = () => state === 'abandoned'

  const reading = (async () => {
    try {
      for await (const value of source) {
        const entry = { value, weight: options.weigh(value) }
        waiting.push(entry)
        weight += entry.weight
        wakeReader?.()
        while (weight >= options.capacity && state === 'reading') {
          await new Promise<void>((resolve) => {
            wakeSource = resolve
          })
        }
        if (isAbandoned()) return
      }
    } catch (error) {
      failure = { error }
    } finally {
      if (state === 'reading') state = 'ended'
      wakeReader?.()
    }
  })()

  try {
    for (;;) {
      const entry = waiting.shift()
      if (entry !== undefined) {
        weight -= entry.weight
        wakeSource?.()
        yield entry.value
      } else if (state !== 'reading') break
      else {
        await new Promise<void>((resolve) => {
          wakeReader = resolve
        })
        wakeReader = undefined
      }
    }
    if (failure !== undefined) throw failure.error
  } finally {
    state = 'abandoned'
    wakeSource?.()
    await reading
  }
}
