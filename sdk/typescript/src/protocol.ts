/** The worker protocol's messages, version 1. See docs/worker-protocol.md. */

import { TaskFailure } from "./errors.js";
import { clean } from "./text.js";
import { encode } from "./json.js";

export const PROTOCOL = 1;
/**
 * A server takes less by default, and says so. One that is sent more than it reads at all hangs up,
 * and then looks as if it were away.
 */
const OUTPUT_BYTES_MAX = 4_000_000;
/** So many leases a poll may name. */
const HOLDING_MAX = 1_000;

export interface Registration {
  readonly worker: string;
  readonly lease_seconds: number;
  readonly heartbeat_seconds: number;
  readonly poll_seconds_max: number;
}

export interface Task {
  readonly lease: string;
  readonly run: string;
  readonly workflow: string;
  readonly version: string;
  readonly task: string;
  readonly uses: string;
  readonly attempt: number;
  readonly input: unknown;
  readonly idempotency_key: string;
  readonly actor?: string | null;
  readonly deadline?: string | null;
  readonly traceparent?: string | null;
  readonly tracestate?: string | null;
}

/** What became of a result: 200, or why it does not count. */
export interface Verdict {
  readonly lease: string;
  readonly status: number;
  readonly problem?: { readonly title?: string; readonly detail?: string } | null;
}

/** What a poll brings. Later servers may say more. */
export interface Answer {
  readonly tasks?: readonly Task[];
  readonly cancelled?: readonly string[];
  readonly drain?: boolean;
  readonly results?: readonly Verdict[];
}

/** How an attempt ended: its `output` or its `error`, as JSON. */
export interface Outcome {
  readonly field: "output" | "error";
  readonly json: string;
}

/** An outcome on its way to the server. */
export interface Result {
  readonly task: Task;
  readonly outcome: Outcome;
}

export function completed(output: unknown): Outcome {
  let json: string;
  try {
    json = encode(output);
  } catch (error) {
    return failed("invalid_output", `what the handler returned: ${textOf(error)}`, { retryable: false });
  }
  const size = Buffer.byteLength(json);
  if (size <= OUTPUT_BYTES_MAX) return { field: "output", json };
  const problem = `what the handler returned has ${size} bytes, ${OUTPUT_BYTES_MAX} may be`;
  return failed("invalid_output", problem, { retryable: false });
}

interface Failure {
  retryable?: boolean;
  retryAfterMs?: number | undefined;
  details?: unknown;
}

export function failed(type: string, message: string, failure: Failure = {}): Outcome {
  const fields = {
    type,
    message: clean(message),
    retryable: failure.retryable ?? true,
    retry_after_ms: failure.retryAfterMs ?? null,
  };
  try {
    return { field: "error", json: encode({ ...fields, details: failure.details ?? null }) };
  } catch {
    // Details that cannot be told are no reason to lose the error itself.
    return { field: "error", json: encode({ ...fields, details: null }) };
  }
}

/** Returns how a handler failed that threw `error`, which may be anything. */
export function failedWith(error: unknown): Outcome {
  if (error instanceof TaskFailure) {
    const retryAfterMs = error.retryAfterMs === undefined ? undefined : afterMs(error.retryAfterMs);
    const { retryable, details } = error;
    return failed(error.type, error.message || error.type, { retryable, retryAfterMs, details });
  }
  const name = error instanceof Error ? error.name : "error";
  return failed(snakeCase(name), textOf(error));
}

function afterMs(wanted: number): number {
  return Number.isFinite(wanted) ? Math.max(0, Math.round(wanted)) : 0;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error);
}

function snakeCase(name: string): string {
  return name.replace(/(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/g, "_").toLowerCase();
}

export function pollBody(
  slots: number,
  waitMs: number,
  results: readonly Result[],
  holding: readonly string[],
): string {
  const listed = results.map((it) => `{"lease":${encode(it.task.lease)},${fieldOf(it)}}`);
  const body = `"slots":${slots},"wait_seconds":${Math.floor(waitMs / 1000)},"results":[${listed}]`;
  // Where they are not named, all leases of the worker are prolonged.
  const isNamed = holding.length <= HOLDING_MAX;
  return isNamed ? `{${body},"holding":${encode(holding)}}` : `{${body}}`;
}

export function leaseBody(result: Result): string {
  return `{${fieldOf(result)}}`;
}

function fieldOf(result: Result): string {
  return `"${result.outcome.field}":${result.outcome.json}`;
}
