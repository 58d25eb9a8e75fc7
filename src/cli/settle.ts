import type { CliDocuments, CommandContext } from './context.js'

/** A small corpus has nothing to wait for, and no line about it. */
const quietMs = 1_000

/**
 * Waits until graphs are built and written, as the process ends afterwards and a short one never gets to it. When the user interrupts, that is left to
 * another one: nothing is missing without it.
 */
export async function settle({ environment, json, note }: CommandContext, rag: CliDocuments): Promise<void> {
  const { signal } = environment
  const notice = setTimeout(
    () => json || note('All is stored. Building what makes questions faster; Ctrl-C leaves that to a later process.'),
    quietMs,
  )
  try {
    await rag.settled({ signal })
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    clearTimeout(notice)
  }
}
