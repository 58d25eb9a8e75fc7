import { causalLmFolder } from '../fixtures/models/causal-lm-folder.js'

/** What the tiny model of the tests writes about words of a prompt; see `llmPrompts`. The second answer has a character in two tokens. */
export const writtenAnswers = {
  tower: ['It is 330 metres tall', ' [1]. It was', ' opened in 1889 [1].'],
  bread: ['Of flour, water', ' and p', '\\xC3', '\\xA2', 'te [1].'],
  endless: ['more ', 'more '],
  thinking: ['<think>What', ' is it?</', 'think>', '\n\nIt', ' is so.'],
}

/** A folder with a model that writes these. */
export function writingModelFolder(options: Partial<Parameters<typeof causalLmFolder>[0]> = {}): string {
  return causalLmFolder({ answers: writtenAnswers, silent: ['mercury'], ...options })
}
