/** A new answer's share in the mean: the mean is of some eight answers. */
const share = 1 / 8
/** Answers before anything is said, and after each time something was. */
const leastAnswers = 8
/** So much slower than at its best is slow, and so many milliseconds: what takes 5 ms may take 12. */
const slowness = { factor: 2, ms: 100 }
/** What was the best is forgotten by a hundredth with each answer: a service that has become slower for good is not held to it. */
const forgetting = 1.01

/**
 * Tells when answers of a service take markedly longer than they did, which is how one that is overloaded shows it before it refuses
 * calls. The mean of the last few answers is compared with the lowest such mean, as congestion control by delay does (Brakmo and
 * Peterson, TCP Vegas, 1995).
 */
export class LatencyWatch {
  #mean = 0
  #best = Number.POSITIVE_INFINITY
  #answers = 0

  /** Adds an answer that took so long. `true`: fewer calls at once would be better. */
  isSlow(milliseconds: number): boolean {
    this.#mean = this.#answers === 0 ? milliseconds : this.#mean + (milliseconds - this.#mean) * share
    this.#answers++
    if (this.#answers < leastAnswers) return false
    this.#best = Math.min(this.#mean, this.#best * forgetting)
    if (this.#mean <= this.#best * slowness.factor + slowness.ms) return false
    // Those that follow are the first to tell what it did.
    this.#answers = 0
    return true
  }
}
