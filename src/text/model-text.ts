/** Some models write down what they think first; that is no part of what they were asked for. */
export function withoutThoughts(answer: string): string {
  return answer.replace(/<think(?:ing)?>[\s\S]*?(?:<\/think(?:ing)?>|$)/gi, ' ')
}

/** The beginning of a text, not cut within a surrogate pair. */
export function shortened(text: string, length: number): string {
  if (text.length <= length) return text
  const end = /[\ud800-\udbff]/.test(text.charAt(length - 1)) ? length - 1 : length
  return text.slice(0, end)
}
