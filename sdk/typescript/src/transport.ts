/** Requests of a client: sent, again if need be, and understood. */

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import { Backoff, isTemporary, retryAfterMs } from "./backoff.js";
import { problemError, SurefootError, Unreachable } from "./errors.js";
import { encode } from "./json.js";
import type { Settings } from "./settings.js";

/** Whoever is asked to wait longer hears of it instead. */
const RETRY_AFTER_MAX_MS = 30_000;

export interface Call {
  readonly method: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** How long the server may take on purpose. */
  readonly waitMs?: number;
}

export interface Reply {
  readonly status: number;
  readonly body: any;
}

/** Joins parts of a path, each escaped as a whole: an id may hold anything. */
export function path(...parts: string[]): string {
  return "/v1/" + parts.map(encodeURIComponent).join("/");
}

/** A POST may be sent again: a key tells a repetition, unless the body does. */
export function post(place: string, body: unknown, needsKey = true): Call {
  const key: Record<string, string> = needsKey ? { "Idempotency-Key": randomUUID() } : {};
  const headers = { "Content-Type": "application/json", ...key };
  return { method: "POST", path: place, headers, body: encode(body) };
}

export class Transport {
  readonly backoff = new Backoff(100, 5_000);

  constructor(
    private readonly settings: Settings,
    private readonly timeoutMs: number,
    private readonly attemptsMax: number,
  ) {}

  get server(): string {
    return this.settings.server;
  }

  /** Sends one request, again if need be, and throws what the server refuses. */
  async send(call: Call): Promise<Reply> {
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.#attempt(call);
      if (!(outcome instanceof SurefootError)) return outcome;
      await sleep(this.delayMs(attempt, outcome));
    }
  }

  /** Returns the answer, or why there is none yet. Throws what another attempt cannot change. */
  async #attempt(call: Call): Promise<Reply | SurefootError> {
    const signal = AbortSignal.timeout(this.timeoutMs + (call.waitMs ?? 0));
    try {
      const response = await this.fetch(call, signal);
      const text = await response.text();
      if (response.ok) return { status: response.status, body: text ? parse(text) : undefined };
      return refusal(response, text, call);
    } catch (error) {
      if (error instanceof SurefootError) throw error;
      return new Unreachable(this.server, error);
    }
  }

  fetch(call: Call, signal: AbortSignal): Promise<Response> {
    const url = new URL(this.server + call.path);
    for (const [name, value] of Object.entries(call.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, value);
    }
    const headers = { ...this.settings.headers, ...call.headers };
    const body = call.body === undefined ? null : call.body;
    return fetch(url, { method: call.method, headers, body, signal, redirect: "error" });
  }

  /** Returns how long to wait after the failed `attempt` (from 1), or throws why it failed. */
  delayMs(attempt: number, error: SurefootError): number {
    const asked = error instanceof Later ? error.afterMs : 0;
    if (attempt >= this.attemptsMax || asked > RETRY_AFTER_MAX_MS) {
      throw error instanceof Later ? error.problem : error;
    }
    return this.backoff.delayMs(attempt, asked);
  }
}

/** A refusal that the next moment may change. It does not leave this package. */
export class Later extends SurefootError {
  constructor(
    readonly problem: SurefootError,
    readonly afterMs: number,
  ) {
    super(problem.message);
  }
}

/** Returns a refusal that may change, and throws one that will not. */
export function refusal(response: Response, text: string, call: Call): Later {
  const request = `${call.method} ${call.path}`;
  const problem = problemError(response.status, documentOf(text), request);
  if (isTemporary(response)) return new Later(problem, retryAfterMs(response.headers));
  throw problem;
}

export function documentOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return { detail: text.slice(0, 200) };
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new SurefootError("the server's answer is not JSON", { cause: error });
  }
}
