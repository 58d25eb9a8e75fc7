import { pairedBootstrap } from './bootstrap.js'
import { compareEvaluations, type Evaluation } from './evaluate.js'
import { pictureOf } from './picture.js'

/** A report of evaluations on one set, in three forms. */
export interface EvaluationReport {
  /** Rows of a table for the terminal, the heading first. */
  readonly rows: readonly (readonly string[])[]
  /** Markdown that shows `picture`. */
  readonly text: string
  /** Quality against latency, as SVG. */
  readonly picture: string
  /** All figures, those of each question included. */
  readonly data: object
}

/** Puts evaluations on one set side by side; the first one is what the others are compared with. */
export function reportOf(
  evaluations: readonly [Evaluation, ...Evaluation[]],
  { pictureFile }: { readonly pictureFile: string },
): EvaluationReport {
  const [baseline] = evaluations
  const systems = evaluations.map((evaluation) => ({
    ...evaluation,
    // The interval of a mean is that of its difference from nothing.
    interval: intervalOf(evaluation),
    ...(evaluation === baseline ? {} : { difference: compareEvaluations(baseline, evaluation) }),
  }))
  const { k, questions, set } = baseline
  const heading = ['system', `nDCG@${k}`, `recall@${k}`, `precision@${k}`, `MRR@${k}`, `MAP@${k}`]
  const rows = [
    [...heading, `nDCG against ${baseline.name}`, 'p50 ms', 'p95 ms'],
    ...systems.map(({ difference, latency, means, name }) => [
      name,
      ...[means.ndcg, means.recall, means.precision, means.reciprocalRank, means.averagePrecision].map(figure),
      difference === undefined
        ? ''
        : `${signed(difference.difference)} (${signed(difference.low)} to ${signed(difference.high)})`,
      milliseconds(latency.p50Ms),
      milliseconds(latency.p95Ms),
    ]),
  ]
  const picture = pictureOf(
    systems.map(({ interval, latency, means, name }) => ({
      name,
      x: latency.p50Ms,
      y: means.ndcg,
      low: interval.low,
      high: interval.high,
    })),
    { title: `${set}: ${questions.length} questions`, x: 'milliseconds per question (median)', y: `nDCG@${k}` },
  )
  const text = [
    `# ${set}`,
    `${questions.length} questions. Documents are ranked by their best passage; the first ${k} count.`,
    markdownTable(rows),
    `![nDCG against latency](${pictureFile})`,
    'Bars and the figures in brackets are 95% intervals of a paired bootstrap over the questions: a difference whose interval does not hold 0 is significant.',
  ].join('\n\n')
  return { rows, text: `${text}\n`, picture, data: { set, k, systems } }
}

function intervalOf({ values }: Evaluation): { readonly low: number; readonly high: number } {
  const { high, low } = pairedBootstrap(
    values.ndcg.map(() => 0),
    values.ndcg,
  )
  return { low, high }
}

function markdownTable([heading = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(heading), line(heading.map(() => '---')), ...rows.map(line)].join('\n')
}

function figure(value: number): string {
  return value.toFixed(4)
}

function signed(value: number): string {
  return `${value < 0 ? '-' : '+'}${Math.abs(value).toFixed(4)}`
}

function milliseconds(value: number): string {
  return value.toFixed(value < 10 ? 2 : 1)
}
