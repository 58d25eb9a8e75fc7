import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { RagError } from '../core/errors.js'

/** The lines of a UTF-8 file. Rejects with `NOT_FOUND` when there is none. */
export async function* readQuestionFile(path: string): AsyncGenerator<string, void, undefined> {
  const input = createReadStream(path, 'utf8')
  try {
    await new Promise((resolve, reject) => input.once('open', resolve).once('error', reject))
  } catch (cause) {
    throw new RagError('NOT_FOUND', `The file of questions "${path}" cannot be read.`, {
      data: { path },
      cause,
      hint: 'Give the path of a text file with one question a line, or a list of questions.',
    })
  }
  try {
    yield* createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })
  } finally {
    input.destroy()
  }
}
