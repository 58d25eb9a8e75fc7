import { RagError } from '../core/errors.js'

/** Throws `BAD_OPTION` for what is no whole number from `least`. */
export function requireLeast(option: string, value: number, least: number): void {
  if (Number.isSafeInteger(value) && value >= least) return
  throw new RagError('BAD_OPTION', `${option} is a whole number from ${least}.`, { data: { option, value } })
}
