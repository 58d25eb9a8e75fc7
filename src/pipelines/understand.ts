import { RagError } from '../core/errors.js'
import type { Logger } from '../core/lifecycle.js'
import type { Question, RetrieveOptions } from '../core/search.js'
import type {
  SkippedStep,
  Turn,
  UnderstandingSteps,
  UnderstandStep,
  Understood,
  UnderstoodQuery,
} from '../core/understanding.js'
import type { Recorder } from '../performance/types.js'
import type { Analyzer } from '../text/analyzer.js'
import { detectLanguage } from '../text/detect-language.js'
import { topicWords } from '../text/stand-alone.js'
import { subQuestions } from '../text/sub-questions.js'
import { withDeadline } from '../util/abort.js'
import type { Breaker } from '../util/breaker.js'
import { sha256Hex } from '../util/hash.js'
import type { SingleFlight } from '../util/single-flight.js'
import {
  type AskTools,
  askingVersion,
  askModel,
  type ModelTask,
  type ModelTexts,
  shownTurns,
} from './steps/ask-model.js'
import type { BudgetTools } from './steps/budget.js'
import { textOf } from './steps/question-vector.js'
import type { ResultCache } from './steps/result-cache.js'
import type { Beside, SearchOptions } from './steps/widen.js'

/** How the question of one call is understood; `compose` provides it where there is anything to do. */
export interface Understanding extends UnderstandingSteps {
  /** Absent without a model; then no step asks for one. */
  readonly model: UnderstandingModel | undefined
  /** Gives the analyzer of a language. */
  readonly analyzerFor: (language: string) => Promise<Analyzer>
  /** Of documents that do not tell theirs. */
  readonly defaultLanguage: string
}

/** The model that is asked, and what is known of it. */
export interface UnderstandingModel extends AskTools {
  /** The model, and whatever shapes what it writes. */
  readonly fingerprint: string
  /**
   * Keeps questions from a model that does not answer. Limits of calls a minute, as enrichers have them, would hold a question back for
   * longer than its steps may take; there are never more calls than questions under way, times three.
   */
  readonly breaker: Breaker
  /** Absent: every question is asked about. */
  readonly cache:
    | { readonly results: ResultCache<readonly string[]>; readonly flights: SingleFlight<readonly string[]> }
    | undefined
}

/** What understanding needs of the tools of a search. */
interface UnderstandTools extends BudgetTools {
  readonly understanding?: Understanding | undefined
  /** What became of the question; there when it was understood. */
  readonly understood?: Understood
  readonly embedded?: () => Promise<Question>
  readonly recorder: Recorder
  readonly logger: Logger
}

/** A question as it is to be searched for and answered. */
interface AskedQuestion<Options, Tools> {
  readonly question: Question
  readonly options: Options & SearchOptions
  readonly tools: Tools
}

/** Characters of a question that models are asked about: a longer one is a document. */
const maxModelCharacters = 8_000

/**
 * Makes a question stand alone, tells its language, and finds what else to search for; what is searched, answered and looked up in caches
 * from here on is the question that stands alone. Steps that ask a model run side by side and end when their time, or that of the budget, is
 * over. Rejects with the caller's abort only.
 */
export async function understandQuestion<Options extends RetrieveOptions, Tools extends UnderstandTools>(
  question: Question,
  options: Options,
  tools: Tools,
): Promise<AskedQuestion<Options, Tools>> {
  const { understanding } = tools
  const text = textOf(question)
  if (understanding === undefined || text.trim() === '') return { question, options, tools }
  const room = tools.budget?.room('condense') ?? Number.POSITIVE_INFINITY
  const deadline = withDeadline({
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    deadlineMs: Math.min(understanding.timeoutMs, room),
  })
  try {
    const asker = new Asker(understanding, tools, {
      outer: options.signal,
      own: deadline.signal as AbortSignal,
      isOfBudget: room < understanding.timeoutMs,
    })
    const detected = detectLanguage(text)
    const analyzer = await questionAnalyzer(detected ?? languageOf(options.history), understanding)
    const standing = await condense(text, options.history ?? [], analyzer, understanding, asker)
    const queries = await findQueries(standing.text, analyzer, understanding, asker)
    options.signal?.throwIfAborted()
    const { added, condensed, words } = standing
    const language = understanding.language ? detected : undefined
    const understood: Understood = {
      question: standing.text,
      ...(condensed === undefined ? {} : { condensed }),
      queries,
      ...(language === undefined ? {} : { language }),
      skipped: asker.skipped,
    }
    const widened = {
      beside: queries.map(({ from, text }): Beside => ({ text, kind: from === 'hyde' ? 'passage' : 'query' })),
      ...(words === undefined ? {} : { words }),
      ...(added === undefined ? {} : { added }),
      ...(language === undefined ? {} : { language }),
    }
    const isWidened = queries.length > 0 || words !== undefined || language !== undefined
    return {
      question: standing.text === text ? question : standing.text,
      options: isWidened ? { ...options, widened } : options,
      tools: { ...(standing.text === text ? tools : withoutVector(tools)), understood },
    }
  } finally {
    deadline.dispose()
  }
}

