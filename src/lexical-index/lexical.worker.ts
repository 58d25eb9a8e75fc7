import { serveTasks } from '../util/worker-serve.js'
import { createAnalyzers } from './analyzers.js'
import { type Batch, buildSegment } from './build.js'
import { type MergeInput, mergeSegments } from './merge.js'

const analyzers = createAnalyzers()

// Segments lie in shared memory: neither what is merged nor what comes of it is copied.
serveTasks({
  build: async (batch: Batch) => (await buildSegment(batch, analyzers)).buffer,
  merge: (inputs: readonly MergeInput[]) => mergeSegments(inputs).buffer,
})
