/** The code of an error of the operating system or of Node (`ENOENT`, `ERR_MODULE_NOT_FOUND`); `undefined` where it has none. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** The code of an error of the operating system alone, `undefined` for any other error. */
export function systemErrorCode(error: unknown): string | undefined {
  return error instanceof Error && 'syscall' in error ? errorCode(error) : undefined
}

/** Whether an error says that a file, or a folder above it, is not there (any more). */
export function isMissingFile(error: unknown): boolean {
  const code = errorCode(error)
  return code === 'ENOENT' || code === 'ENOTDIR'
}

/** Whether an error says that there is no room for what was to be written: on the disk, in the quota, or in a file of its kind. */
export function isDiskFull(error: unknown): boolean {
  const code = errorCode(error)
  return code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG'
}
