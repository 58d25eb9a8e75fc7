import * as z from 'zod/mini'

/** A whole number that may be left out. */
export const whole = (least: number, most: number = Number.MAX_SAFE_INTEGER) => z.optional(wholeNumber(least, most))

/** A whole number that must be there. */
export const wholeNumber = (least: number, most: number) => z.int().check(z.minimum(least), z.maximum(most))

export const filledText = z.string().check(z.minLength(1))
export const flag = z.optional(z.boolean())
export const record = z.record(z.string(), z.unknown())

export function isFunction(value: unknown): boolean {
  return typeof value === 'function'
}

export function isFilled(value: unknown): boolean {
  return typeof value === 'string' && value !== ''
}

/** Whether a value is an object with a method of that name. */
export function hasFunction(value: unknown, name: string): boolean {
  return typeof value === 'object' && value !== null && typeof (value as Record<string, unknown>)[name] === 'function'
}
