import { rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import { RagError } from '../../core/errors.js'
import { WorkerPool } from '../../util/worker-pool.js'
import type { Embedder } from '../types.js'
import { countWords } from './count-words.js'
import { makeFolderBeside, publish, storing } from './folder.js'
import type { ReducedRows, ReduceRequest } from './reduce.js'
import { saveStaticModel } from './save.js'
import { type Lessons, teach } from './teach.js'
import { encodeEach, makeVocabulary, type Vocabulary, type Word } from './vocabulary.js'
import { frequencyWeights, shareOfAll, zipfProbabilities } from './weights.js'

/** Options of `distillStatic`. */
export interface DistillOptions {
  /** Folder of the new model. It must not exist; it appears when all is done, whole. */
  readonly out: string
  /**
   * Folder of a model with a WordPiece `tokenizer.json`, whose vocabulary is distilled: the teacher's own, or that of BERT in the
   * language of the texts. False: the vocabulary is made of `vocabulary` and `corpus` alone, cut as by uncased BERT. Default: that of
   * the teacher where it is given as a model, else false.
   */
  readonly tokenizer?: string | false
  /** Words that get a row of their own, besides those of the tokenizer. Several words in one cannot, and are reported. */
  readonly vocabulary?: readonly string[]
  /**
   * Texts the model is made for. Their words are counted: how often a token occurs decides how little it counts, and words that
   * occur `minCount` times get a row of their own. Read once. Absent: frequencies are guessed from the order of the vocabulary.
   */
  readonly corpus?: Iterable<string> | AsyncIterable<string>
  /** Occurrences in the corpus that a word needs for a row of its own. Default 5. */
  readonly minCount?: number
  /** Words of the corpus that get one, at most: the most frequent. Default 10,000; 0: none. */
  readonly maxWords?: number
  /** Values per vector. Default 256, or the teacher's when it has fewer. */
  readonly dimensions?: number
  /** How fast frequent tokens lose weight: a token of this share of all tokens counts half. Default 0.0001; 0: all count alike. */
  readonly sifCoefficient?: number
  /** Told of each text that was counted and each batch that was embedded. */
  readonly onProgress?: (progress: DistillProgress) => void
  /** Stops soon after it fires: the call rejects with `signal.reason`, and nothing is left. */
  readonly signal?: AbortSignal
}

/** How far a distillation is. */
export interface DistillProgress {
  readonly stage: 'counting' | 'teaching' | 'reducing' | 'saving'
  /** Texts counted, or texts embedded. */
  readonly done: number
  /** Absent where it is not known. */
  readonly total?: number
}

/** What a distillation made. */
export interface DistillReport {
  /** Absolute folder of the model: may be given as `model` of the static embedder. */
  readonly directory: string
  /** Rows of the model, special ones included. */
  readonly tokens: number
  /** Words with a row that the tokenizer had no token for. */
  readonly addedWords: number
  /** Words of `vocabulary` that cannot have one. */
  readonly skippedWords: readonly string[]
  /** Texts that the teacher could not embed: their tokens count nothing. */
  readonly failed: number
  readonly dimensions: number
  /** Share of the variance of the teacher's vectors that is left, 0 to 1. */
  readonly explainedVariance: number
  /** Milliseconds: the teacher's, of the reduction, and in all. */
  readonly teachingMs: number
  readonly reducingMs: number
  readonly durationMs: number
}

const usualDimensions = 256
/** As in model2vec. */
const usualSifCoefficient = 1e-4

/** Does what `distillStatic` promises, with a teacher that is open and stays so. */
export async function distill(teacher: Embedder, options: DistillOptions): Promise<DistillReport> {
  const began = performance.now()
  const settings = complete(teacher, options)
  const { out, corpus, signal, onProgress = () => {} } = settings
  signal?.throwIfAborted()
  const folder = await storing(out, () => makeFolderBeside(out))
  try {
    const onText = (done: number) => onProgress({ stage: 'counting', done })
    const counts = corpus && (await countWords(corpus, { signal, onText }))
    const words = wordsOf(settings, counts)
    const vocabulary = await storing(out, () =>
      makeVocabulary({ ...settings, words, maxCounted: settings.maxWords, folder }),
    )

    const teachingBegan = performance.now()
    const onTokens = (done: number, total: number) => onProgress({ stage: 'teaching', done, total })
    const lessons = await teach(teacher, vocabulary.texts, { signal, onTokens })
    if (lessons.taught.length === 0) throw taughtNothing(teacher, lessons)

    const reducingBegan = performance.now()
    onProgress({ stage: 'reducing', done: 0 })
    const weights = frequencyWeights(await probabilitiesOf(vocabulary, counts), settings.sifCoefficient)
    const { values, taught } = lessons
    const sizes = { dimensions: teacher.dimensions, components: settings.dimensions }
    const reduced = await reduceInThread({ values, taught, ...sizes, weights }, signal)
    const reducingMs = performance.now() - reducingBegan

    onProgress({ stage: 'saving', done: 0 })
    await storing(out, async () => {
      await saveStaticModel(folder, { ...settings, values: reduced.values, teacher: teacher.id }, signal)
      await publish(folder, out)
    })
    return {
      directory: out,
      tokens: vocabulary.texts.length,
      addedWords: vocabulary.added,
      skippedWords: vocabulary.skipped,
      failed: lessons.failed,
      dimensions: settings.dimensions,
      explainedVariance: reduced.explainedVariance,
      teachingMs: reducingBegan - teachingBegan,
      reducingMs,
      durationMs: performance.now() - began,
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** The options, checked and with defaults. */
type Settings = Omit<DistillOptions, 'tokenizer'> & {
  /** Folder of the tokenizer. */
  readonly base: string | undefined
} & Required<Pick<DistillOptions, 'vocabulary' | 'minCount' | 'maxWords' | 'dimensions' | 'sifCoefficient'>>

function complete(teacher: Embedder, options: DistillOptions): Settings {
  const {
    dimensions = Math.min(usualDimensions, teacher.dimensions),
    minCount = 5,
    maxWords = 10_000,
    sifCoefficient = usualSifCoefficient,
  } = options
  requireWhole('dimensions', dimensions, { least: 1, most: teacher.dimensions })
  requireWhole('minCount', minCount, { least: 1, most: Number.MAX_SAFE_INTEGER })
  requireWhole('maxWords', maxWords, { least: 0, most: 1_000_000 })
  if (!(sifCoefficient >= 0 && sifCoefficient < 1)) {
    throw new RagError('BAD_OPTION', 'sifCoefficient is a number from 0 to less than 1.', { data: { sifCoefficient } })
  }
  const { tokenizer = false, vocabulary = [], out, ...rest } = options
  if (tokenizer === false && options.vocabulary === undefined && options.corpus === undefined) {
    throw new RagError('BAD_OPTION', 'There is nothing to distill: neither a tokenizer nor words nor texts.', {
      hint: "Give the folder of the teacher's tokenizer.json as tokenizer, or words as vocabulary.",
    })
  }
  const base = tokenizer === false ? undefined : tokenizer
  return { ...rest, out: resolve(out), base, vocabulary, dimensions, minCount, maxWords, sifCoefficient }
}

function requireWhole(
  option: string,
  value: number,
  { least, most }: { readonly least: number; readonly most: number },
): void {
  if (Number.isInteger(value) && value >= least && value <= most) return
  throw new RagError('BAD_OPTION', `${option} is a whole number from ${least} to ${most}.`, {
    data: { [option]: value },
  })
}

/** Signs are counted, but get no token that the tokenizer has not. */
const letterOrDigit = /[\p{L}\p{N}]/u

/** Words that were asked for, then those that were counted. */
function wordsOf({ vocabulary }: Settings, counts: ReadonlyMap<string, number> | undefined): Word[] {
  const asked = vocabulary.map((text) => ({ text, count: Number.POSITIVE_INFINITY }))
  const counted = Array.from(counts ?? [], ([text, count]) => ({ text, count }))
  return [...asked, ...counted.filter(({ text }) => letterOrDigit.test(text))]
}

async function probabilitiesOf(
  { texts, tokenizer }: Vocabulary,
  counts: ReadonlyMap<string, number> | undefined,
): Promise<Float64Array> {
  if (counts === undefined) return zipfProbabilities(texts.length)
  const tokenCounts = new Float64Array(texts.length)
  const occurrences = [...counts.values()]
  await encodeEach(tokenizer, [...counts.keys()], (place, ids) => {
    for (const id of ids) tokenCounts[id] = (tokenCounts[id] as number) + (occurrences[place] as number)
  })
  // What was dropped says nothing of the tokens that are left.
  if (tokenizer.unknownId !== undefined) tokenCounts[tokenizer.unknownId] = 0
  return shareOfAll(tokenCounts)
}

async function reduceInThread(request: ReduceRequest, signal: AbortSignal | undefined): Promise<ReducedRows> {
  const pool = new WorkerPool({ worker: 'distill', size: 1 })
  try {
    return await pool.run<ReducedRows>({ type: 'reduce', payload: request }, { signal })
  } finally {
    await pool.close()
  }
}

function taughtNothing({ id }: Embedder, { failed, error }: Lessons): RagError {
  return new RagError('PROVIDER', `The embedder "${id}" has embedded nothing of the vocabulary.`, {
    data: { embedder: id, failed },
    hint:
      failed === 0
        ? 'Give words that are single words, or a tokenizer.'
        : 'See the cause: it is what became of the first text.',
    ...(error === undefined ? {} : { cause: error }),
  })
}
