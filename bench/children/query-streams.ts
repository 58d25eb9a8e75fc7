import { openCorpus, questionOf, writes } from '../query.js'

/** Streams at a time. */
const streams = 200

/** MB that the process has grown by from the first round of concurrent streams, after which all is warm, to the last. */
export default async function growth({ rounds }: { readonly rounds: number }): Promise<number> {
  const rag = await openCorpus({ llm: writes(Array.from({ length: 200 }, (_, i) => `token${i} [1] `)) })
  let first = 0
  for (let round = 0; round <= rounds; round++) {
    await Promise.all(
      Array.from({ length: streams }, async (_, i) => {
        for await (const _event of rag.stream(questionOf(round * streams + i)));
      }),
    )
    globalThis.gc?.()
    if (round === 0) first = process.memoryUsage.rss()
  }
  const last = process.memoryUsage.rss()
  await rag.close()
  return (last - first) / 2 ** 20
}
