import type { DocumentFailure } from '../../core/document.js'
import { RagError, type RagErrorCode } from '../../core/errors.js'
import type { FailedDocument, FileStamp } from '../../store/types.js'

/** Attempts after which a file is left out until it changes. The second tells a hiccup, the third one that lasts. */
const maxAttempts = 3

/** Failures that are not about one document: they end the whole run. */
const fatal: ReadonlySet<RagErrorCode> = new Set(['CLOSED', 'READ_ONLY', 'STORAGE_FULL', 'FINGERPRINT', 'DEADLINE'])

/** What reading may throw that is no fault of the document: a file that vanished, a disk that fails, a package that is missing. */
const circumstances: ReadonlySet<RagErrorCode> = new Set([
  'MISSING_PEER',
  'NOT_FOUND',
  'OVERLOADED',
  'PROVIDER',
  'STORAGE',
])

/** Whether a failure ends the run, as it would meet every other document too. */
export function endsRun(error: unknown): boolean {
  return RagError.isInstance(error) && fatal.has(error.code)
}

/** Whether what was thrown while a document was read lies in the document. */
export function liesInDocument(error: unknown): boolean {
  return !RagError.isInstance(error) || !circumstances.has(error.code)
}

/**
 * Whether a document is left out: it has failed too often, and neither its file nor the way it is tried has changed. Only files are:
 * of what is in memory nothing tells, before it is read, that it is the same again.
 */
export function isLeftOut(
  failure: FailedDocument,
  attempt: { readonly file: FileStamp | undefined; readonly tried: string },
): boolean {
  return isQuarantined(failure) && failure.tried === attempt.tried && sameFile(failure.file, attempt.file)
}

/** What callers see of a failure. */
export function toDocumentFailure(failure: FailedDocument): DocumentFailure {
  const { attempts, code, documentId: id, failedAt, message, source = id } = failure
  return { id, source, code, message, attempts, quarantined: isQuarantined(failure), failedAt }
}

function isQuarantined({ attempts, file }: FailedDocument): boolean {
  return attempts >= maxAttempts && file !== undefined
}

export function sameFile(a: FileStamp | undefined, b: FileStamp | undefined): boolean {
  if (a === undefined || b === undefined) return false
  const [one, other] = [a.validators, b.validators]
  // Of what was read from the web only its server can say that it is the same.
  if (one !== undefined || other !== undefined) return one?.etag !== undefined && one.etag === other?.etag
  return a.size === b.size && a.mtimeMs === b.mtimeMs && a.inode === b.inode
}
