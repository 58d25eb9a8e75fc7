/** Token ids of many texts, one after the other. */
export class TokenBuffer {
  /** The ids, and room for more. */
  ids = new Int32Array(1024)
  /** Ids so far. */
  length = 0

  push(id: number): void {
    if (this.length === this.ids.length) this.#grow()
    this.ids[this.length++] = id
  }

  #grow(): void {
    const larger = new Int32Array(this.ids.length * 2)
    larger.set(this.ids)
    this.ids = larger
  }
}
