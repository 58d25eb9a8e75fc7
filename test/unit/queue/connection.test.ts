import { afterEach, expect, it, vi } from 'vitest'
import { endSilence } from '../../../src/queue/bullmq/connection.js'

afterEach(() => void vi.useRealTimers())

it('clears the timers that clients leave behind, of either connection and of none', () => {
  vi.useFakeTimers()
  const withTimer = () => ({ _client: { socketTimeoutTimer: setTimeout(() => {}, 20_000) } })
  endSilence({ connection: withTimer(), blockingConnection: withTimer() })
  endSilence({ connection: withTimer() })
  endSilence({ connection: { _client: {} }, blockingConnection: undefined })
  endSilence({})
  expect(vi.getTimerCount()).toBe(0)
})
