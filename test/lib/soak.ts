import { it } from 'vitest'

/** Whether everything runs that there is, as `npm run test:soak` does. */
export const everything = process.env.UFRAG_SOAK === '1'

/** A test that takes seconds and guards what others guard by a smaller case: `npm run test:soak` runs it, `npm test` leaves it out. */
export const inSoak = it.skipIf(!everything)
