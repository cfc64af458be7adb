/** Something to wait for: open or closed, and opened by whoever has news. */

export class Gate {
  #isOpen = false;
  #waiting: (() => void)[] = [];

  get isOpen(): boolean {
    return this.#isOpen;
  }

  open(): void {
    this.#isOpen = true;
    for (const wake of this.#waiting.splice(0)) wake();
  }

  close(): void {
    this.#isOpen = false;
  }

  set(isOpen: boolean): void {
    if (isOpen) this.open();
    else this.close();
  }

  /** Resolves once the gate is open; rejects when `signal` is aborted. */
  wait(signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#isOpen) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const abort = () => {
        this.#waiting = this.#waiting.filter((it) => it !== wake);
        reject(signal?.reason);
      };
      const wake = () => {
        signal?.removeEventListener("abort", abort);
        resolve();
      };
      this.#waiting.push(wake);
      signal?.addEventListener("abort", abort, { once: true });
    });
  }
}
