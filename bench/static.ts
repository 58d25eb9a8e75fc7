import type { Bench } from './lib/bench.js'
import { measureStaticSpeed } from './lib/static-speed.js'

/** How fast the static embedder is; see `measureStaticSpeed`. */
const bench: Bench = (context) => measureStaticSpeed(context)
export default bench
