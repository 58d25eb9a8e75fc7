import type { ResolvedConfig } from '../config/resolve.js'
import type { QueryOptions } from '../core/answer.js'
import { RagError } from '../core/errors.js'
import type { WaitOptions } from '../core/lifecycle.js'
import type { RetrieveOptions } from '../core/search.js'
import { buildPrompt } from '../llm/prompt.js'
import type { Prompt, PromptFunction, PromptParts } from '../llm/types.js'
import type { AnswerTools } from '../pipelines/answer.js'
import type { RetrieveTools } from '../pipelines/retrieve.js'
import { Budget, type BudgetOptions } from '../pipelines/steps/budget.js'
import { RecallMonitor, type VectorSearched } from '../pipelines/steps/recall-monitor.js'
import { StageEstimates } from '../pipelines/steps/stage-estimates.js'
import { createAnalyzers } from '../text/analyzers.js'
import { systemClock } from '../util/clock.js'
import { estimateTokens } from '../util/estimate-tokens.js'
import type { Parts } from './compose.js'
import type { NamespaceRuntime } from './namespace-runtime.js'

const { now } = systemClock

/** Runs a task in a namespace, which stays open meanwhile. */
export type CallNamespace = <Result>(
  name: string,
  options: WaitOptions,
  task: (runtime: NamespaceRuntime, signal: AbortSignal) => Promise<Result>,
) => Promise<Result>

export interface QueryToolsOptions {
  readonly config: ResolvedConfig
  readonly parts: Parts
  readonly call: CallNamespace
}

/** What the pipelines of questions work with: the parts, as the options and a call want them. */
export class QueryTools {
  readonly #config: ResolvedConfig
  readonly #parts: Parts
  readonly #call: CallNamespace
  readonly #recall: RecallMonitor | undefined
  /** Shared by all questions: they remember the stems of words, which are most of their work. */
  readonly #analyzerFor = createAnalyzers()
  /** Of all namespaces: what takes its time is the models. */
  readonly #estimates = new StageEstimates({ now })

  constructor({ config, parts, call }: QueryToolsOptions) {
    this.#config = config
    this.#parts = parts
    this.#call = call
    const rate = config.recallSampleRate
    const recall = rate > 0 ? new RecallMonitor({ rate }) : undefined
    if (recall !== undefined) parts.tracker.watch('recall', () => recall.gauges())
    this.#recall = recall
  }

  /** The budget of a call that begins now, where it has one. */
  budget({ budgetMs = this.#config.budgetMs }: RetrieveOptions, until: BudgetOptions['until']): Budget | undefined {
    if (budgetMs === undefined || budgetMs === false) return undefined
    const onDrop: BudgetOptions['onDrop'] = (stage) => this.#parts.tracker.count(`budget.dropped.${stage}`)
    return new Budget({ budgetMs, until, began: now(), estimates: this.#estimates, now, onDrop })
  }

  /** Without a budget: nothing is left out. */
  async forRetrieval(runtime: NamespaceRuntime, options: RetrieveOptions): Promise<RetrieveTools> {
    const { fuse, reranking, results, tracker, turns, understanding } = this.#parts
    const retrieval = await results.retrieval()
    const { name } = runtime.namespace
    return {
      namespace: runtime.namespace,
      useIndexes: (task) => runtime.useIndexes(task),
      adaptive: this.#config.fusion.kind === 'adaptive',
      addsScores: this.#config.fusion.kind !== 'rrf',
      freshen: () => runtime.freshen(),
      fuse: await fuse(),
      reranking: reranking(options.rerank),
      understanding: await understanding(options),
      documentWeight: this.#config.lexicalIndex.documentWeight,
      turn: () => turns.next(),
      estimates: this.#estimates,
      recorder: tracker,
      logger: this.#config.logger,
      watchRecall: this.#recall && ((searched) => this.#measureRecall(name, searched)),
      caching: retrieval && {
        ...retrieval,
        // A call of its own keeps the namespace open, and `close()` waits for it.
        alone: (task, signal) => this.#call(name, { signal }, (_runtime, own) => task(own)),
      },
      now,
    }
  }

  async forAnswers(runtime: NamespaceRuntime, options: QueryOptions): Promise<AnswerTools> {
    const { llm, results } = this.#parts
    const { recent, semantic } = results
    const answers = await results.answers()
    return {
      ...(await this.forRetrieval(runtime, options)),
      analyzerFor: this.#analyzerFor,
      countTokens,
      llm,
      buildPrompt: (parts) => buildAnswerPrompt(parts, this.#config.prompt),
      answers,
      recent,
      semantic,
    }
  }

  /** Begins when the question is out of the way, and nobody waits for it but `close()`. */
  #measureRecall(name: string, searched: VectorSearched): void {
    const monitor = this.#recall
    if (monitor?.samples(searched) !== true) return
    const measure = () =>
      this.#call(name, {}, (runtime, signal) =>
        runtime.useIndexes(({ vector }) => monitor.measure(searched, vector?.index, signal)),
      )
    setImmediate(() => {
      measure().catch(() => {
        // Closed meanwhile, or an index that could not be searched: whoever asks it next is told.
        monitor.giveUp()
        this.#parts.tracker.count('recall.failed')
      })
    })
  }
}

function countTokens(text: string): number {
  return estimateTokens(Buffer.byteLength(text))
}

function buildAnswerPrompt(given: PromptParts, build: PromptFunction = buildPrompt): Prompt {
  const parts = { ...given, order: 'edges' } as const
  const prompt: unknown = build(parts)
  if (typeof prompt === 'string') {
    return { ...buildPrompt(parts), system: '', text: prompt, messages: [{ role: 'user', content: prompt }] }
  }
  if (typeof (prompt as Partial<Prompt> | null)?.text === 'string') return prompt as Prompt
  throw new RagError('BAD_OPTION', 'prompt() returned neither a text nor a prompt.', {
    data: { option: 'prompt' },
    hint: 'Return a string, or what buildPrompt() returns.',
  })
}
