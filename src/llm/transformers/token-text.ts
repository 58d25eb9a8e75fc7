/** Text of tokens, as they come. */
export interface TokenText {
  push(id: number): void
  /** What is left when no more tokens come. */
  end(): void
}

/** Decoded, some tokens are part of a character, which shows as this. */
const unfinished = '\ufffd'

/**
 * Turns tokens into text one by one. A token is decoded together with those before it, since many tokenizers write a blank, or not, depending on
 * what stands before; only the last few are decoded again (as in Hugging Face's text-generation-inference, `decode_token`). What ends within a
 * character waits for the rest of it.
 */
export function createTokenText(decode: (ids: number[]) => string, onText: (text: string) => void): TokenText {
  const ids: number[] = []
  /** Tokens before this are no longer looked at; those from there to `told` were told. */
  let from = 0
  let told = 0

  const tell = (isLast: boolean): void => {
    if (told === ids.length) return
    const before = from === told ? '' : decode(ids.slice(from, told))
    const all = decode(ids.slice(from))
    if (all.length <= before.length || (!isLast && all.endsWith(unfinished))) return
    onText(all.slice(before.length))
    from = told
    told = ids.length
  }
  return {
    push(id) {
      ids.push(id)
      tell(false)
    },
    end: () => tell(true),
  }
}
