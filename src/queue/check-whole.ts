import { RagError } from '../core/errors.js'

/** Throws `BAD_OPTION` for the first option that is not a whole number from `least`. */
export function checkWhole(options: Readonly<Record<string, number>>, least: number): void {
  for (const [option, value] of Object.entries(options)) {
    if (Number.isSafeInteger(value) && value >= least) continue
    throw new RagError('BAD_OPTION', `The option "${option}" of a queue is a whole number from ${least}.`, {
      data: { option, value: String(value).slice(0, 64) },
    })
  }
}
