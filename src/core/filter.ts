import type { MetadataValue } from './document.js'

/** A value a filter compares with. */
export type FilterValue = string | number | boolean | null

/** Conditions on one field; all must hold. Strings are compared by UTF-16 code units, so dates compare when written as ISO 8601. */
export interface FieldCondition {
  readonly $eq?: FilterValue
  readonly $ne?: FilterValue
  readonly $gt?: number | string
  readonly $gte?: number | string
  readonly $lt?: number | string
  readonly $lte?: number | string
  readonly $in?: readonly FilterValue[]
  readonly $nin?: readonly FilterValue[]
  /** Whether the field is there at all. A field that holds `null` exists. */
  readonly $exists?: boolean
  /** An array that holds the value, or a string that holds the substring. */
  readonly $contains?: FilterValue
}

/**
 * A condition on metadata, as plain data. Keys are paths (`author.name`); a plain value means `$eq`; several keys must all hold.
 * A field that is missing matches `$ne`, `$nin` and `$exists: false` only. On an array, `$eq`, `$in` and the comparisons hold when
 * any element does; `$ne` and `$nin` when none equals. Comparisons never hold between different types.
 * The reserved paths `$id`, `$source`, `$title`, `$language` and `$mediaType` name the document's own fields.
 */
export type Filter = {
  readonly $and?: readonly Filter[]
  readonly $or?: readonly Filter[]
  readonly $not?: Filter
} & { readonly [path: string]: FilterValue | FieldCondition | readonly Filter[] | Filter | undefined }

/** Looks a path up: `undefined` when it is missing. */
export type FieldReader = (path: string) => MetadataValue | undefined
