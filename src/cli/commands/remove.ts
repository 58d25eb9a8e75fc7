import { type Command, exitCodes, requireStorage } from '../context.js'

/** `ufrag remove <ids...>`: removes documents for good. Ids that are not stored are no error: they are gone already. */
export const remove: Command = async (context, ids) => {
  requireStorage(context)
  return context.withRag(async (rag) => {
    const removed = await rag.remove({ documentId: ids }, { signal: context.environment.signal })
    if (context.json) context.data({ removed, unknown: ids.length - removed })
    else
      context.line(`${removed} of ${ids.length} removed${removed < ids.length ? '; the others were not stored' : ''}`)
    return exitCodes.ok
  })
}
