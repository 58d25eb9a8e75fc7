import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Metadata, MetadataValue } from '../../../src/core/document.js'
import { RagError } from '../../../src/core/errors.js'
import { compileFilter, isEmptyFilter, metadataReader } from '../../../src/util/filter.js'

const fields = { id: 'doc', source: 'a/b.md', title: 'Title', language: 'en', mediaType: 'text/plain' }

function matches(filter: unknown, metadata: Metadata): boolean {
  return compileFilter(filter)(metadataReader(fields, metadata))
}

function failure(filter: unknown): RagError {
  try {
    compileFilter(filter)
  } catch (error) {
    if (RagError.isInstance(error)) return error
  }
  throw new Error('The filter was accepted.')
}

/** The documented meaning, as naively as it can be written. */
const naive: Readonly<Record<string, (value: MetadataValue | undefined, operand: never) => boolean>> = {
  $eq: (value, operand) => (Array.isArray(value) ? value.includes(operand) : value !== undefined && value === operand),
  $ne: (value, operand) => !naive.$eq?.(value, operand),
  $in: (value, operand: MetadataValue[]) => operand.some((one) => naive.$eq?.(value, one as never)),
  $nin: (value, operand: MetadataValue[]) => operand.every((one) => naive.$ne?.(value, one as never)),
  $exists: (value, operand) => (value !== undefined) === operand,
  $gt: (value, operand) => ordered(value, operand, (a, b) => a > b),
  $gte: (value, operand) => ordered(value, operand, (a, b) => a >= b),
  $lt: (value, operand) => ordered(value, operand, (a, b) => a < b),
  $lte: (value, operand) => ordered(value, operand, (a, b) => a <= b),
  $contains: (value, operand) =>
    Array.isArray(value)
      ? value.includes(operand)
      : typeof value === 'string' && typeof operand === 'string' && value.includes(operand),
}

function ordered(value: MetadataValue | undefined, operand: unknown, holds: (a: never, b: never) => boolean): boolean {
  if (Array.isArray(value)) return value.some((element) => ordered(element, operand, holds))
  return (
    typeof value === typeof operand &&
    ['number', 'string'].includes(typeof value) &&
    holds(value as never, operand as never)
  )
}

function evaluate(filter: Record<string, unknown>, metadata: Metadata): boolean {
  return Object.entries(filter).every(([key, value]) => {
    if (key === '$and') return (value as Record<string, unknown>[]).every((part) => evaluate(part, metadata))
    if (key === '$or') return (value as Record<string, unknown>[]).some((part) => evaluate(part, metadata))
    if (key === '$not') return !evaluate(value as Record<string, unknown>, metadata)
    const field = metadata[key]
    const conditions = typeof value === 'object' && value !== null ? value : { $eq: value }
    return Object.entries(conditions).every(([operator, operand]) => naive[operator]?.(field, operand as never))
  })
}