/** What was embedded ahead of time is the question as it was asked. */
function withoutVector<Tools extends UnderstandTools>(tools: Tools): Tools {
  const { embedded: _embedded, ...others } = tools
  // Without an optional member it is as it was.
  return others as Tools
}

function languageOf(history: readonly Turn[] = []): string | undefined {
  const asked = history.findLast(({ role }) => role === 'user')
  return asked && detectLanguage(asked.content)
}

function questionAnalyzer(
  language: string | undefined,
  { analyzerFor, defaultLanguage }: Understanding,
): Promise<Analyzer> {
  return analyzerFor(language ?? defaultLanguage)
}

/** A question that stands alone. */
interface Standing {
  readonly text: string
  readonly condensed?: 'model' | 'terms'
  /** What its words are looked up by, where its own count for more than those that were added. */
  readonly words?: string
  /** Terms of the words that were added. */
  readonly added?: readonly string[]
}

async function condense(
  text: string,
  history: readonly Turn[],
  analyzer: Analyzer,
  { condense }: Understanding,
  asker: Asker,
): Promise<Standing> {
  if (condense === false || history.every(({ content }) => content.trim() === '')) return { text }
  if (condense === 'model') {
    const [written] = await asker.ask({ step: 'condense', question: text, history, variants: 1 })
    if (written !== undefined) return isSame(written, text) ? { text } : { text: written, condensed: 'model' }
  }
  const words = topicWords(text, history, analyzer)
  if (words.length === 0) return { text }
  const topic = words.join(' ')
  // Twice its own words: the question may turn to something new.
  const weighted = `${text} ${text} ${topic}`
  return { text: `${text} (${topic})`, condensed: 'terms', words: weighted, added: analyzer.terms(topic) }
}

/** What is searched beside the question, each text once. */
async function findQueries(
  question: string,
  analyzer: Analyzer,
  { decompose, hyde, multiQuery }: Understanding,
  asker: Asker,
): Promise<UnderstoodQuery[]> {
  const ask = async (step: UnderstoodQuery['from'], isWanted: boolean) =>
    isWanted ? asker.ask({ step, question, history: [], variants: multiQuery }) : []
  const [variants, passages, parts] = await Promise.all([
    ask('multiQuery', multiQuery > 0),
    ask('hyde', hyde),
    decompose === 'conjunctions' ? subQuestions(question, analyzer) : ask('decompose', decompose === 'model'),
  ])
  const known: string[] = [question]
  return [
    ...parts.map((text): UnderstoodQuery => ({ text, from: 'decompose' })),
    ...variants.map((text): UnderstoodQuery => ({ text, from: 'multiQuery' })),
    ...passages.map((text): UnderstoodQuery => ({ text, from: 'hyde' })),
  ].filter(({ text }) => {
    if (known.some((other) => isSame(other, text))) return false
    known.push(text)
    return true
  })
}

function isSame(a: string, b: string): boolean {
  return normal(a) === normal(b)
}

function normal(text: string): string {
  return text
    .toLowerCase()
    .replace(/[\s?!.\u2026]+/gu, ' ')
    .trim()
}

interface AskerSignals {
  /** The caller's. */
  readonly outer: AbortSignal | undefined
  /** Fires with the caller's, and when the time for understanding is over. */
  readonly own: AbortSignal
  /** Whether that time is what the budget leaves. */
  readonly isOfBudget: boolean
}

/** What {@link Asker} works with. */
type AskerTools = Pick<UnderstandTools, 'budget' | 'estimates' | 'recorder' | 'logger' | 'now'>

/** Asks the model about one question, and keeps count of what came to nothing. */
class Asker {
  readonly skipped: SkippedStep[] = []
  readonly #model: UnderstandingModel | undefined
  readonly #tools: AskerTools
  readonly #signals: AskerSignals

  constructor({ model }: Understanding, tools: AskerTools, signals: AskerSignals) {
    this.#model = model
    this.#tools = tools
    this.#signals = signals
  }

