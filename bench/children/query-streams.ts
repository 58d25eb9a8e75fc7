import { settledAnonymousBytes } from '../lib/memory.js'
import { openCorpus, questionOf, writes } from '../query.js'

/** Streams at a time. */
const streams = 200
/** What the ingest has left is given back during the first ones. */
const warmUpRounds = 5
/** Growth adds up over them: their number belongs to the figure. */
const rounds = 10

/** MB that the process, come to rest, holds more after ten rounds of concurrent streams than before them, all being warm. */
export default async function growth(): Promise<number> {
  const rag = await openCorpus({ llm: writes(Array.from({ length: 200 }, (_, i) => `token${i} [1] `)) })
  const ask = (round: number) =>
    Promise.all(
      Array.from({ length: streams }, async (_, i) => {
        for await (const _event of rag.stream(questionOf(round * streams + i)));
      }),
    )
  for (let round = 0; round < warmUpRounds; round++) await ask(round)
  const first = await settledAnonymousBytes()
  for (let round = 0; round < rounds; round++) await ask(warmUpRounds + round)
  const last = await settledAnonymousBytes()
  await rag.close()
  return (last - first) / 2 ** 20
}
