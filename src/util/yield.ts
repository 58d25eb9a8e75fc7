/** Shares the event loop among callers that compute. */
export interface Turns {
  /**
   * Resolves when the caller may compute: at once when nobody else is at it and the budget of this event loop turn is not spent,
   * otherwise in the order of the calls, as budgets allow. Call it before each stretch of a millisecond or so. A caller that loses
   * interest simply does nothing with its turn, so `abortable(turns.next(), signal)` is safe.
   */
  next(): Promise<void>
}

export interface TurnsOptions {
  /** Milliseconds of computing per turn of the event loop, then timers and I/O have theirs. Default 4; 0 is one caller per turn. */
  readonly budgetMs?: number
  /** Milliseconds of a clock that never goes back. Default `performance.now`. */
  readonly now?: () => number
}

/**
 * Makes {@link Turns}. Only one caller has a turn at a time and the next one is let in when it has reached its next `await` on
 * something else, so ten thousand callers that arrive together take budget after budget, not one long stretch. A turn of the loop
 * always lets at least one caller in, however small the budget.
 */
export function createTurns({ budgetMs = 4, now = () => performance.now() }: TurnsOptions = {}): Turns {
  const waiting = createQueue<() => void>()
  let budgetEnds: number | undefined
  let taken = false

  function grant(resolve: () => void): void {
    taken = true
    resolve()
    // A tick that is asked for in a microtask comes after all microtasks: after whatever the caller does with its turn.
    queueMicrotask(() => process.nextTick(handOver))
  }

  function handOver(): void {
    taken = false
    if (budgetEnds === undefined || now() >= budgetEnds) return
    const resolve = waiting.shift()
    if (resolve !== undefined) grant(resolve)
  }

  function beginLoopTurn(): void {
    budgetEnds = now() + budgetMs
    setImmediate(endLoopTurn)
  }

  function endLoopTurn(): void {
    budgetEnds = undefined
    const resolve = waiting.shift()
    if (resolve === undefined) return
    beginLoopTurn()
    grant(resolve)
  }

  return {
    next: () =>
      new Promise((resolve) => {
        const isFirst = budgetEnds === undefined
        if (isFirst) beginLoopTurn()
        if (!taken && waiting.isEmpty() && (isFirst || now() < (budgetEnds as number))) grant(resolve)
        else waiting.push(resolve)
      }),
  }
}

/** Milliseconds of work between two turns. */
const stretchMs = 1

/**
 * Cuts one caller's work into stretches that take turns with everybody else's: call the function often, it returns at once unless the
 * stretch is used up. `check` is asked before and after each wait; it throws when the work is no longer wanted.
 */
export function createPause(turns: Turns, check: () => void = () => {}): () => Promise<void> | undefined {
  let began = Number.NEGATIVE_INFINITY
  const next = async (): Promise<void> => {
    check()
    await turns.next()
    check()
    began = performance.now()
  }
  return () => (performance.now() - began < stretchMs ? undefined : next())
}

/** First in, first out, in constant time: `Array.shift()` moves every element, which ten thousand waiting callers would feel. */
function createQueue<Value>() {
  let front: Value[] = []
  let back: Value[] = []
  let head = 0
  return {
    isEmpty: () => head === front.length && back.length === 0,
    push: (value: Value): void => {
      back.push(value)
    },
    shift: (): Value | undefined => {
      if (head === front.length) {
        front = back
        back = []
        head = 0
      }
      return head < front.length ? front[head++] : undefined
    },
  }
}
