/**
 * Begins a task for one item after the other, as `admit` lets them in, and waits for all that began. After the first failure, of a
 * task, of `admit` or of the items, no more are begun; it is thrown when those under way have ended. Of a task's failure `onFailure`
 * is told at once, so that the others can be stopped; when the items fail, what has begun is done.
 */
export async function runMany<Item>(
  items: AsyncIterable<Item> | Iterable<Item>,
  task: (item: Item) => Promise<void>,
  options: {
    /** Waits until the item may begin, and returns what is to be called when its task has ended. */
    readonly admit: (item: Item) => Promise<() => void>
    readonly onFailure: (error: unknown) => void
  },
): Promise<void> {
  const running = new Set<Promise<void>>()
  let failure: { readonly error: unknown } | undefined
  const fail = (error: unknown) => {
    if (failure === undefined) options.onFailure(error)
    failure ??= { error }
  }
  try {
    for await (const item of items) {
      if (failure !== undefined) break
      const dismiss = await options.admit(item)
      const one = task(item)
        .catch(fail)
        .finally(() => {
          dismiss()
          running.delete(one)
        })
      running.add(one)
    }
  } catch (error) {
    failure ??= { error }
  }
  await Promise.all(running)
  if (failure !== undefined) throw failure.error
}
