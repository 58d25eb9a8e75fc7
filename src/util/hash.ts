import { createHash, hash } from 'node:crypto'

/**
 * SHA-256, in hex, of a list of fields. Every field is preceded by its length, so that no two different lists give the same bytes
 * (`'ab', 'c'` and `'a', 'bc'`). Strings are hashed as UTF-8; a lone surrogate counts as U+FFFD, as in every UTF-8 encoder.
 */
export function sha256Hex(...parts: readonly (string | Uint8Array)[]): string {
  // In one call where that can be: an object for the hash of a passage costs three times what hashing does.
  let text = ''
  for (const part of parts) {
    if (typeof part !== 'string') return sha256OfParts(parts)
    text += `${Buffer.byteLength(part)}:${part}`
  }
  return hash('sha256', text, 'hex')
}

function sha256OfParts(parts: readonly (string | Uint8Array)[]): string {
  const digest = createHash('sha256')
  for (const part of parts) {
    const length = typeof part === 'string' ? Buffer.byteLength(part) : part.byteLength
    digest.update(`${length}:`).update(part)
  }
  return digest.digest('hex')
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
  const digest = createHash('sha256')
  return {
    update: (part) => {
      digest.update(part)
    },
    digest: () => digest.digest('hex'),
  }
}
