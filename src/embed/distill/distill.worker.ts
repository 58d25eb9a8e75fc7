import { principalComponents, type Rows } from '../../util/principal-components.js'
import { serveTasks, Transferred } from '../../util/worker-serve.js'
import { type ReduceRequest, reduceRows } from './reduce.js'

/** A thread for the arithmetic of a distillation, and of principal components. */

serveTasks({
  components: ({ rows, count }: { readonly rows: Rows; readonly count: number }) => principalComponents(rows, count),
  reduce: (request: ReduceRequest) => {
    const reduced = reduceRows(request)
    return new Transferred(reduced, [reduced.values.buffer])
  },
})
