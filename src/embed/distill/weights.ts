/**
 * How much tokens count in a mean, by their frequency: a / (a + p), so that `the` counts next to nothing (smooth inverse frequency,
 * SIF; Arora, Liang and Ma, A Simple but Tough-to-Beat Baseline for Sentence Embeddings, 2017). `coefficient` is a; 0 makes all equal.
 */
export function frequencyWeights(probabilities: Float64Array, coefficient: number): Float64Array {
  return probabilities.map((probability) => (coefficient === 0 ? 1 : coefficient / (coefficient + probability)))
}

/**
 * Probabilities that are guessed from ranks by Zipf's law: the i-th token, from 0, has a share of 1 / (i + 2). It is what model2vec
 * does (`compute_weights`), and it holds as far as the vocabulary is sorted by frequency, which BERT's is, roughly.
 */
export function zipfProbabilities(tokens: number): Float64Array {
  return shareOfAll(Float64Array.from({ length: tokens }, (_, rank) => 1 / (rank + 2)))
}

/** The share of each in all. */
export function shareOfAll(counts: Float64Array): Float64Array {
  const total = counts.reduce((sum, count) => sum + count, 0)
  return counts.map((count) => (total === 0 ? 0 : count / total))
}
