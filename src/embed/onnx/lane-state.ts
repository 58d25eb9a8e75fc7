import type { Lane } from './lane.js'

/** Work that a lane was given. */
export interface Given {
  /** Padded tokens of a pass; 0 for what is not one. */
  readonly tokens: number
  readonly since: number
  /** It was not begun when the lane died. */
  innocent: boolean
}

/** Share of a pass that is left at least, however long it takes: it has not ended. */
const leftAtLeast = 0.05
/** Weight of the newest pass in what is known of a lane's speed. */
const newest = 0.3

/** A lane as its scheduler sees it: whether it is loaded, what it has to do, and how fast it is. */
export class LaneState {
  readonly lane: Lane
  /** `failed`: it could not be loaded, others could. */
  state: 'cold' | 'loading' | 'ready' | 'failed' = 'cold'
  /** While it is loaded. */
  loading: Promise<void> | undefined
  readonly #given: Given[] = []
  /** When it was last done with something. */
  #free = 0
  #speed: number | undefined

  constructor(lane: Lane) {
    this.lane = lane
  }

  /** Calls it was given and has not answered. */
  get calls(): number {
    return this.#given.length
  }

  /** Padded tokens per millisecond; unknown before its first pass. */
  get speed(): number | undefined {
    return this.#speed
  }

  /** Lets a lane that failed be tried again. */
  forgive(): void {
    if (this.state === 'failed') this.state = 'cold'
  }

  give(tokens: number, now: number): Given {
    const given = { tokens, since: now, innocent: false }
    this.#given.push(given)
    return given
  }

  /**
   * Call it when what was given is answered; `measured`: its pass ran to the end. Returns for how many milliseconds the lane was at it;
   * `undefined` when that cannot be told.
   */
  take(given: Given, { now, measured }: { readonly now: number; readonly measured: boolean }): number | undefined {
    const place = this.#given.indexOf(given)
    this.#given.splice(place, 1)
    // Whatever is answered before its turn was called off: the lane is still at what came before.
    if (place > 0) return undefined
    const ms = now - Math.max(given.since, this.#free)
    this.#free = now
    if (!measured || ms <= 0) return ms
    const speed = given.tokens / ms
    this.#speed = this.#speed === undefined ? speed : this.#speed + newest * (speed - this.#speed)
    return ms
  }

  /** The lane died: whether of this, and not of what it was given before. Call it before {@link take}. */
  blames(given: Given): boolean {
    if (given.innocent || this.#given[0] !== given) return false
    for (const other of this.#given) other.innocent = other !== given
    return true
  }

  /** Padded tokens it has still to compute, as far as its speed tells. */
  outstanding(now: number): number {
    const [running] = this.#given
    if (running === undefined) return 0
    const sum = this.#given.reduce((total, { tokens }) => total + tokens, 0)
    const done = (now - Math.max(running.since, this.#free)) * (this.#speed ?? 0)
    return sum - Math.min(done, running.tokens * (1 - leftAtLeast))
  }
}

/**
 * How many of the tokens that wait a lane should take now so that all lanes end together: more than there are for one pass while
 * there is plenty, less and less towards the end, none when another lane can sooner do everything than this one the `least` it
 * may take. An idle lane takes at least that.
 */
export function fairShare(
  own: LaneState,
  lanes: readonly LaneState[],
  { waiting, least, now }: { readonly waiting: number; readonly least: number; readonly now: number },
): number {
  const speedOf = createSpeeds(lanes)
  const speeds = lanes.reduce((sum, lane) => sum + speedOf(lane), 0)
  const work = lanes.reduce((sum, lane) => sum + lane.outstanding(now), waiting)
  const share = (work / speeds) * speedOf(own) - own.outstanding(now)
  if (own.calls > 0) return share
  const soonest = Math.min(
    ...lanes.filter((lane) => lane !== own).map((lane) => (waiting + lane.outstanding(now)) / speedOf(lane)),
  )
  return soonest < Math.min(waiting, least) / speedOf(own) ? 0 : Math.max(share, least)
}

/** Speeds of lanes; one that has not run yet is taken for as fast as the others. */
function createSpeeds(lanes: readonly LaneState[]): (lane: LaneState) => number {
  const known = lanes.flatMap(({ speed }) => speed ?? [])
  const mean = known.length === 0 ? 1 : known.reduce((sum, speed) => sum + speed, 0) / known.length
  return ({ speed }) => speed ?? mean
}
