import type { Metadata, MetadataValue } from '../core/document.js'
import { RagError } from '../core/errors.js'
import type { FieldCondition, FieldReader, FilterValue } from '../core/filter.js'
import { nearest } from './nearest.js'

/** A compiled filter: whether the fields that `read` gives satisfy it. */
export type Predicate = (read: FieldReader) => boolean

/** The document's own fields, which the reserved paths name. */
export interface FilterFields {
  readonly id: string
  readonly source: string
  readonly title: string
  readonly language: string
  readonly mediaType: string
}

const maxDepth = 32
const maxConditions = 1_000
const maxListValues = 10_000

const reservedPaths: Readonly<Record<string, keyof FilterFields>> = {
  $id: 'id',
  $source: 'source',
  $title: 'title',
  $language: 'language',
  $mediaType: 'mediaType',
}

/** One test of a field's value, `undefined` when the field is missing. */
export type ValueTest = (value: MetadataValue | undefined) => boolean

/** A filter that was checked, for whoever evaluates it other than document by document. */
export type FilterPlan =
  | { readonly kind: 'everything' }
  | { readonly kind: 'and' | 'or'; readonly parts: readonly FilterPlan[] }
  | { readonly kind: 'not'; readonly part: FilterPlan }
  | FieldTest

/** One operator on one field. */
export interface FieldTest {
  readonly kind: 'test'
  readonly path: string
  readonly operator: keyof FieldCondition
  /** What the operator compares with: of the kind it takes. */
  readonly operand: FilterValue | readonly FilterValue[]
  readonly holds: ValueTest
}

/**
 * Checks a filter and turns it into a function, with the meaning documented at `Filter`. Throws as {@link planFilter} does. `undefined`
 * and `{}` match everything.
 */
export function compileFilter(filter: unknown): Predicate {
  return toPredicate(planFilter(filter))
}

/**
 * Checks a filter. Nothing is ignored: an unknown operator, a value of the wrong kind, an empty list of alternatives,
 * `undefined` (a variable that was not set must not widen a search) are `BAD_FILTER` with the path and, for a misspelt
 * operator, the nearest one. `LIMIT`: nesting deeper than 32, more than 1,000 conditions, more than 10,000 values in one
 * list.
 */
export function planFilter(filter: unknown): FilterPlan {
  return isEmptyFilter(filter) ? { kind: 'everything' } : planGroup(filter, '', { depth: 1, conditions: { count: 0 } })
}

/** Whether a filter is absent or has no condition, so that nothing needs to be read. */
export function isEmptyFilter(filter: unknown): boolean {
  return filter === undefined || (isPlainObject(filter) && Object.keys(filter).length === 0)
}

/**
 * Reads reserved paths from the document and all others from metadata: own properties only, `a.b` as `b` within `a`,
 * unless there is a key that holds the dot itself (the longest key that exists is taken). Arrays are values, not steps
 * of a path.
 */
export function metadataReader(fields: FilterFields, metadata: Metadata): FieldReader {
  return (path) => {
    if (!path.startsWith('$')) return readPath(metadata, path)
    const field = Object.hasOwn(reservedPaths, path) ? reservedPaths[path] : undefined
    return field === undefined ? undefined : fields[field]
  }
}

interface Scope {
  readonly depth: number
  /** Shared by the whole filter. */
  readonly conditions: { count: number }
}

const groupOperators: Readonly<Record<string, (value: unknown, path: string, scope: Scope) => FilterPlan>> = {
  $and: (value, path, scope) => ({ kind: 'and', parts: planAlternatives(value, path, scope) }),
  $or: (value, path, scope) => ({ kind: 'or', parts: planAlternatives(value, path, scope) }),
  $not: (value, path, scope) => ({ kind: 'not', part: planGroup(value, path, scope) }),
}

