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

/** How models number and mark what they list. */
const listMark = /^\s*(?:[-*\u2022]|\d{1,3}[.):])\s*/
const hasWord = /[\p{L}\p{N}]/u

/** What a model has listed, one thing a line, without numbers and marks. */
export function linesIn(answer: string, maxCharacters: number): string[] {
  return answer
    .split('\n')
    .map((line) => shortened(line.replace(listMark, '').trim(), maxCharacters))
    .filter((line) => hasWord.test(line))
}
