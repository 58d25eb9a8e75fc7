import { type Command, exitCodes, requireStorage } from '../context.js'

/** `ufrag documents`: lists what is stored, one document per line: id, chunks, title. */
export const documents: Command = async (context) => {
  requireStorage(context)
  return context.withRag(async (rag) => {
    for await (const document of rag.documents()) {
      context.environment.signal.throwIfAborted()
      if (context.json) context.data(document)
      else context.line([document.id, document.chunks, document.title].join('\t'))
    }
    return exitCodes.ok
  })
}
