import { createScavenger } from '../../util/scavenge.js'
import { serveTasks, Transferred } from '../../util/worker-serve.js'
import { type MergeTask, mergeRows, type SealTask, sealRows } from './build.js'
import { type FileStamp, stampOf } from './rows-file.js'
import { type SegmentRef, type SegmentSearch, SegmentSearcher } from './search.js'

const searcher = new SegmentSearcher()
const scavenger = createScavenger()

// Threads that build and threads that search are of different pools: each is asked for its own.
serveTasks({
  seal: (task: SealTask) => {
    const stamp = sealRows(task)
    scavenger.dropped(task.rows.byteLength)
    return stamp
  },
  merge: (task: MergeTask, context) => mergeRows(task, context),
  verify: ({ path, stamp }: { readonly path: string; readonly stamp: FileStamp }) => {
    try {
      return stampOf(path, stamp.name).checksums === stamp.checksums
    } catch {
      // A file that cannot be read is not sound.
      return false
    }
  },
  open: (segments: readonly SegmentRef[], { critical }) => searcher.open(segments, critical),
  search: async (search: SegmentSearch, { critical }) => {
    const found = await searcher.search(search, critical)
    return new Transferred(found, [found.numbers.buffer, found.scores.buffer, found.counts.buffer] as ArrayBuffer[])
  },
  drop: (ids: readonly number[]) => searcher.drop(ids),
})
