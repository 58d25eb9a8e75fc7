/** Something that holds resources. `close()` is safe before first use and safe twice. */
export interface Closable {
  close(): Promise<void>
}

/** Options of every method that waits. */
export interface WaitOptions {
  /** Aborts the call: it rejects with `signal.reason` soon after. */
  readonly signal?: AbortSignal
  /** Milliseconds from now after which the call rejects with `RagError` `DEADLINE`. Absent: no limit. */
  readonly deadlineMs?: number
}

/** Where the library writes what it would tell an operator. Silent by default. */
export interface Logger {
  debug(message: string, data?: Readonly<Record<string, unknown>>): void
  info(message: string, data?: Readonly<Record<string, unknown>>): void
  warn(message: string, data?: Readonly<Record<string, unknown>>): void
  error(message: string, data?: Readonly<Record<string, unknown>>): void
}
