import { RagError } from '../core/errors.js'

/** Options that say two things at once. */
export function contradiction(one: string, other: string, hint = 'Leave one of them out.'): never {
  throw new RagError('BAD_OPTION', `Options "${one}" and "${other}" contradict each other.`, {
    data: { options: [one, other] },
    hint,
  })
}
