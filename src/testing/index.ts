export { storeConformance } from './store-suite.js'
export { vectorIndexConformance } from './vector-index-suite.js'
