/** A count under its name, if it is one: services may say anything. */
export function countOf<Name extends string>(name: Name, value: unknown): { readonly [Key in Name]?: number } {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? ({ [name]: value } as Record<Name, number>) : {}
}
