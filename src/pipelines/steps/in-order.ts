/** The last writer of each document id in this process: a later one waits for it, and wins. */
export type LastWrites = Map<string, Promise<unknown>>

/** Runs a task after the last one of the same id. Without an id it is like no other. */
export async function inOrder<Result>(
  lastWrites: LastWrites,
  id: string | undefined,
  task: () => Promise<Result>,
): Promise<Result> {
  if (id === undefined) return task()
  const before = lastWrites.get(id)
  const mine = before === undefined ? task() : before.then(task, task)
  lastWrites.set(id, mine)
  try {
    return await mine
  } finally {
    if (lastWrites.get(id) === mine) lastWrites.delete(id)
  }
}
