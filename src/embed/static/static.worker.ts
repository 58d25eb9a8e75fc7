import { workerData } from 'node:worker_threads'
import { memoizeAsync } from '../../util/memoize-async.js'
import { serveTasks, Transferred } from '../../util/worker-serve.js'
import { type Matrix, openMeans, readMatrix } from './matrix.js'

/** A thread that embeds texts with the matrix that all threads share; one of them reads it first. */

const matrix = workerData as Matrix
const means = memoizeAsync(() => openMeans(matrix))

serveTasks({
  load: (_: undefined, { signal }) => readMatrix(matrix, signal),
  embed: async (texts: readonly string[]) => {
    const result = (await means())(texts)
    return new Transferred(result, [result.vectors.buffer])
  },
})
