/** Results that the server has not acknowledged yet. */

import { Gate } from "./gate.js";
import type { Result } from "./protocol.js";

/** What one request carries at most; the rest goes with the next one. */
export const RESULTS_MAX = 100;
export const CHARACTERS_MAX = 512 * 1024;

/** Results wait here until a request takes them along; one that fails puts them back. */
export class Outbox {
  #waiting: Result[] = [];
  #onTheWay = 0;
  readonly hasSome = new Gate();
  /** Everything was sent and acknowledged. */
  readonly isSettled = new Gate();

  constructor() {
    this.#tell();
  }

  put(result: Result): void {
    this.#waiting.push(result);
    this.#tell();
  }

  /** Returns the leases whose results wait. */
  leases(): string[] {
    return this.#waiting.map((it) => it.task.lease);
  }

  /** Takes as much as one request may carry, and at least one result if there is any. */
  take(): Result[] {
    let size = 0;
    const isTooMuch = (it: Result, at: number) => {
      size += it.outcome.json.length;
      return at > 0 && (at >= RESULTS_MAX || size > CHARACTERS_MAX);
    };
    const end = this.#waiting.findIndex(isTooMuch);
    const taken = this.#waiting.splice(0, end < 0 ? this.#waiting.length : end);
    this.#onTheWay += taken.length;
    this.#tell();
    return taken;
  }

  acknowledge(results: readonly Result[]): void {
    this.#onTheWay -= results.length;
    this.#tell();
  }

  putBack(results: readonly Result[]): void {
    this.#onTheWay -= results.length;
    this.#waiting.unshift(...results);
    this.#tell();
  }

  #tell(): void {
    this.hasSome.set(this.#waiting.length > 0);
    this.isSettled.set(this.#waiting.length === 0 && this.#onTheWay === 0);
  }
}
