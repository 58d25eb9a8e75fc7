import { skipWhiteSpace, trimEnd } from '../text/white-space.js'
import { cutStretch, isExtender } from './cut.js'
import type { Section } from './types.js'

/**
 * Finds sentences: `[start, end, start, end, ...]`, ascending, disjoint, without white space at either end. `offset` is where the
 * text begins in the section.
 */
export type FindSentences = (text: string, offset: number) => readonly number[]

/**
 * What chunks are made of, in order: sentences, parts of long ones, and `whole` stretches, none longer than `size`; sentences no longer
 * than `sentenceSize`, by default as much.
 */
export function unitsOf(
  section: Section,
  size: number,
  findSentences: FindSentences,
  { sentenceSize = size }: { readonly sentenceSize?: number } = {},
): number[] {
  const { text, whole } = section
  const units: number[] = []
  const add = (start: number, end: number, byLines: boolean): void => {
    let from = start
    if (units.length > 0 && isExtender(text, start)) {
      // A combining mark belongs to what is before it, whatever the sentence finder says.
      units.pop()
      from = units.pop() as number
    }
    cutStretch(text, { start: from, end, byLines }, byLines ? size : sentenceSize, units)
  }
  const addSentences = (start: number, end: number): void => {
    if (start >= end) return
    const sentences = findSentences(start === 0 && end === text.length ? text : text.slice(start, end), start)
    for (let i = 0; i < sentences.length; i += 2) {
      add(start + (sentences[i] as number), start + (sentences[i + 1] as number), false)
    }
  }

  let place = 0
  for (const stretch of whole) {
    addSentences(place, stretch.start)
    const start = skipWhiteSpace(text, stretch.start)
    const end = trimEnd(text, start, stretch.end)
    if (start < end) add(start, end, true)
    place = stretch.end
  }
  addSentences(place, text.length)
  return units
}

/** Cuts sentences also at the given places of the text, which ascend. White space is left out. */
export function cutAt(text: string, sentences: readonly number[], places: readonly number[]): number[] {
  const cut: number[] = []
  let next = 0
  for (let i = 0; i < sentences.length; i += 2) {
    const end = sentences[i + 1] as number
    let start = sentences[i] as number
    while (next < places.length && (places[next] as number) <= start) next++
    for (; next < places.length && (places[next] as number) < end; next++) {
      const place = places[next] as number
      const stop = trimEnd(text, start, place)
      if (stop > start) cut.push(start, stop)
      start = skipWhiteSpace(text, Math.max(start, place))
    }
    if (start < end) cut.push(start, end)
  }
  return cut
}
