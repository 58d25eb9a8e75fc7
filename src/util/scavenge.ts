/**
 * V8 frees the buffers a thread has received and dropped when it collects young garbage, and it does that when JavaScript objects fill
 * the young generation - which a thread that only passes buffers on hardly does: 90 MB of dead buffers pile up, where 25 MB stay
 * with this. It makes a little garbage of the right kind for every few megabytes of buffers; that costs about 0.1 ms each.
 */
export interface Scavenger {
  /** So many bytes of buffers have been received and are no longer needed. */
  dropped(bytes: number): void
}

const everyBytes = 4 << 20
/** More than the semi-space of a thread with a small young generation (see `worker-pool.ts`) holds. */
const rounds = 80
const elements = 8_000

export function createScavenger(): Scavenger {
  let gathered = 0
  return {
    dropped: (bytes) => {
      gathered += bytes
      if (gathered < everyBytes) return
      gathered = 0
      // Kept by nobody: each array dies when the next one is made.
      let garbage: number[] = []
      for (let round = 0; round < rounds; round++)
        garbage = new Array<number>(elements + (garbage.length % 2)).fill(round)
    },
  }
}
