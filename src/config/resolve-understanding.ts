import { RagError } from '../core/errors.js'
import type { Turn, UnderstandingSteps, UnderstandOptions } from '../core/understanding.js'
import { defaults } from './defaults.js'
import { type InstructedLlm, instructed, type LlmContext, toResolvedLlm } from './resolve-llm.js'
import type { GivenOptions } from './schema.js'

/** What is done to questions that say nothing of it, complete. */
export interface ResolvedUnderstanding extends UnderstandingSteps {
  /** The model that is asked; absent without one, as the extractive one follows no instructions. */
  readonly model: InstructedLlm | undefined
}

/** Throws `BAD_OPTION` where a step needs a model and there is none. */
export function resolveUnderstanding(
  { llm, understand = {}, understandLlm }: Pick<GivenOptions, 'llm' | 'understand' | 'understandLlm'>,
  context: LlmContext,
): ResolvedUnderstanding {
  const model = understandLlm === undefined ? instructed(llm) : toResolvedLlm(understandLlm, context)
  return { ...completeSteps(understand, model !== undefined), model }
}

/**
 * What is done to the question of one call, its own options over those of the constructor; `undefined` for nothing. Throws `BAD_OPTION` where a
 * step needs a model and there is none, and for a history that nobody would read.
 */
export function stepsOfCall(
  { model, ...usual }: ResolvedUnderstanding,
  { history = [], understand }: { readonly history?: readonly Turn[]; readonly understand?: false | UnderstandOptions },
): UnderstandingSteps | undefined {
  const chosen = understand === false ? nothing : { ...usual, ...given(understand, model !== undefined) }
  if (history.length > 0 && chosen.condense === false) throw unreadHistory()
  const steps = history.length === 0 ? { ...chosen, condense: false as const } : chosen
  const { condense, decompose, hyde, language, multiQuery } = steps
  return condense === false && decompose === false && !hyde && !language && multiQuery === 0 ? undefined : steps
}

const nothing: UnderstandingSteps = {
  multiQuery: 0,
  hyde: false,
  decompose: false,
  condense: false,
  language: false,
  timeoutMs: defaults.understandTimeoutMs,
}

function completeSteps(understand: UnderstandOptions, hasModel: boolean): UnderstandingSteps {
  return { ...nothing, condense: hasModel ? 'model' : 'terms', ...given(understand, hasModel) }
}

/** The steps that are named, in one form. */
function given(understand: UnderstandOptions = {}, hasModel: boolean): Partial<UnderstandingSteps> {
  const { condense, decompose, hyde, language, multiQuery, timeoutMs } = understand
  const withModel = hasModel ? ('model' as const) : undefined
  const variants = typeof multiQuery === 'boolean' ? (multiQuery ? defaults.multiQuery : 0) : multiQuery
  if (!hasModel && (variants ?? 0) > 0) throw needsModel('multiQuery')
  if (!hasModel && hyde === true) throw needsModel('hyde')
  return {
    ...(variants === undefined ? {} : { multiQuery: variants }),
    ...(hyde === undefined ? {} : { hyde }),
    ...(decompose === undefined ? {} : { decompose: decompose === true ? (withModel ?? 'conjunctions') : decompose }),
    ...(condense === undefined ? {} : { condense: condense === true ? (withModel ?? 'terms') : condense }),
    ...(language === undefined ? {} : { language }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  }
}

function needsModel(step: 'multiQuery' | 'hyde'): RagError {
  return new RagError(
    'BAD_OPTION',
    `understand.${step} needs a language model; the extractive one follows no instructions.`,
    {
      data: { option: `understand.${step}` },
      hint: 'Set the option "understandLlm" or "llm". Without a model there are "condense", "decompose" and "language".',
    },
  )
}

function unreadHistory(): RagError {
  return new RagError('BAD_OPTION', 'A history was given, but is not to be read.', {
    data: { option: 'history' },
    hint: 'Leave out understand.condense (and understand: false), or the history.',
  })
}
