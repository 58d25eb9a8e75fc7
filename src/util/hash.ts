import { createHash } from 'node:crypto'

/**
 * SHA-256, in hex, of a list of fields. Every field is preceded by its length, so that no two different lists give the same bytes
 * (`'ab', 'c'` and `'a', 'bc'`). Strings are hashed as UTF-8; a lone surrogate counts as U+FFFD, as in every UTF-8 encoder.
 */
export function sha256Hex(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256')
  for (const part of parts) {
    const length = typeof part === 'string' ? Buffer.byteLength(part) : part.byteLength
    hash.update(`${length}:`).update(part)
  }
  return hash.digest('hex')
}

/** A SHA-256 of content that arrives in parts: how it is cut makes no difference. */
export interface ContentHash {
  /** A string is hashed as UTF-8: cut it at character boundaries, never inside a surrogate pair. */
  update(part: string | Uint8Array): void
  /** Hex. The hash cannot be used afterwards. */
  digest(): string
}

/** Starts a {@link ContentHash}. */
export function createContentHash(): ContentHash {
  const hash = createHash('sha256')
  return {
    update: (part) => {
      hash.update(part)
    },
    digest: () => hash.digest('hex'),
  }
}
