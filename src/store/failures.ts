import type { FailedDocument, FileStamp, NewFailure } from './types.js'

/** What the journal says of a document after one more failure: attempts are counted while the same thing is tried with the same file. */
export function addFailure(
  earlier: FailedDocument | undefined,
  { blameless = false, ...failure }: NewFailure,
  facts: { readonly documentId: string; readonly failedAt: number },
): FailedDocument {
  const repeats = earlier !== undefined && earlier.tried === failure.tried && sameStamp(earlier.file, failure.file)
  const before = repeats ? earlier.attempts : 0
  return { ...facts, ...failure, attempts: before + (blameless ? 0 : 1) }
}

function sameStamp(a: FileStamp | undefined, b: FileStamp | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return a.size === b.size && a.mtimeMs === b.mtimeMs && a.inode === b.inode
}
