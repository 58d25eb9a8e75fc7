import { RagError } from '../core/errors.js'
import { nearest } from '../util/nearest.js'
import type { ArgumentSchema, ArgumentsSchema } from './tools.js'

/**
 * Checks what a client sends, which is what a model wrote: throws `BAD_INPUT` with what would be right, so that the model can mend it.
 * The values themselves are in no message. `null` counts as left out, because models write it for that.
 */
export function checkArguments(given: unknown, schema: ArgumentsSchema): Readonly<Record<string, unknown>> {
  const known = Object.keys(schema.properties)
  const values = Object.entries(given ?? {}).filter(([, value]) => value !== null && value !== undefined)
  for (const [name, value] of values) {
    const property = Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined
    if (property === undefined) throw unknownArgument(name, known)
    const problem = problemWith(value, property)
    if (problem !== undefined) throw badArgument(name, problem)
  }
  const names = new Set(values.map(([name]) => name))
  const missing = schema.required?.find((name) => !names.has(name))
  if (missing !== undefined) throw badArgument(missing, 'is missing')
  return Object.fromEntries(values)
}

function problemWith(value: unknown, { maximum, minimum, type }: ArgumentSchema): string | undefined {
  switch (type) {
    case 'string':
      if (typeof value !== 'string') return 'must be a text'
      return value.trim() === '' ? 'must not be empty' : undefined
    case 'integer': {
      const [least, most] = [minimum ?? Number.MIN_SAFE_INTEGER, maximum ?? Number.MAX_SAFE_INTEGER]
      const isFine = Number.isInteger(value) && (value as number) >= least && (value as number) <= most
      return isFine ? undefined : `must be a whole number from ${least} to ${most}`
    }
    case 'object':
      return typeof value === 'object' && !Array.isArray(value) ? undefined : 'must be an object'
    default:
      return type satisfies never
  }
}

function unknownArgument(name: string, known: readonly string[]): RagError {
  const meant = nearest(name, known)
  const hint = meant === undefined ? `Valid are: ${known.join(', ')}.` : `Did you mean "${meant}"?`
  return badArgument(name, 'is unknown', hint)
}

function badArgument(name: string, problem: string, hint?: string): RagError {
  const argument = name.slice(0, 64)
  return new RagError('BAD_INPUT', `The argument "${argument}" ${problem}.`, {
    data: { argument },
    ...(hint === undefined ? {} : { hint }),
  })
}
