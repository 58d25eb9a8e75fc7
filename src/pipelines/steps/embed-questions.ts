import type { Question } from '../../core/search.js'
import type { Embedder } from '../../embed/types.js'
import type { Recorder } from '../../performance/types.js'

export interface QuestionTools {
  /** Absent: questions are searched by their words. */
  readonly embedder: Embedder | undefined
  readonly recorder: Recorder
  readonly now: () => number
}

/** Questions embedded in one call at most, where the embedder likes fewer at a time. */
const questionsPerCall = 64

/**
 * Embeds many questions together: a block at a time, when somebody first asks for one of it, and the next block ahead of time. The
 * function gives a question by its place, with its vector. What the embedder cannot represent stays a text, and everything where there is
 * no embedder, or one that is fitted to the documents: it takes microseconds, and may be replaced before the search.
 */
export function embedTogether(
  questions: readonly Question[],
  { embedder, now, recorder }: QuestionTools,
  signal: AbortSignal,
): (place: number) => Promise<Question> {
  if (embedder === undefined || embedder.capabilities.fitted) return async (place) => questions[place] as Question
  const { dimensions } = embedder
  const size = Math.max(questionsPerCall, embedder.capabilities.batchSize)
  const blocks = new Map<number, Promise<readonly Question[]>>()

  const embed = async (block: number): Promise<readonly Question[]> => {
    const some = questions.slice(block * size, (block + 1) * size)
    const texts = some.filter((question) => typeof question === 'string' && question.trim() !== '') as string[]
    if (texts.length === 0) return some
    const began = now()
    const { vectors, failed } = await embedder.embed(texts, { kind: 'query', signal })
    recorder.stage('query.embed', now() - began)
    const lost = new Set(failed.map(({ index }) => index))
    let row = -1
    return some.map((question) => {
      if (typeof question !== 'string' || question.trim() === '' || lost.has(++row)) return question
      return { text: question, vector: vectors.subarray(row * dimensions, (row + 1) * dimensions) }
    })
  }

  const blockOf = (block: number): Promise<readonly Question[]> => {
    const known = blocks.get(block)
    if (known !== undefined) return known
    const embedding = embed(block)
    // Whoever asks for a question of the block sees the error; nobody may come to ask.
    embedding.catch(() => {})
    blocks.set(block, embedding)
    return embedding
  }

  return async (place) => {
    const block = Math.floor(place / size)
    const embedding = blockOf(block)
    if ((block + 1) * size < questions.length) blockOf(block + 1)
    blocks.delete(block - 2)
    return (await embedding)[place - block * size] as Question
  }
}