describe('a filter', () => {
  const scalar = fc.constantFrom<MetadataValue>(null, true, false, 0, -0, 1, 2, '', 'a', 'ab', 'b', '1')
  const element = fc.constantFrom<MetadataValue>(null, true, 0, 1, 2, 'a', 'ab', [1], { a: 1 })
  const value = fc.oneof(scalar, fc.array(element, { maxLength: 3 }), fc.constant<MetadataValue>({ a: 1 }))
  const key = fc.constantFrom('x', 'y', 'z')
  const bound = fc.constantFrom(0, 1, 2, '', 'a', 'b')
  const condition = fc.oneof(
    scalar,
    fc
      .record(
        {
          $eq: scalar,
          $ne: scalar,
          $gt: bound,
          $gte: bound,
          $lt: bound,
          $lte: bound,
          $exists: fc.boolean(),
          $contains: scalar,
          $in: fc.array(scalar, { maxLength: 3 }),
          $nin: fc.array(scalar, { maxLength: 3 }),
        },
        { requiredKeys: [] },
      )
      .filter((operators) => Object.keys(operators).length > 0),
  )
  const { filter } = fc.letrec<{ filter: Record<string, unknown> }>((tie) => ({
    filter: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.dictionary(key, condition, { minKeys: 1, maxKeys: 2 }),
      fc.record({ $and: fc.array(tie('filter'), { minLength: 1, maxLength: 3 }) }),
      fc.record({ $or: fc.array(tie('filter'), { minLength: 1, maxLength: 3 }) }),
      fc.record({ $not: tie('filter') }),
    ),
  }))

  it('means what a naive evaluator of the documentation says', () => {
    const metadata = fc.dictionary(key, value, { maxKeys: 3 })
    fc.assert(
      fc.property(filter, metadata, (filter, metadata) => {
        expect(matches(filter, metadata)).toBe(evaluate(filter, metadata))
      }),
      { numRuns: 5_000, seed: 1 },
    )
  })

  it.each<[string, unknown, Metadata, boolean]>([
    ['missing is not equal to null', { x: null }, {}, false],
    ['missing matches $ne', { x: { $ne: 1 } }, {}, true],
    ['missing matches $nin', { x: { $nin: [1] } }, {}, true],
    ['missing matches $exists: false', { x: { $exists: false } }, {}, true],
    ['null exists', { x: { $exists: true } }, { x: null }, true],
    ['missing is not below', { x: { $lt: 1 } }, {}, false],
    ['any element equals', { x: 2 }, { x: [1, 2] }, true],
    ['$ne when no element equals', { x: { $ne: 2 } }, { x: [1, 2] }, false],
    ['$nin when no element equals', { x: { $nin: [3, 2] } }, { x: [1, 2] }, false],
    ['any element is above', { x: { $gt: 1 } }, { x: [0, 2] }, true],
    ['$gt and $lt may hold for different elements', { x: { $gt: 1, $lt: 1 } }, { x: [0, 2] }, true],
    ['numbers and texts do not compare', { x: { $gte: '1' } }, { x: 1 }, false],
    ['numbers and texts are not equal', { x: '1' }, { x: 1 }, false],
    ['$contains finds an element', { x: { $contains: 'b' } }, { x: ['a', 'b'] }, true],
    ['$contains finds no part of an element', { x: { $contains: 'b' } }, { x: ['abc'] }, false],
    ['$contains finds a part of a text', { x: { $contains: 'b' } }, { x: 'abc' }, true],
    ['$in of nothing matches nothing', { x: { $in: [] } }, { x: 1 }, false],
    ['several keys must all hold', { x: 1, y: 2 }, { x: 1 }, false],
    ['paths lead into objects', { 'a.b.c': 1 }, { a: { b: { c: 1 } } }, true],
    ['a key may hold the dot itself', { 'a.b.c': 1 }, { 'a.b': { c: 1 } }, true],
    ['the whole path as a key comes first', { 'a.b': 1 }, { a: { b: 2 }, 'a.b': 1 }, true],
    ['paths do not lead into arrays', { 'a.0': 1 }, { a: [1] }, false],
    ['arrays have no length here', { 'a.length': { $exists: true } }, { a: [1] }, false],
    ['texts have no length here', { 'a.length': { $exists: true } }, { a: 'x' }, false],
    ['only own properties count', { toString: { $exists: true } }, {}, false],
    ['nor does the prototype', { '__proto__.toString': { $exists: true } }, { a: 1 }, false],
    ['nor the constructor', { 'constructor.name': { $exists: true } }, {}, false],
    ['reserved paths name the document', { $id: 'doc', $source: { $contains: '/' }, $title: 'Title' }, {}, true],
    ['the language and type too', { $language: 'en', $mediaType: { $in: ['text/plain'] } }, {}, true],
  ])('%s', (_name, filter, metadata, expected) => {
    expect(matches(filter, metadata)).toBe(expected)
  })

  it('reads a metadata key called __proto__ as a key like any other', () => {
    const metadata = JSON.parse('{"__proto__": {"admin": true}}') as Metadata
    expect(matches(JSON.parse('{"__proto__.admin": true}'), metadata)).toBe(true)
    expect(matches(JSON.parse('{"__proto__.admin": true}'), {})).toBe(false)
  })

  it('matches everything when it is absent or empty', () => {
    expect([undefined, {}, Object.create(null)].map(isEmptyFilter)).toEqual([true, true, true])
    expect([null, [], '', { x: 1 }].map(isEmptyFilter)).toEqual([false, false, false, false])
    expect(matches(undefined, {})).toBe(true)
    expect(matches({}, {})).toBe(true)
  })

  it.each<[string, unknown]>([
    ['null', null],
    ['a list', [{ x: 1 }]],
    ['a text', 'x'],
    ['a function', () => true],
    ['a map', new Map([['x', 1]])],
    ['conditions hidden in a prototype', Object.create({ x: 1 })],
    ['an object literal with a prototype', { __proto__: { x: 1 } }],
    ['a variable that was not set', { tenant: undefined }],
    ['an operand that was not set', { tenant: { $eq: undefined } }],
    ['an empty condition', { x: {} }],
    ['an empty $and', { $and: [] }],
    ['an empty $or', { $or: [] }],
    ['an empty filter inside $and', { $and: [{}] }],
    ['an empty $not', { $not: {} }],
    ['$or that is no list', { $or: { x: 1 } }],
    ['a list as value', { x: [1, 2] }],
    ['a date', { x: new Date(0) }],
    ['a pattern', { x: /a/ }],
    ['NaN', { x: Number.NaN }],
    ['a nested object', { author: { name: 'x' } }],
    ['$in of a value', { x: { $in: 1 } }],
    ['$in of objects', { x: { $in: [{}] } }],
    ['$gt of a boolean', { x: { $gt: true } }],
    ['$exists of a number', { x: { $exists: 1 } }],
    ['an unknown operator', { x: { $where: '1' } }],
    ['an operator of conditions at the top', { $eq: 1 }],
    ['an operator of objects', { $constructor: 1 }],
  ])('is refused when it is %s', (_name, filter) => {
    expect(failure(filter).code).toBe('BAD_FILTER')
  })

  it('names the path and the nearest operator of a misspelt one', () => {
    expect(failure({ $or: [{ x: { $gte: 1 } }, { year: { $greater: 1, $lte: 2 } }] })).toMatchObject({
      data: { path: '$or[1] > year', operator: '$greater' },
    })
    expect(failure({ x: { $exist: true } }).hint).toBe('Did you mean $exists?')
    expect(failure({ x: { $IN: [1] } }).hint).toBe('Did you mean $in?')
    expect(failure({ $adn: [] }).hint).toBe('Did you mean $and?')
    expect(failure({ author: { name: 'x' } }).hint).toContain('author.name')
  })

  it('is refused with LIMIT when it is too deep, too long or cyclic', () => {
    const nested = (depth: number): unknown => (depth === 1 ? { x: 1 } : { $not: nested(depth - 1) })
    expect(matches(nested(32), {})).toBe(true)
    expect(failure(nested(33)).code).toBe('LIMIT')
    const cyclic: Record<string, unknown> = {}
    cyclic.$not = cyclic
    expect(failure(cyclic).code).toBe('LIMIT')
    const wide = (count: number) => ({ $or: Array.from({ length: count }, (_, i) => ({ x: i })) })
    expect(matches(wide(1_000), { x: 999 })).toBe(true)
    expect(failure(wide(1_001)).code).toBe('LIMIT')
    expect(failure(Object.fromEntries(Array.from({ length: 1_001 }, (_, i) => [`k${i}`, 1]))).code).toBe('LIMIT')
    const values = (count: number) => ({ x: { $in: Array.from({ length: count }, (_, i) => i) } })
    expect(matches(values(10_000), { x: 9_999 })).toBe(true)
    expect(failure(values(10_001)).code).toBe('LIMIT')
  })
})
