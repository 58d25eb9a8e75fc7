export { storeConformance } from './store-suite.js'
