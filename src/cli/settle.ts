import { type CliDocuments, type CommandContext, describeError } from './context.js'

/** A small corpus has nothing to wait for, and no line about it. */
const quietMs = 1_000

/**
 * Waits until graphs are built and written, as the process ends afterwards and a short one never gets to it. When the user interrupts, or something is in
 * the way, that is left to another process: nothing is missing without it. Never rejects.
 */
export async function settle({ environment, json, note }: CommandContext, rag: CliDocuments): Promise<void> {
  const { signal } = environment
  const notice = setTimeout(
    () =>
      json ||
      note('What was read is stored. Building what makes questions faster; Ctrl-C leaves that to a later process.'),
    quietMs,
  )
  try {
    await rag.settled({ signal })
  } catch (error) {
    if (!signal.aborted && !json) note(`What makes questions faster was not built: ${describeError(error)}`)
  } finally {
    clearTimeout(notice)
  }
}
