import { RagError } from '../../core/errors.js'
import type { Logger } from '../../core/lifecycle.js'
import type { TokenizedTexts } from '../../models/types.js'
import type { Embeddings, EmbedOptions } from '../types.js'
import { Backlog } from './backlog.js'
import type { TokenBudgets } from './budgets.js'
import { Call } from './call.js'
import type { EmbeddingCounters, Pass } from './counters.js'
import type { Lane, LaneReport } from './lane.js'
import { fairShare, LaneState } from './lane-state.js'
import { LengthWindow } from './window.js'
import { type Done, paddedTokens, perform, split, type Text, type TokenSlice, type Work } from './work.js'

export interface SchedulerOptions {
  /** At least one. They stay the caller's to close. Each is loaded when there is work for it. */
  readonly lanes: readonly Lane[]
  /** Values per vector. */
  readonly dimensions: number
  readonly budgets: TokenBudgets
  /** Texts per pass at most. */
  readonly maxRows: number
  /** One text per pass: no vector depends on what else is embedded at the time. */
  readonly deterministic: boolean
  readonly counters: EmbeddingCounters
  readonly logger?: Logger | undefined
  /** Called whenever a lane has loaded. */
  readonly onLoad?: (report: LaneReport) => void
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number
}

/** Calls a lane is given at once: it works at one and finds the next when it is done. */
const callsPerLane = 2
/** Characters per call of a tokenizer: at most some milliseconds of work, some 16,000 tokens. */
const sliceCharacters = { least: 8_192, most: 65_536 }
/** Tokens that wait beside those in work, in full passes: enough to find texts of like length, little enough to hold. */
const windowPasses = 128
/** The least of a full pass that is split off so that lanes end together; smaller ones would cost more than they save. */
const smallestShare = 1 / 4
/** The least of a full pass that a busy lane is given ahead: what is smaller waits, and may yet be joined by others. */
const aheadShare = 1 / 2

/**
 * Embeds the texts of any number of calls on any number of lanes. A lane first turns a slice of texts into tokens. From the window of
 * all that are tokenized, of whatever call, passes are formed of texts of like length, as many as the device's budget of padded
 * tokens allows. Any lane runs them, and the vectors go to their place in the call they are of. An idle lane never waits while there
 * is something to do, and the token ids held are bounded: 128 full passes, and what the tokenizers are at.
 */
export class Scheduler {
  readonly #options: SchedulerOptions
  readonly #lanes: readonly LaneState[]
  readonly #now: () => number
  /** Calls without result, and which of their texts are in the window. */
  readonly #open = new Map<Call, Set<Text>>()
  readonly #backlog = new Backlog()
  readonly #window = new LengthWindow<Text>()
  readonly #jobs = new Set<Job>()
  /** Work that failed and has another chance. */
  readonly #again: Work[] = []
  #slices = 0
  #heldTokens = 0
  #tokensPerCharacter = 0.3
  #soon: NodeJS.Immediate | undefined
  #closed = false

  constructor(options: SchedulerOptions) {
    this.#options = options
    this.#lanes = options.lanes.map((lane) => new LaneState(lane))
    this.#now = options.now ?? (() => performance.now())
  }

