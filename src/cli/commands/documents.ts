import { type Command, exitCodes, requireStorage } from '../context.js'

/** `ufrag documents`: lists what is stored, one document per line: id, chunks, title; or what failed: id, attempts, code, message. */
export const documents: Command<{ readonly failed?: true }> = async (context, _parameters, { failed }) => {
  requireStorage(context)
  return context.withRag(async (rag) => {
    if (failed) {
      for await (const failure of rag.failures()) {
        context.environment.signal.throwIfAborted()
        const { attempts, code, id, message, quarantined } = failure
        if (context.json) context.data(failure)
        else context.line([id, `${attempts}${quarantined ? ' quarantined' : ''}`, code, message].join('\t'))
      }
      return exitCodes.ok
    }
    for await (const document of rag.documents()) {
      context.environment.signal.throwIfAborted()
      if (context.json) context.data(document)
      else context.line([document.id, document.chunks, document.title].join('\t'))
    }
    return exitCodes.ok
  })
}
