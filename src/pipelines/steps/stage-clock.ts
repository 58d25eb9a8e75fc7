import type { Timings } from '../../core/answer.js'
import type { AnswerEvent, QueryStage } from '../../core/events.js'
import type { RetrieveTools } from '../retrieve.js'

type ClockTools = Pick<RetrieveTools, 'recorder' | 'now'>

/** Times the stages of one query, for the result and the recorder. */
export class StageClock {
  readonly #tools: ClockTools
  readonly #timings: Record<string, number> = {}
  readonly #began: number
  #stage: QueryStage | undefined
  #stageBegan = 0

  constructor(tools: ClockTools) {
    this.#tools = tools
    this.#began = tools.now()
  }

  /** Ends the stage before it. */
  begin(stage: QueryStage): AnswerEvent {
    this.#finish()
    this.#stage = stage
    this.#stageBegan = this.#tools.now()
    return { type: 'status', stage }
  }

  end(): Timings {
    this.#finish()
    const total = this.#tools.now() - this.#began
    this.#tools.recorder.stage('query.total', total)
    return { ...this.#timings, total }
  }

  #finish(): void {
    if (this.#stage === undefined) return
    const durationMs = this.#tools.now() - this.#stageBegan
    this.#timings[this.#stage] = durationMs
    this.#tools.recorder.stage(`query.${this.#stage}`, durationMs)
    this.#stage = undefined
  }
}
