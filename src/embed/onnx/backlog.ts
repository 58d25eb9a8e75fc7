import type { Call } from './call.js'
import { Text } from './work.js'

/** Texts per slice at most, however short. */
const mostTexts = 4_096

/** Calls with texts that no tokenizer has been given, in the order they came. */
export class Backlog {
  readonly #calls = new Set<Call>()
  #characters = 0

  get isEmpty(): boolean {
    return this.#calls.size === 0
  }

  /** It holds one text. */
  get isLoneText(): boolean {
    const [call] = this.#calls
    return call !== undefined && this.#calls.size === 1 && call.next + 1 === call.texts.length
  }

  /** Of all its texts. */
  get characters(): number {
    return this.#characters
  }

  add(call: Call): void {
    this.#calls.add(call)
    this.#characters += charactersLeft(call)
  }

  /** Forgets the texts of a call that nobody waits for any more. */
  delete(call: Call): void {
    if (this.#calls.delete(call)) this.#characters -= charactersLeft(call)
  }

  /** Takes the next texts of one kind, from as many calls as it takes: at least one, beyond that less than `characters`. */
  cut(characters: number): Text[] {
    const texts: Text[] = []
    let taken = 0
    for (const call of this.#calls) {
      if (texts[0] !== undefined && texts[0].call.kind !== call.kind) break
      while (call.next < call.texts.length && taken < characters && texts.length < mostTexts) {
        const text = new Text(call, call.next++)
        taken += text.content.length
        texts.push(text)
      }
      if (call.next < call.texts.length) break
      this.#calls.delete(call)
    }
    this.#characters -= taken
    return texts
  }
}

function charactersLeft({ texts, next }: Call): number {
  let characters = 0
  for (let index = next; index < texts.length; index++) characters += (texts[index] as string).length
  return characters
}
