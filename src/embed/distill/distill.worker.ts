import { serveTasks, Transferred } from '../../util/worker-serve.js'
import { type ReduceRequest, reduceRows } from './reduce.js'

/** A thread for the arithmetic of a distillation. */

serveTasks({
  reduce: (request: ReduceRequest) => {
    const reduced = reduceRows(request)
    return new Transferred(reduced, [reduced.values.buffer])
  },
})
