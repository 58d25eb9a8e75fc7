import { RagError } from '../core/errors.js'
import { randomNumbers } from '../util/random.js'
import { mean } from './metrics.js'

export interface BootstrapOptions {
  /** Resamples, 100 to 1,000,000. Default 10,000. */
  readonly samples?: number
  /** Confidence of the interval, above 0 and below 1. Default 0.95. */
  readonly confidence?: number
  /** The same seed gives the same result. Default 1. */
  readonly seed?: number
}

/** What is known of a difference between two systems. */
export interface PairedDifference {
  /** Mean of candidate less baseline. */
  readonly difference: number
  /** The interval of that mean. It does not hold 0: the difference is significant. */
  readonly low: number
  readonly high: number
  /** Two-sided: the chance of a difference as large if the two were equal; never below 1 / (samples + 1). */
  readonly pValue: number
}

const limits = { samples: [100, 1_000_000] } as const
const usual = { samples: 10_000, confidence: 0.95, seed: 1 }

/**
 * Paired bootstrap over questions: both systems answered the same ones, value `i` is of question `i`. The interval is that of the
 * percentiles of the means of resampled differences (Efron, Tibshirani 1993, chapter 13), the p-value that of the differences shifted
 * to mean 0 (chapter 16.4). For retrieval it agrees with the randomisation test (Smucker, Allan, Carterette 2007). Throws `BAD_INPUT`
 * for lists of different lengths, empty ones, or values that are not finite.
 */
export function pairedBootstrap(
  baseline: readonly number[],
  candidate: readonly number[],
  { samples = usual.samples, confidence = usual.confidence, seed = usual.seed }: BootstrapOptions = {},
): PairedDifference {
  checkBootstrapOptions({ samples, confidence })
  const differences = differencesOf(baseline, candidate)
  const difference = mean(differences)
  const means = resampledMeans(differences, samples, randomNumbers(seed))
  // Shifted to mean 0, a resample's mean is its own less the mean of all; what rounding leaves must not count as a difference.
  const extreme = Math.abs(difference) - 1e-12
  const asLarge = means.reduce((count, one) => (Math.abs(one - difference) >= extreme ? count + 1 : count), 0)
  const tail = (1 - confidence) / 2
  return {
    difference,
    low: percentile(means, tail),
    high: percentile(means, 1 - tail),
    pValue: (asLarge + 1) / (samples + 1),
  }
}

/** Throws `BAD_OPTION` for values out of range. */
export function checkBootstrapOptions({
  samples = usual.samples,
  confidence = usual.confidence,
}: BootstrapOptions): void {
  const [least, most] = limits.samples
  if (!Number.isInteger(samples) || samples < least || samples > most) {
    throw new RagError('BAD_OPTION', `samples is a whole number from ${least} to ${most}.`, { data: { samples } })
  }
  if (!(confidence > 0 && confidence < 1)) {
    throw new RagError('BAD_OPTION', 'confidence is a number between 0 and 1.', { data: { confidence } })
  }
}

function differencesOf(baseline: readonly number[], candidate: readonly number[]): Float64Array {
  if (baseline.length !== candidate.length || baseline.length === 0) {
    throw new RagError('BAD_INPUT', 'A paired comparison needs one value of each system for each question.', {
      data: { baseline: baseline.length, candidate: candidate.length },
    })
  }
  const differences = Float64Array.from(candidate, (value, place) => value - (baseline[place] as number))
  if (differences.every(Number.isFinite)) return differences
  throw new RagError('BAD_INPUT', 'A value to be compared is not a finite number.')
}

/** Sorted. */
function resampledMeans(differences: Float64Array, samples: number, random: () => number): Float64Array {
  const { length } = differences
  const means = new Float64Array(samples)
  for (let sample = 0; sample < samples; sample++) {
    let sum = 0
    for (let draw = 0; draw < length; draw++) sum += differences[Math.floor(random() * length)] as number
    means[sample] = sum / length
  }
  return means.sort()
}

function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] as number
}
