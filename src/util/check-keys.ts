import { RagError } from '../core/errors.js'
import { nearest } from './nearest.js'

/** Throws `BAD_OPTION` for what is no object of these keys. */
export function checkKeys(options: object, known: Readonly<Record<string, true>>): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new RagError('BAD_OPTION', 'Options are an object.')
  }
  const unknown = Object.keys(options).find((key) => !Object.hasOwn(known, key))
  if (unknown === undefined) return
  const valid = Object.keys(known)
  const meant = nearest(unknown, valid)
  throw new RagError('BAD_OPTION', `Unknown option "${unknown.slice(0, 64)}".`, {
    data: { option: unknown.slice(0, 64), valid },
    hint: meant === undefined ? `Valid are: ${valid.join(', ')}.` : `Did you mean "${meant}"?`,
  })
}
