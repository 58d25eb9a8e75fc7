import { type Command, exitCodes, requireStorage } from '../context.js'
import { settle } from '../settle.js'

/** `ufrag reindex`: embeds anew what has vectors of another embedder, or none, and rebuilds the indexes. Interrupted, the next one goes on. */
export const reindex: Command = async (context) => {
  requireStorage(context)
  return context.withRag(async (rag) => {
    await rag.reindex({ signal: context.environment.signal })
    const { documents, chunks } = await rag.stats()
    if (context.json) context.data({ documents, chunks })
    else context.line(`${documents} documents, ${chunks} chunks indexed`)
    await settle(context, rag)
    return exitCodes.ok
  })
}