function planGroup(filter: unknown, path: string, scope: Scope): FilterPlan {
  if (scope.depth > maxDepth) throw limit(`A filter is nested at most ${maxDepth} deep.`, { path })
  if (!isPlainObject(filter))
    throw bad('A filter is an object of paths and conditions.', { path, kind: kindOf(filter) })
  const keys = Object.keys(filter)
  if (keys.length === 0) throw bad('A filter inside a filter has at least one condition.', { path })
  const inner = { ...scope, depth: scope.depth + 1 }
  return all(
    keys.flatMap((key): readonly FilterPlan[] => {
      const place = path === '' ? key : `${path} > ${key}`
      const operator = Object.hasOwn(groupOperators, key) ? groupOperators[key] : undefined
      if (operator !== undefined) return [operator(filter[key], place, inner)]
      if (key.startsWith('$') && !Object.hasOwn(reservedPaths, key)) {
        throw unknownOperator(key, path, [...Object.keys(groupOperators), ...Object.keys(reservedPaths)])
      }
      return planField(key, filter[key], { place, scope })
    }),
  )
}

function all(parts: readonly FilterPlan[]): FilterPlan {
  const [only] = parts
  return parts.length === 1 && only !== undefined ? only : { kind: 'and', parts }
}

function planAlternatives(value: unknown, path: string, scope: Scope): FilterPlan[] {
  if (!Array.isArray(value) || value.length === 0) {
    throw bad('The operator takes a list of at least one filter.', { path, kind: kindOf(value) })
  }
  if (value.length > maxConditions) throw tooManyConditions(path)
  return value.map((part, i) => planGroup(part, `${path}[${i}]`, scope))
}

/** The tests of a field. `place` names it in errors. */
function planField(
  path: string,
  condition: unknown,
  { place, scope }: { readonly place: string; readonly scope: Scope },
): readonly FieldTest[] {
  const test = (operator: keyof FieldCondition, operand: unknown, where: string): FieldTest => {
    countCondition(place, scope)
    const holds = operators[operator](operand, where)
    // The operator has checked what the operand is. A list is copied, for the caller may change it while we wait.
    const own = (Array.isArray(operand) ? [...operand] : operand) as FieldTest['operand']
    return { kind: 'test', path, operator, operand: own, holds }
  }
  if (!isPlainObject(condition)) return [test('$eq', condition, place)]
  const names = Object.keys(condition)
  if (names.length === 0) throw bad('A condition holds at least one operator.', { path: place })
  return names.map((name) => {
    if (isOperator(name)) return test(name, condition[name], `${place} > ${name}`)
    countCondition(place, scope)
    if (name.startsWith('$')) throw unknownOperator(name, place, Object.keys(operators))
    throw bad(
      'A condition holds operators only.',
      { path: place, key: name },
      `Name a nested field by its path: "${place}.${name}".`,
    )
  })
}

/** The plan as a function. */
export function toPredicate(plan: FilterPlan): Predicate {
  switch (plan.kind) {
    case 'everything':
      return () => true
    case 'and': {
      const parts = plan.parts.map(toPredicate)
      return (read) => parts.every((part) => part(read))
    }
    case 'or': {
      const parts = plan.parts.map(toPredicate)
      return (read) => parts.some((part) => part(read))
    }
    case 'not': {
      const part = toPredicate(plan.part)
      return (read) => !part(read)
    }
    case 'test':
      return (read) => plan.holds(read(plan.path))
    default:
      return plan satisfies never
  }
}

function countCondition(path: string, { conditions }: Scope): void {
  if (++conditions.count > maxConditions) throw tooManyConditions(path)
}

const operators: Readonly<Record<keyof FieldCondition, (operand: unknown, path: string) => ValueTest>> = {
  $eq: (operand, path) => {
    const wanted = filterValue(operand, path)
    return (value) => anyElement(value, (element) => element === wanted)
  },
  $ne: (operand, path) => {
    const equal = operators.$eq(operand, path)
    return (value) => !equal(value)
  },
  $gt: comparison((value, bound) => value > bound),
  $gte: comparison((value, bound) => value >= bound),
  $lt: comparison((value, bound) => value < bound),
  $lte: comparison((value, bound) => value <= bound),
  $in: (operand, path) => {
    if (!Array.isArray(operand)) throw bad('The operator takes a list of values.', { path, kind: kindOf(operand) })
    if (operand.length > maxListValues)
      throw limit(`A list in a filter holds at most ${maxListValues} values.`, { path })
    // Found by value, as === would: a set holds no NaN here, and treats 0 and -0 alike.
    const wanted = new Set<unknown>(operand.map((value) => filterValue(value, path)))
    return (value) => anyElement(value, (element) => wanted.has(element))
  },
  $nin: (operand, path) => {
    const among = operators.$in(operand, path)
    return (value) => !among(value)
  },
  $exists: (operand, path) => {
    if (typeof operand !== 'boolean') throw bad('$exists takes true or false.', { path, kind: kindOf(operand) })
    return (value) => (value !== undefined) === operand
  },
  $contains: (operand, path) => {
    const wanted = filterValue(operand, path)
    return (value) => {
      if (Array.isArray(value)) return value.some((element) => element === wanted)
      return typeof value === 'string' && typeof wanted === 'string' && value.includes(wanted)
    }
  },
}

