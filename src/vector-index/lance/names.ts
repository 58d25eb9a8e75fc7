import { randomUUID } from 'node:crypto'

/** A name no table has: when it was made, something of its own. Only letters, digits and dashes, which mean the same everywhere. */
export function newTableName(): string {
  return `rows-${Date.now().toString(36)}-${randomUUID().slice(0, 8)}`
}

/** When a table of that name was made, milliseconds; `undefined` for names of others. */
export function tableMadeAt(name: string): number | undefined {
  const made = /^rows-([0-9a-z]{8,9})-[0-9a-f]{8}$/.exec(name)?.[1]
  return made === undefined ? undefined : Number.parseInt(made, 36)
}
