export { type BootstrapOptions, type PairedDifference, pairedBootstrap } from './bootstrap.js'
export {
  type DatasetOptions,
  type LabelledDocument,
  type LabelledQuery,
  type LabelledSet,
  readDataset,
} from './dataset.js'
export {
  compareEvaluations,
  documentsOf,
  type EvaluatedRag,
  type EvaluateOptions,
  type Evaluation,
  evaluate,
  type MeasureName,
  measureNames,
} from './evaluate.js'
export {
  averagePrecision,
  type Judgements,
  type NdcgOptions,
  ndcg,
  precision,
  type RankOptions,
  type RecallOptions,
  recall,
  reciprocalRank,
} from './metrics.js'
export { type EvaluationReport, reportOf } from './report.js'
