/** A worker's requests. One attempt each: when to try again is the session's business. */

import { isTemporary, retryAfterMs } from "./backoff.js";
import { problemError, SurefootError, Unreachable, type ProblemError } from "./errors.js";
import type { Settings } from "./settings.js";
import { documentOf, path } from "./transport.js";

const TIMEOUT_MS = 10_000;

/** The server cannot be reached, or cannot answer now. */
export class Away extends SurefootError {
  constructor(
    cause: SurefootError,
    readonly retryAfterMs = 0,
  ) {
    super(cause.message, { cause });
  }
}

export interface WireReply {
  readonly status: number;
  /** What the server says; a problem if it refuses. */
  readonly body: any;
  /** The refusal as an error, to be thrown where it is not expected. */
  readonly problem: ProblemError | undefined;
}

export class Wire {
  constructor(private readonly settings: Settings) {}

  /** Throws `Away`, or the reason of `signal`; any other refusal is the caller's to understand. */
  async #send(method: string, place: string, body: string | null, signal?: AbortSignal, waitMs = 0): Promise<WireReply> {
    const limit = AbortSignal.timeout(TIMEOUT_MS + waitMs);
    const ends = signal ? AbortSignal.any([limit, signal]) : limit;
    const headers = { ...this.settings.headers, "Content-Type": "application/json" };
    try {
      const init = { method, headers, body, signal: ends, redirect: "error" } as const;
      const response = await fetch(this.settings.server + place, init);
      const known = documentOf((await response.text()) || "null");
      if (response.ok) return { status: response.status, body: known, problem: undefined };
      const problem = problemError(response.status, known, `${method} ${place}`);
      if (isTemporary(response)) throw new Away(problem, retryAfterMs(response.headers));
      return { status: response.status, body: known, problem };
    } catch (error) {
      if (error instanceof Away) throw error;
      signal?.throwIfAborted();
      throw new Away(new Unreachable(this.settings.server, error));
    }
  }

  register(body: string, signal: AbortSignal): Promise<WireReply> {
    return this.#send("POST", path("workers"), body, signal);
  }

  poll(worker: string, body: string, waitMs: number, signal: AbortSignal): Promise<WireReply> {
    return this.#send("POST", path("workers", worker, "poll"), body, signal, waitMs);
  }

  drain(worker: string): Promise<WireReply> {
    return this.#send("POST", path("workers", worker, "drain"), "{}");
  }

  leave(worker: string): Promise<WireReply> {
    return this.#send("DELETE", path("workers", worker), null);
  }

  lease(lease: string, verb: "complete" | "fail" | "heartbeat", body: string): Promise<WireReply> {
    return this.#send("POST", path("leases", lease, verb), body);
  }
}