  /** The texts of a step; none where it is skipped. Rejects with the caller's abort only. */
  async ask(task: ModelTask): Promise<readonly string[]> {
    const model = this.#model
    if (model === undefined) return []
    const { step } = task
    if (task.question.length > maxModelCharacters) return this.#skip(step, 'too-long')
    const { now, recorder } = this.#tools
    const began = now()
    try {
      const texts = await this.#throughCache(task, model)
      recorder.stage(`understand.${step}`, now() - began)
      return texts.length > 0 ? texts : this.#skip(step, 'unusable')
    } catch (error) {
      const { isOfBudget, outer, own } = this.#signals
      outer?.throwIfAborted()
      if (error === resting) return this.#skip(step, 'resting')
      if (error === outOfTime) return this.#skip(step, 'budget')
      if (own.aborted) {
        this.#tools.estimates.note(measuredAs(step), now() - began)
        if (isOfBudget) this.#tools.budget?.drop(step)
        return this.#skip(step, isOfBudget ? 'budget' : 'timeout')
      }
      this.#tools.logger.warn('A model could not be asked about a question, which is asked as it stands.', {
        step,
        // Its message may quote the question.
        error: RagError.isInstance(error) ? error.code : nameOf(error),
      })
      return this.#skip(step, 'failed')
    }
  }

  #skip(step: UnderstandStep, reason: SkippedStep['reason']): [] {
    this.#tools.recorder.count(`understand.${reason}`)
    this.skipped.push({ step, reason })
    return []
  }

  async #throughCache(task: ModelTask, model: UnderstandingModel): Promise<readonly string[]> {
    const { own } = this.#signals
    const { cache } = model
    if (cache === undefined)
      return this.#inTime(task.step, async () => (await this.#throughBreaker(task, model, own)).texts)
    const key = keyOf(task, model)
    const kept = await cache.results.get(key)
    if (kept !== undefined) return kept.value
    const compute = async (stop: AbortSignal): Promise<readonly string[]> => {
      const began = this.#tools.now()
      const { isSubstitute, texts } = await this.#throughBreaker(task, model, stop)
      if (texts.length > 0 && !isSubstitute) cache.results.keep(key, texts, { costMs: this.#tools.now() - began })
      return texts
    }
    return this.#inTime(task.step, async () => (await cache.flights.run(key, compute, own)).value)
  }

  /** Asks only where there is time for it; what is kept needs none. */
  async #inTime(step: UnderstandStep, ask: () => Promise<readonly string[]>): Promise<readonly string[]> {
    const { budget, estimates, now } = this.#tools
    if (budget !== undefined && budget.admit(step, measuredAs(step)) === undefined) throw outOfTime
    const began = now()
    const texts = await ask()
    estimates.note(measuredAs(step), now() - began)
    return texts
  }

  async #throughBreaker(task: ModelTask, model: UnderstandingModel, signal: AbortSignal): Promise<ModelTexts> {
    const { breaker } = model
    if (!breaker.admit()) throw resting
    try {
      const written = await askModel(task, model, signal)
      breaker.succeeded()
      return written
    } catch (error) {
      const { isOfBudget, outer, own } = this.#signals
      // A caller who left, or had little time, says nothing of the model; one whose time was over does.
      if (outer?.aborted === true || (isOfBudget && own.aborted)) breaker.abandoned()
      else breaker.failed()
      throw error
    }
  }
}

/** Thrown where the breaker is open. */
const resting = new Error('The model is not asked for a while.')
/** Thrown where the budget leaves no time. */
const outOfTime = new Error('There is no time to ask the model.')

function measuredAs(step: UnderstandStep): string {
  return `understand.${step}`
}

/** Of all that a model is shown: what one conversation was told, another one is not. */
function keyOf({ history, question, step, variants }: ModelTask, { fingerprint }: UnderstandingModel): string {
  const turns = shownTurns(history).map(({ content, role }) => [role, content])
  return sha256Hex('understanding', fingerprint, JSON.stringify([askingVersion, step, variants, question, turns]))
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error
}

/** What somebody else wrote under the key of texts is none. */
export function decodeTexts(data: unknown): readonly string[] | undefined {
  return Array.isArray(data) && data.length > 0 && data.every((text) => typeof text === 'string') ? data : undefined
}

/** What is done to a question beside making it stand alone: two questions to which other things are done find different passages. */
export function wayOf({ decompose, hyde, language, model, multiQuery }: Understanding): string {
  if (decompose === false && !hyde && !language && multiQuery === 0) return ''
  return JSON.stringify([multiQuery, hyde, decompose, language, model?.fingerprint])
}