function isOperator(name: string): name is keyof FieldCondition {
  return Object.hasOwn(operators, name)
}

/** Numbers compare with numbers, texts with texts (by UTF-16 code units); nothing else compares. */
function comparison(holds: (value: number | string, bound: number | string) => boolean) {
  return (operand: unknown, path: string): ValueTest => {
    const bound = filterValue(operand, path)
    if (typeof bound !== 'number' && typeof bound !== 'string') {
      throw bad('A comparison takes a number or a text.', { path, kind: kindOf(operand) })
    }
    return (value) =>
      anyElement(value, (element) => {
        if (typeof element === 'number' && typeof bound === 'number') return holds(element, bound)
        return typeof element === 'string' && typeof bound === 'string' && holds(element, bound)
      })
  }
}

function anyElement(value: MetadataValue | undefined, holds: (element: MetadataValue) => boolean): boolean {
  if (value === undefined) return false
  return Array.isArray(value) ? value.some(holds) : holds(value)
}

function filterValue(value: unknown, path: string): FilterValue {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number' && !Number.isNaN(value)) return value
  const hint = Array.isArray(value) ? 'Use $in for any of several values.' : undefined
  throw bad('A filter compares with a text, number, boolean or null.', { path, kind: kindOf(value) }, hint)
}

function readPath(metadata: Metadata, path: string): MetadataValue | undefined {
  let scope: MetadataValue = metadata
  let rest = path
  for (;;) {
    if (!isRecord(scope)) return undefined
    let end = rest.length
    while (end >= 0 && !Object.hasOwn(scope, rest.slice(0, end))) end = end === 0 ? -1 : rest.lastIndexOf('.', end - 1)
    if (end < 0) return undefined
    const value: MetadataValue | undefined = scope[rest.slice(0, end)]
    if (end === rest.length || value === undefined) return value
    scope = value
    rest = rest.slice(end + 1)
  }
}

function isRecord(value: MetadataValue): value is { readonly [key: string]: MetadataValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * An object literal, of this realm or another. Anything with a prototype of its own is refused: the conditions of `{
 * __proto__: … }` are not among its keys, and a filter whose conditions nobody sees would match everything.
 */
function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return (
    prototype === null ||
    (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype as object, 'hasOwnProperty'))
  )
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'number' && Number.isNaN(value)) return 'NaN'
  return typeof value
}

function unknownOperator(name: string, path: string, candidates: readonly string[]): RagError {
  const meant = nearest(name, candidates)
  const hint = meant === undefined ? `Use one of ${candidates.join(', ')}.` : `Did you mean ${meant}?`
  return bad(`"${name.slice(0, 64)}" is no filter operator here.`, { path, operator: name.slice(0, 64) }, hint)
}

function bad(message: string, data: Readonly<Record<string, unknown>>, hint?: string): RagError {
  return new RagError('BAD_FILTER', message, { data, ...(hint === undefined ? {} : { hint }) })
}

function tooManyConditions(path: string): RagError {
  return limit(`A filter holds at most ${maxConditions} conditions.`, { path }, 'Use $in for many values of one field.')
}

function limit(message: string, data: Readonly<Record<string, unknown>>, hint?: string): RagError {
  return new RagError('LIMIT', message, { data, ...(hint === undefined ? {} : { hint }) })
}
