/**
 * Runs `work` for every item, `lanes` at a time; each lane takes the next item when it has done one. Items are made as they are
 * needed. Rejects with the first failure, after which no lane takes another item.
 */
export async function inLanes<Item>(
  items: Iterable<Item>,
  lanes: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.iterator]()
  let failed = false
  const lane = async (): Promise<void> => {
    while (!failed) {
      const next = iterator.next()
      if (next.done === true) return
      await work(next.value).catch((error: unknown) => {
        failed = true
        throw error
      })
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
}
