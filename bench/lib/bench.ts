/** What a bench file receives. A bench is `bench/NAME.ts` with a default export of type {@link Bench}; `npm run bench -- NAME` runs it. */
export interface BenchContext {
  /** Fewer repetitions; never a smaller size than a metric key names. */
  readonly quick: boolean
  /** Folder with the measuring data (`../shared/data` or `UFRAG_DATA`), or undefined: then say what is skipped. */
  readonly data: string | undefined
  /** Prints a line. */
  log(line: string): void
  /** Prints rows as an aligned table; the first row is the heading. */
  table(rows: readonly (readonly (string | number)[])[]): void
  /**
   * Writes a file into `docs/benchmarks` when the command says `--write`, once the bench has ended with metrics; the figures (`NAME.json`) are
   * written without being asked for.
   */
  write(name: string, content: string): void
  /**
   * Runs the default export of a TypeScript module (path relative to `bench/`) in a fresh process with `argument` and returns its
   * result (both as structured clones: NaN stays NaN) with the peak anonymous memory (`RssAnon`, bytes) sampled while it ran. Passes `--expose-gc`.
   */
  child<Result>(module: string, argument: unknown): Promise<{ result: Result; peakAnonymousBytes: number }>
  /** Absolute path of a package installed in `bench/peers` (installed on first use), for `import()`. */
  peer(packageName: string): Promise<string>
}

/** Metrics by key `metric` or `group.metric`. */
export type Metrics = Record<string, number>

export type Bench = (context: BenchContext) => Promise<Metrics>
