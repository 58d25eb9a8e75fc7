/** What the pipelines report to; the tracker listens, tests may too. Calls are cheap and never throw. */
export interface Recorder {
  /** A named stage took so long. */
  stage(name: string, durationMs: number): void
  /** Something happened `by` times (default 1). */
  count(name: string, by?: number): void
}
