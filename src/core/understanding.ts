/** What was said in a conversation, by one side. */
export interface Turn {
  readonly role: 'user' | 'assistant'
  readonly content: string
}

/**
 * What is done to a question before it is searched for, each step off unless it is asked for. Steps that need a language model take
 * the option `understandLlm`, else `llm`; without one (`extractive`) they are `BAD_OPTION`, but for `condense` and `decompose`, which then
 * go by rules. A model that fails or is slow never fails the question: the step is left out, and {@link Understood} says so.
 */
export interface UnderstandOptions {
  /** Other ways to ask the same, written by a model and searched beside the question: 1 to 8, `true` for 3. Default none. One call. */
  readonly multiQuery?: boolean | number
  /**
   * A passage that might answer the question, written by a model, is searched for by its vector, as a passage (HyDE: Gao et al. 2022); by
   * its words where there are no vectors. Default `false`. One call.
   */
  readonly hyde?: boolean
  /**
   * The questions that a question is made of are searched beside it, at most four. `true`: a model takes it apart, with one call; without
   * one, and always with `'conjunctions'`, it is cut where one question ends and the next begins. Default `false`.
   */
  readonly decompose?: boolean | 'conjunctions'
  /**
   * How a question with `history` is made to stand alone. `true`: a model writes it anew, with one call; without one, when it fails, and
   * always with `'terms'`, the words that earlier questions were about are added where the question points back. Default `true`; `history`
   * with `false` is `BAD_OPTION`, as it would not be read.
   */
  readonly condense?: boolean | 'terms'
  /**
   * Tells the language of the question by its script and its function words, and looks its words up in that language alone, where there are
   * documents of it. Default `false`: in all languages of the documents.
   */
  readonly language?: boolean
  /** Milliseconds the models may take for all of it, 1 to 600,000. Default 5,000. What is not there by then is left out. */
  readonly timeoutMs?: number
}

/** What {@link UnderstandOptions} can ask for. */
export type UnderstandStep = 'condense' | 'multiQuery' | 'hyde' | 'decompose'

/** What became of a question before it was searched for. Its texts stand in results only, never in logs or metrics. */
export interface Understood {
  /** What was searched for and answered: the question, or what was made of it and the conversation. */
  readonly question: string
  /** Who made the question stand alone. Absent: it is as it was asked. */
  readonly condensed?: 'model' | 'terms'
  /** What was searched beside it. */
  readonly queries: readonly UnderstoodQuery[]
  /** English name. Absent: it could not be told, or was not asked for. */
  readonly language?: string
  /** Steps that were asked for and came to nothing. */
  readonly skipped: readonly SkippedStep[]
}

/** A text that was searched beside the question, and the step it is from. */
export interface UnderstoodQuery {
  readonly text: string
  readonly from: Exclude<UnderstandStep, 'condense'>
}

export interface SkippedStep {
  readonly step: UnderstandStep
  /**
   * `failed`: the model threw. `timeout`: it took longer than `timeoutMs`. `resting`: it failed again and again, and is not asked for a
   * while. `unusable`: it wrote nothing that can be used. `too-long`: the question is longer than a model is asked about. `budget`: there
   * was no time for it within `budgetMs`.
   */
  readonly reason: 'failed' | 'timeout' | 'resting' | 'unusable' | 'too-long' | 'budget'
}

/** What is done to a question, complete: {@link UnderstandOptions} with their defaults. */
export interface UnderstandingSteps {
  /** 0: none. */
  readonly multiQuery: number
  readonly hyde: boolean
  readonly decompose: false | 'model' | 'conjunctions'
  /** Of a question with a history. */
  readonly condense: false | 'model' | 'terms'
  readonly language: boolean
  readonly timeoutMs: number
}
