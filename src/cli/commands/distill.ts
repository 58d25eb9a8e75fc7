import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { RagError } from '../../core/errors.js'
import type { DistillProgress } from '../../index.js'
import { isMissingFile } from '../../util/system-error.js'
import { type Command, exitCodes } from '../context.js'
import { type ProgressView, showProgress } from '../progress.js'

interface Flags {
  readonly model: string
  readonly out: string
  readonly dimensions?: string
  readonly vocabulary?: string
  readonly corpus?: string
  readonly tokenizer?: string
}

/** `ufrag distill --model MODEL --out FOLDER`: turns a model into a static one. */
export const distill: Command<Flags> = async (context, _, flags) => {
  const { modelsDir } = context.options()
  const vocabulary = flags.vocabulary === undefined ? undefined : await readWords(flags.vocabulary)
  const progress = await showProgress(context, view)
  try {
    // In full precision, whatever precision embedders are to have: it is done once.
    const teacher = { model: flags.model, ...(modelsDir !== undefined && { modelsDir }) }
    const report = await context.environment.distill(teacher, {
      out: flags.out,
      ...(flags.dimensions !== undefined && { dimensions: Number(flags.dimensions) }),
      ...(flags.tokenizer !== undefined && { tokenizer: flags.tokenizer }),
      ...(vocabulary !== undefined && { vocabulary }),
      ...(flags.corpus !== undefined && { corpus: readLines(flags.corpus) }),
      signal: context.environment.signal,
      onProgress: progress.update,
    })
    progress.stop()
    const { directory, tokens, dimensions, explainedVariance, addedWords, skippedWords, failed, durationMs } = report
    if (context.json) context.data(report)
    else {
      if (skippedWords.length > 0) context.note(`${skippedWords.length} words of the vocabulary are not single words.`)
      if (failed > 0) context.note(`${failed} tokens could not be embedded and count nothing.`)
      const kept = `${(explainedVariance * 100).toFixed(1)}% of the variance kept`
      const seconds = (durationMs / 1000).toFixed(1)
      context.line(`${tokens} tokens (${addedWords} added) x ${dimensions} in ${directory}; ${kept}, ${seconds} s`)
    }
    return exitCodes.ok
  } finally {
    progress.stop()
  }
}

/** One word a line. */
async function readWords(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw unreadable(path, error)
  })
  return text.split(/\r?\n/).filter((line) => line !== '')
}

/** One text a line, read as it is needed. */
async function* readLines(path: string): AsyncGenerator<string> {
  try {
    yield* createInterface({ input: createReadStream(path, 'utf8'), crlfDelay: Number.POSITIVE_INFINITY })
  } catch (error) {
    throw unreadable(path, error)
  }
}

function unreadable(path: string, cause: unknown): RagError {
  const missing = isMissingFile(cause)
  return new RagError(missing ? 'NOT_FOUND' : 'STORAGE', `The file "${path}" cannot be read.`, {
    cause,
    data: { path },
    hint: 'Check the path; the file holds one word, or one text, a line.',
  })
}

const view: ProgressView<DistillProgress> = {
  format: '{bar} {stage} {value}{of}',
  start: { value: 0, total: undefined, details: { stage: 'opening', of: '' } },
  bar: ({ stage, done, total }) => ({
    value: done,
    total,
    details: { stage, of: total === undefined ? '' : `/${total}` },
  }),
  line: ({ stage, done, total }) => `${stage}: ${done}${total === undefined ? '' : ` of ${total}`}`,
}
