/**
 * Every adapter of the library, by port and name: the only list there is. An entry loads its file when it is first used, so an
 * adapter nobody chose costs nothing. A new adapter is one file in its port's folder and one line here; its options, if it has any
 * the caller may set, are one more in `config/adapter-options.ts`.
 */
export const catalogue = {
  extractors: {
    pdfium: () => import('../extract/pdf.js'),
    'pdf-parse': () => import('../extract/pdf-parse.js'),
  },
  chunkers: {
    sentence: () => import('../chunk/sentence.js'),
    'sentence-splitter': () => import('../chunk/sentence-splitter.js'),
  },
  embedders: {
    hashing: () => import('../embed/hashing.js'),
  },
  vectorIndexes: {
    flat: () => import('../vector-index/flat.js'),
  },
  lexicalIndexes: {
    bm25: () => import('../lexical-index/bm25.js'),
  },
  fusions: {
    rrf: () => import('../fusion/rrf.js'),
    weighted: () => import('../fusion/weighted.js'),
  },
  llms: {
    extractive: () => import('../llm/extractive.js'),
  },
  stores: {
    memory: () => import('../store/memory.js'),
    lmdb: () => import('../store/lmdb.js'),
  },
} as const

export type Catalogue = typeof catalogue