  /** Texts that wait: they are in no pass yet. */
  get queued(): number {
    return [...this.#open.keys()].reduce((sum, call) => sum + call.left, 0) - this.#textsInPasses().length
  }

  /** Tokens of texts without result whose ids are held, those of the slices they are part of included. */
  get heldTokens(): number {
    return this.#heldTokens
  }

  /**
   * Rejects with `signal.reason`, with `CLOSED`, with `BAD_INPUT`, or, when no lane can be loaded, with its error (the next call tries
   * again). Whatever fails later fails single texts: work of a lane that died (`WORKER`) is tried once more; a pass that is too large
   * for the memory of its device (`LIMIT`, `data.reason` `'memory'`) is halved until it is not, and the device's budget with it; of
   * other work that fails each text is tried by itself.
   */
  async embed(texts: readonly string[], options: EmbedOptions): Promise<Embeddings> {
    options.signal?.throwIfAborted()
    if (this.#closed) throw closedError()
    checkTexts(texts)
    if (texts.length === 0) return { vectors: new Float32Array(0), failed: [], tokens: 0 }
    const { dimensions } = this.#options
    const call: Call = new Call(texts, options, { dimensions, onEnd: () => this.#forget(call) })
    if (this.#open.size === 0) for (const lane of this.#lanes) lane.forgive()
    this.#open.set(call, new Set())
    this.#backlog.add(call)
    // Calls that are made together share their passes.
    this.#soon ??= setImmediate(() => this.#assign())
    return call.result
  }

  /** Loads every lane that is not loaded. Rejects with why they cannot, when none can. */
  async load(): Promise<void> {
    if (this.#closed) throw closedError()
    for (const lane of this.#lanes) lane.forgive()
    const loads = await Promise.allSettled(this.#lanes.map((lane) => lane.state === 'ready' || this.#load(lane)))
    if (loads.some(({ status }) => status === 'fulfilled')) return
    throw loads.find((load) => load.status === 'rejected')?.reason
  }

  /** Fails every call with texts that are in no pass with `CLOSED`, and waits for the rest. Safe twice. */
  async close(): Promise<void> {
    this.#closed = true
    clearImmediate(this.#soon)
    const inPasses = new Map<Call, number>()
    for (const { call } of this.#textsInPasses()) inPasses.set(call, (inPasses.get(call) ?? 0) + 1)
    for (const call of [...this.#open.keys()]) if (inPasses.get(call) !== call.left) call.reject(closedError())
    await Promise.all([...this.#jobs].map(({ ended }) => ended))
  }

  /** Gives lanes work until none can take more. */
  #assign(): void {
    this.#soon = undefined
    if (this.#closed) return
    while (this.#assignOne());
    this.#wakeLanes()
  }

  #assignOne(): boolean {
    for (const lane of this.#lanesWithRoom()) {
      const work = this.#nextWork(lane)
      if (work === undefined) continue
      this.#begin(lane, work)
      return true
    }
    return false
  }

  /** Idle ones first; of those the fastest, and before them those whose speed is to be found out. */
  #lanesWithRoom(): LaneState[] {
    const speed = (lane: LaneState) => lane.speed ?? Number.MAX_VALUE
    return this.#lanes
      .filter(({ state, calls }) => state === 'ready' && calls < callsPerLane)
      .sort((a, b) => a.calls - b.calls || speed(b) - speed(a))
  }

  #nextWork(lane: LaneState): Work | undefined {
    return this.#takeAgain(lane) ?? (this.#isWindowLow() ? this.#cutSlice(lane) : this.#formPass(lane))
  }

  #takeAgain(lane: LaneState): Work | undefined {
    for (let work = this.#again.shift(); work !== undefined; work = this.#again.shift()) {
      const kept = { ...work, texts: this.#keepWanted(work.texts) }
      if (kept.texts.length === 0) continue
      // It may have been formed for a device that takes more, or before the budget was lowered.
      const fits = kept.phase !== 'run' || paddedTokens(kept.texts) <= this.#budget(lane)
      if (fits || kept.texts.length === 1) return kept
      this.#again.unshift(...split(kept, 'halves'))
    }
    return undefined
  }

  /** Whether there is something to tokenize, and little of it waits. */
  #isWindowLow(): boolean {
    if (this.#backlog.isEmpty) return false
    const full = Math.max(...this.#lanes.map((lane) => this.#budget(lane)))
    return this.#heldTokens + this.#tokensToCome() < windowPasses * full
  }

  #cutSlice(lane: LaneState): Work {
    const others = lane.calls > 0 || this.#window.size > 0 || [...this.#jobs].some(({ phase }) => phase === 'tokenize')
    // The only text there is goes to the lane in one message, not in two.
    const phase = this.#backlog.isLoneText && !others ? 'embed' : 'tokenize'
    const even = Math.ceil(this.#backlog.characters / this.#readyLanes().length)
    const characters = Math.min(Math.max(even, sliceCharacters.least), sliceCharacters.most)
    return { phase, texts: this.#backlog.cut(characters), age: this.#slices++, crashes: 0 }
  }

  #formPass(lane: LaneState): Work | undefined {
    if (this.#window.size === 0) return undefined
    const { budgets, deterministic, maxRows } = this.#options
    const full = this.#budget(lane)
    const share = fairShare(lane, this.#readyLanes(), {
      waiting: this.#waitingTokens(),
      least: full * smallestShare,
      now: this.#now(),
    })
    if (lane.calls > 0 ? share < full * aheadShare : share === 0) return undefined
    const texts = this.#window.take({
      maxTokens: Math.min(full, share),
      maxRows: deterministic ? 1 : maxRows,
      passTokens: budgets.passTokens(lane.lane.device),
    })
    for (const text of texts) this.#open.get(text.call)?.delete(text)
    return { phase: 'run', texts, age: 0, crashes: 0 }
  }

  #begin(lane: LaneState, work: Work): void {
    const { dimensions, counters } = this.#options
    const controller = new AbortController()
    const expected = work.phase === 'run' ? paddedTokens(work.texts) : this.#estimate(charactersOf(work.texts))
    const given = lane.give(work.phase === 'tokenize' ? 0 : expected, this.#now())
    if (work.phase !== 'tokenize') counters.begin()
    const finish = (done?: Done) => {
      const durationMs = lane.take(given, { now: this.#now(), measured: done?.phase === 'run' })
      this.#jobs.delete(job)
      if (work.phase !== 'tokenize') counters.end()
      return durationMs
    }
    const ended = perform(work, lane.lane, { dimensions, signal: controller.signal }).then(
      (done) => {
        const durationMs = finish(done)
        if (done.phase === 'tokenize') this.#acceptTokens(work, done.tokenized)
        else this.#acceptVectors(work.texts, done, { device: lane.lane.device, durationMs })
      },
      (error) => {
        const isDeadly = RagError.isInstance(error, 'WORKER') && lane.blames(given)
        finish()
        this.#recover(isDeadly ? { ...work, crashes: work.crashes + 1 } : work, error, lane)
      },
    )
    const job: Job = { ...work, expected, controller, ended: ended.then(() => this.#assign()) }
    this.#jobs.add(job)
  }

  #acceptTokens({ texts, age }: Work, { ids, offsets }: TokenizedTexts): void {
    const slice: TokenSlice = { ids, texts: 0 }
    const tokenized: Text[] = []
    for (const [place, text] of texts.entries()) {
      if (text.call.settled) continue
      text.start = offsets[place] as number
      text.length = (offsets[place + 1] as number) - text.start
      // A model may know no token for it, nor for "nothing".
      if (text.length === 0) this.#fail(text, new RagError('EMPTY', 'The text has no tokens to embed.'))
      else {
        text.slice = slice
        slice.texts++
        tokenized.push(text)
        this.#open.get(text.call)?.add(text)
      }
    }
    if (slice.texts > 0) this.#heldTokens += ids.length
    this.#window.add(age, tokenized)
    const characters = charactersOf(texts)
    if (characters >= sliceCharacters.least) this.#tokensPerCharacter = ids.length / characters
  }

  #acceptVectors(
    texts: readonly Text[],
    done: Exclude<Done, { phase: 'tokenize' }>,
    pass: Pick<Pass, 'device' | 'durationMs'>,
  ): void {
    const { dimensions, counters } = this.#options
    const unusable = new Set(done.unusable)
    for (const [row, text] of texts.entries()) {
      if (unusable.has(row)) this.#fail(text, unusableError())
      else {
        const tokens = done.phase === 'run' ? text.length : done.tokens
        text.call.succeed(text.index, done.vectors.subarray(row * dimensions, (row + 1) * dimensions), tokens)
      }
      this.#release(text)
    }
    const paddedOf = done.phase === 'run' ? paddedTokens(texts) : done.tokens
    counters.count({ ...pass, texts: texts.length - unusable.size, tokens: done.tokens, paddedTokens: paddedOf })
  }

  /** What failed is tried again, in a way that may succeed, or fails its texts. */
  #recover(work: Work, error: unknown, lane: LaneState): void {
    const kept = { ...work, texts: this.#keepWanted(work.texts) }
    if (kept.texts.length === 0) return
    const died = RagError.isInstance(error, 'WORKER')
    const outOfMemory = RagError.isInstance(error, 'LIMIT') && error.data.reason === 'memory'
    if (died) lane.state = 'cold'
    if (outOfMemory && work.phase === 'run') this.#lowerBudget(lane, paddedTokens(work.texts))
    // One text that is left of several that failed together has not failed by itself.
    if (!this.#closed && (died ? work.crashes < 2 : work.texts.length > 1)) {
      this.#options.counters.add('retries')
      if (died) this.#again.push(kept)
      else this.#again.push(...split(kept, outOfMemory ? 'halves' : 'single'))
      return
    }
    for (const text of kept.texts) {
      this.#fail(text, error)
      this.#release(text)
    }
  }

  #lowerBudget(lane: LaneState, refused: number): void {
    const { budgets, logger } = this.#options
    const { device } = lane.lane
    budgets.lower(device, refused)
    logger?.warn('A device had no memory for a pass of the model: it gets smaller ones.', {
      device,
      refusedTokens: refused,
      maxBatchTokens: budgets.of(device),
    })
  }

  #fail(text: Text, error: unknown): void {
    if (!text.call.settled) this.#options.counters.add('failed')
    text.call.fail(text.index, error)
  }

  /** A call has its result, or nobody waits for it. */
  #forget(call: Call): void {
    const waiting = this.#open.get(call)
    if (waiting === undefined) return
    this.#open.delete(call)
    this.#backlog.delete(call)
    for (const text of waiting) {
      this.#window.delete(text)
      this.#release(text)
    }
    for (const { texts, controller } of this.#jobs) if (!texts.some(isWanted)) controller.abort()
  }

  #keepWanted(texts: readonly Text[]): Text[] {
    return texts.filter((text) => {
      if (!text.call.settled) return true
      this.#release(text)
      return false
    })
  }

  /** Lets go of a text's token ids. */
  #release(text: Text): void {
    const { slice } = text
    if (slice === undefined) return
    text.slice = undefined
    slice.texts--
    if (slice.texts === 0) this.#heldTokens -= slice.ids.length
  }

  #textsInPasses(): Text[] {
    const passes = [...this.#jobs].filter(({ phase }) => phase !== 'tokenize')
    return passes.flatMap(({ texts }) => texts.filter(isWanted))
  }

  /** Loads further lanes when there is more to do than half a pass for each that is loaded: they would not be idle. */
  #wakeLanes(): void {
    const now = this.#now()
    const work = this.#lanes.reduce((sum, lane) => sum + lane.outstanding(now), this.#waitingTokens())
    let awake = this.#lanes.filter(({ state }) => state === 'ready' || state === 'loading').length
    for (const lane of this.#lanes) {
      if (lane.state !== 'cold') continue
      const isNeeded = awake === 0 ? this.#open.size > 0 : work > awake * this.#budget(lane) * aheadShare
      if (!isNeeded) return
      awake++
      this.#load(lane).catch(() => {
        // Whoever waits is told by it.
      })
    }
  }

  #load(lane: LaneState): Promise<void> {
    const load = async () => {
      lane.state = 'loading'
      try {
        const report = await lane.lane.load()
        lane.state = 'ready'
        this.#options.onLoad?.(report)
      } catch (error) {
        lane.state = 'failed'
        this.#giveUp(lane, error)
        throw error
      } finally {
        lane.loading = undefined
        this.#assign()
      }
    }
    lane.loading ??= load()
    return lane.loading
  }

  /** Goes on with the other lanes if there are any that work, or may. */
  #giveUp({ lane: { device } }: LaneState, error: unknown): void {
    if (this.#lanes.some(({ state }) => state !== 'failed')) {
      const reason = error instanceof Error ? error.message : String(error)
      this.#options.logger?.warn('A lane could not be loaded: the others do its work.', { device, reason })
      return
    }
    for (const lane of this.#lanes) lane.forgive()
    for (const call of [...this.#open.keys()]) call.reject(error)
  }

  #readyLanes(): LaneState[] {
    return this.#lanes.filter(({ state }) => state === 'ready')
  }

  #budget({ lane }: LaneState): number {
    return this.#options.budgets.of(lane.device)
  }

  /** Of texts that wait for a pass, tokenized or not. */
  #waitingTokens(): number {
    return this.#window.tokens + this.#tokensToCome() + this.#estimate(this.#backlog.characters)
  }

  /** Of texts that are with a tokenizer. */
  #tokensToCome(): number {
    let tokens = 0
    for (const { phase, expected } of this.#jobs) if (phase === 'tokenize') tokens += expected
    return tokens
  }

  #estimate(characters: number): number {
    return characters * this.#tokensPerCharacter
  }
}

/** Work that a lane is at. */
interface Job extends Work {
  /** Tokens it is or will be. */
  readonly expected: number
  readonly controller: AbortController
  readonly ended: Promise<void>
}

function isWanted({ call }: Text): boolean {
  return !call.settled
}

function charactersOf(texts: readonly Text[]): number {
  return texts.reduce((sum, { content }) => sum + content.length, 0)
}

function checkTexts(texts: readonly unknown[]): void {
  const index = texts.findIndex((text) => typeof text !== 'string')
  if (index < 0) return
  throw new RagError('BAD_INPUT', `The text at place ${index} is not a string.`, {
    data: { index, type: typeof texts[index] },
  })
}

function closedError(): RagError {
  return new RagError('CLOSED', 'The embedder was closed.', { hint: 'Create another one.' })
}

function unusableError(): RagError {
  return new RagError(
    'PROVIDER',
    'The model gave no usable vector for the text: zeros, or values that are not numbers.',
  )
}
