/** What a model wrote, read at once. */
export interface WrittenAnswer {
  readonly text: string
  /** A model stood in for one that failed: the answer is good for now, and not to be kept. */
  readonly isSubstitute: boolean
}

export interface ReadAnswerOptions {
  readonly signal?: AbortSignal | undefined
  /** UTF-16 code units; the model is stopped when it has written more, and the rest is cut off. */
  readonly maxCharacters: number
}

/** A model that writes, as far as it is needed here. */
interface Writer<Prompt> {
  generate(
    prompt: Prompt,
    options: { readonly signal?: AbortSignal; readonly onEnd: (end: { readonly isSubstitute?: boolean }) => void },
  ): AsyncIterable<string>
}

/** Reads an answer that nobody watches while it is written. Rejects with what the model throws, and with `signal.reason`. */
export async function readAnswer<Prompt>(
  model: Writer<Prompt>,
  prompt: Prompt,
  { maxCharacters, signal }: ReadAnswerOptions,
): Promise<WrittenAnswer> {
  let text = ''
  let isSubstitute = false
  const options = {
    ...(signal === undefined ? {} : { signal }),
    onEnd: (end: { readonly isSubstitute?: boolean }) => {
      isSubstitute = end.isSubstitute === true
    },
  }
  for await (const part of model.generate(prompt, options)) {
    signal?.throwIfAborted()
    text += part
    if (text.length > maxCharacters) break
  }
  return { text: text.slice(0, maxCharacters), isSubstitute }
}
