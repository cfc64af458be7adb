/** How long to wait before another attempt. */

/**
 * Doubles from `firstMs` up to `longestMs`. Half of each delay is random, so that those who lost
 * the server together do not come back together.
 */
export class Backoff {
  constructor(
    private readonly firstMs: number,
    private readonly longestMs: number,
    private readonly random: () => number = Math.random,
  ) {}

  /** Returns the delay after the failed `attempt` (from 1), at least what the server asked for. */
  delayMs(attempt: number, retryAfterMs = 0): number {
    const whole = Math.min(this.longestMs, this.firstMs * 2 ** Math.min(attempt - 1, 30));
    return Math.max(whole / 2 + (whole / 2) * this.random(), retryAfterMs);
  }
}

/** Answers of a server, or of a proxy before it, that the next moment may change. */
const TEMPORARY: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/**
 * Whether another attempt is worth it. A server that says when to come back says so: a request
 * under a key of which the first is still under way gets such a 409.
 */
export function isTemporary(response: Response): boolean {
  const isConflict = response.status === 409 && response.headers.has("retry-after");
  return TEMPORARY.has(response.status) || isConflict;
}

/** Reads `Retry-After` in its form in seconds; a server of ours sends no other. */
export function retryAfterMs(headers: Headers): number {
  const value = headers.get("retry-after") ?? "";
  return /^\d+$/.test(value) ? Number(value) * 1000 : 0;
}
