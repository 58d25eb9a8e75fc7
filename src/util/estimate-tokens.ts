/** Bytes per token, rather too few: English has about 4.5 in the vocabularies in use, code 3.5, Chinese and Japanese 3. */
const bytesPerToken = 3

/** Tokens of so many bytes of UTF-8, rather too many. */
export function estimateTokens(bytes: number): number {
  return Math.ceil(bytes / bytesPerToken)
}
