import { readFileSync } from 'node:fs'

/** Two questions, and whether they have one answer. */
export interface QuestionPair {
  readonly questions: readonly [string, string]
  readonly same: boolean
  /** What tells them apart; `''` for those that have one answer. */
  readonly kind: string
  /** It was not looked at while the guards were written. */
  readonly heldBack: boolean
}

/** The pairs of `test/data/question-pairs.txt`. */
export function readQuestionPairs(): QuestionPair[] {
  const text = readFileSync(new URL('../../data/question-pairs.txt', import.meta.url), 'utf8')
  const seen = new Map<string, number>()
  return text
    .split('\n')
    .filter((line) => /^[=!]/.test(line))
    .map((line) => {
      const [label = '', one = '', other = ''] = line.split(' | ')
      const kind = label.slice(2)
      const place = (seen.get(kind) ?? 0) + 1
      seen.set(kind, place)
      return { questions: [one, other], same: label.startsWith('='), kind, heldBack: place % 2 === 0 }
    })
}
