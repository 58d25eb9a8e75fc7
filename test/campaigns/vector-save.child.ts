import { openForCampaign, publishNext } from './vector-save-index.js'

// Publishes and saves without end, and tells of each save that was acknowledged.
const index = await openForCampaign(process.argv[2] as string)
process.stdout.write(`${index.epoch}\n`)
for (;;) {
  await publishNext(index)
  await index.persist()
  process.stdout.write(`${index.epoch}\n`)
}
