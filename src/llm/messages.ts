import type { Prompt, PromptMessage } from './types.js'

/** The messages of a prompt; of one that has none, the instructions and what follows them in its text. */
export function messagesOf({ messages, system, text }: Prompt): readonly PromptMessage[] {
  if (messages !== undefined) return messages
  const rest = system !== '' && text.startsWith(system) ? text.slice(system.length).trimStart() : undefined
  // A text that was not made the usual way is sent as it is.
  if (rest === undefined) return [{ role: 'user', content: text }]
  return [
    { role: 'system', content: system },
    { role: 'user', content: rest },
  ]
}
