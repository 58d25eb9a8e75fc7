import type { Bench } from './lib/bench.js'
import { measureTokenizerSpeed } from './lib/tokenizer-speed.js'

/** How fast texts become token ids, against `@huggingface/transformers` on the same texts; see {@link measureTokenizerSpeed}. */
const bench: Bench = measureTokenizerSpeed
export default bench
