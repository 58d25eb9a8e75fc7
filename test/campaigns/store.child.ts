/**
 * A process that writes to a store from a seed until it is killed or done, and prints a line before each operation and one after
 * its acknowledgement. Run by `store-campaign.ts` as `node --import tsx store.child.ts '{"directory": …}'`.
 */
import { writeSync } from 'node:fs'
import { openLmdbStore } from '../../src/store/lmdb.js'
import { put, type SampleDocument, sampleDocument } from '../../src/testing/store-suite.js'
import { randomNumbers } from '../../src/testing/support.js'

export interface ChildOptions {
  readonly directory: string
  readonly seed: number
  /** Documents `PREFIX0` to `PREFIX(documents - 1)`. */
  readonly prefix: string
  readonly documents: number
  readonly operations: number
  /** Operations at once; each lane has documents of its own, so that the order per document is known. */
  readonly lanes: number
}

/** What is done to a document: put the version of this seed, or (0) remove it. */
export interface Operation {
  readonly id: string
  readonly seed: number
}

export interface Report extends Operation {
  readonly stage: 'begun' | 'acknowledged'
}

/** The version of a document that a seed stands for: mostly small, now and then of several transactions. */
export function versionOf({ id, seed }: Operation): SampleDocument {
  const random = randomNumbers(seed)
  const large = random() < 0.12
  return sampleDocument(id, {
    seed,
    pieces: large ? 30 + Math.floor(random() * 60) : Math.floor(random() * 4),
    chunksPerPiece: large ? 20 : 1 + Math.floor(random() * 5),
    chunkSize: large ? 1500 : 60,
    dimensions: random() < 0.5 ? 0 : 16,
  })
}

async function main({ directory, seed, prefix, documents, operations, lanes }: ChildOptions): Promise<void> {
  const store = await openLmdbStore({ directory, retireMs: 50 })
  const namespace = store.namespace('')
  const report = (stage: Report['stage'], operation: Operation) =>
    writeSync(1, `${JSON.stringify({ stage, ...operation })}\n`)

  const lane = async (number: number) => {
    const random = randomNumbers(seed * 100 + number)
    for (let step = 0; step < operations / lanes; step++) {
      const id = `${prefix}${number + lanes * Math.floor((random() * documents) / lanes)}`
      const operation = { id, seed: random() < 0.2 ? 0 : seed * 1_000_000 + number * 100_000 + step + 1 }
      report('begun', operation)
      if (operation.seed === 0) await namespace.remove([id])
      else await put(namespace, versionOf(operation))
      report('acknowledged', operation)
    }
  }
  await Promise.all(Array.from({ length: lanes }, (_, number) => lane(number)))
  await store.close()
}

const [, script, options] = process.argv
if (script?.endsWith('store.child.ts') && options !== undefined) await main(JSON.parse(options) as ChildOptions)
