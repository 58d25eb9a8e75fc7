import { createScavenger } from '../util/scavenge.js'
import { serveTasks } from '../util/worker-serve.js'
import { createAnalyzers } from './analyzers.js'
import { type Batch, buildSegment } from './build.js'
import { type MergeInput, mergeSegments } from './merge.js'

const analyzers = createAnalyzers()
const scavenger = createScavenger()

// Segments lie in shared memory: neither what is merged nor what comes of it is copied.
serveTasks({
  build: async (batch: Batch) => give((await buildSegment(batch, analyzers)).buffer),
  merge: (inputs: readonly MergeInput[]) => give(mergeSegments(inputs).buffer),
})

/** What a segment was made of took about three times its size. */
function give(segment: SharedArrayBuffer): SharedArrayBuffer {
  scavenger.dropped(3 * segment.byteLength)
  return segment
}
