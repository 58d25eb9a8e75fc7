import { RagError } from '../../core/errors.js'
import { type Command, describeError, errorData, exitCodes } from '../context.js'

/** `ufrag watch <folder>`: stores a folder and follows it. Ctrl-C is how it ends, so that is no interruption. */
export const watch: Command<{ readonly poll?: string }> = (context, [folder = '.'], { poll }) =>
  context.withRag(async (rag) => {
    const { signal } = context.environment
    const following = await rag.watch(folder, {
      signal,
      ...(poll === undefined ? {} : { pollMs: toMilliseconds(poll) }),
      onEvent: (event) => {
        if (event.type === 'error') {
          if (context.json) context.data({ type: 'error', error: errorData(event.error) })
          else context.note(describeError(event.error))
          return
        }
        const { failed, ...counts } = event.report
        if (context.json) {
          const errors = failed.map(({ source, error }) => ({ source, error: errorData(error) }))
          context.data({ type: event.type, report: { ...counts, failed: errors } })
          return
        }
        for (const { source, error } of failed) context.note(`${source}: ${describeError(error)}`)
        const { chunks, documents, removed, unchanged } = counts
        const known = event.type === 'scanned' ? `, ${unchanged} unchanged` : ''
        context.line(`${documents} stored${known}, ${removed} removed, ${failed.length} failed; ${chunks} chunks`)
      },
    })
    if (!context.json) context.note(`Watching ${following.folder}; Ctrl-C ends.`)
    await following.closed
    return exitCodes.ok
  })

function toMilliseconds(text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value > 0) return value
  throw new RagError('BAD_OPTION', `--poll takes milliseconds, not "${text}".`, { data: { option: '--poll' } })
}
