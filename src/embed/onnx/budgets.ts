/** Padded tokens per pass where nobody has said or measured better: a CPU gains nothing beyond, a GPU is not filled by less. */
const usual = { cpu: 512, others: 16_384 }
/**
 * What a pass costs beside its rows: on a CPU some 2 ms, in which 20 to 40 tokens could be computed (measured, MiniLM-L6 in int8). For
 * an accelerator a part of its budget is assumed: a pass that does not fill it takes nearly as long as one that does.
 */
const costOfPass = { cpuTokens: 32, othersShare: 1 / 8 }
/** No failure for memory lowers a budget below this: one that was passing must not make every later pass a tiny one. */
const least = 64

/** How many tokens, padding included, one pass of the model may have, by device (`'cpu:0'`, `'cuda:1'`). */
export class TokenBudgets {
  readonly #chosen: number | undefined
  readonly #tuned = new Map<string, number>()
  readonly #refused = new Map<string, number>()

  /** `chosen`: for every device. Default: 512 on a CPU, 16,384 elsewhere. */
  constructor(chosen?: number) {
    this.#chosen = chosen
  }

  of(device: string): number {
    const kind = kindOf(device)
    const wanted = this.#tuned.get(kind) ?? this.#chosen ?? (kind === 'cpu' ? usual.cpu : usual.others)
    return Math.min(wanted, this.#refused.get(device) ?? wanted)
  }

  /** What a pass costs beside its rows, in tokens. */
  passTokens(device: string): number {
    return kindOf(device) === 'cpu' ? costOfPass.cpuTokens : this.of(device) * costOfPass.othersShare
  }

  /** What was measured to be best for devices of this kind (`'cpu'`, `'cuda'`). */
  tune(kind: string, tokens: number): void {
    this.#tuned.set(kind, tokens)
  }

  /** The device had no memory for a pass of so many tokens: from now on it is given half of that. */
  lower(device: string, refusedTokens: number): void {
    this.#refused.set(device, Math.max(least, Math.min(this.of(device), Math.floor(refusedTokens / 2))))
  }
}

/** `'cuda:1'` is a `'cuda'`. */
export function kindOf(device: string): string {
  return device.split(':')[0] as string
}
