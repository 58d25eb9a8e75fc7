/**
 * Runs `make` once, when first called, and gives every caller the same promise. A rejection is forgotten, so that the next call
 * tries again; those who already wait all see it.
 */
export function memoizeAsync<Value>(make: () => Promise<Value>): () => Promise<Value> {
  let memo: Promise<Value> | undefined
  return () => {
    if (memo !== undefined) return memo
    const attempt = invoke(make)
    memo = attempt
    attempt.catch(() => {
      // The callers hold the same promise and see the error; this branch only forgets it.
      if (memo === attempt) memo = undefined
    })
    return attempt
  }
}

/** Turns what `make` throws at once into a rejection, so that callers have one way to fail. */
async function invoke<Value>(make: () => Promise<Value>): Promise<Value> {
  return make()
}
