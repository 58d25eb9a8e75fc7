import { createAnalyzers } from '../text/analyzers.js'
import { createScavenger } from '../util/scavenge.js'
import { serveTasks, Transferred } from '../util/worker-serve.js'
import { type Batch, buildSegment } from './build.js'
import { type MergeInput, mergeSegments } from './merge.js'
import type { Segment } from './segment.js'

const analyzers = createAnalyzers()
const scavenger = createScavenger()

serveTasks({
  build: async (batch: Batch) => give(await buildSegment(batch, analyzers)),
  merge: (inputs: readonly MergeInput[]) => give(mergeSegments(inputs)),
  // They came here to be dropped: see `Index.#retire()`.
  drop: (buffers: readonly ArrayBuffer[]) =>
    scavenger.dropped(buffers.reduce((sum, { byteLength }) => sum + byteLength, 0)),
})

/** Moves a segment to the index. What it was made of took about three times its size. */
function give({ buffer }: Segment): Transferred<ArrayBuffer> {
  scavenger.dropped(3 * buffer.byteLength)
  return new Transferred(buffer, [buffer])
}
