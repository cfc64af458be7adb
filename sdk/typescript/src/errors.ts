/** What goes wrong, as errors: those that a handler throws, and those that a client meets. */

export interface FailureOptions {
  /** A short name in snake case; definitions test it as `error.type`. */
  type?: string;
  /** More, for people. */
  details?: unknown;
}

/** How an attempt fails when its handler says so itself: throw `Fatal` or `Retry`. */
export abstract class TaskFailure extends Error {
  abstract readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
  readonly type: string;
  readonly details: unknown;

  constructor(message: string, type: string, details: unknown, retryAfterMs?: number) {
    super(message);
    this.name = new.target.name;
    this.type = type;
    this.details = details;
    this.retryAfterMs = retryAfterMs;
  }
}

/** No further attempt can help: bad data, a declined card. */
export class Fatal extends TaskFailure {
  readonly retryable = false;

  constructor(message = "", options: FailureOptions = {}) {
    super(message, options.type ?? "fatal", options.details);
  }
}

/**
 * Another attempt may help, not before `afterMs` if that is given. How often is tried is up to the
 * definition's retry policy.
 */
export class Retry extends TaskFailure {
  readonly retryable = true;

  constructor(message = "", options: FailureOptions & { afterMs?: number } = {}) {
    super(message, options.type ?? "retry", options.details, options.afterMs);
  }
}

/** The attempt was asked to end, and did: the reason of `ctx.signal`. */
export class Cancelled extends TaskFailure {
  readonly retryable = false;

  constructor(message = "cancelled") {
    super(message, "cancelled", undefined);
  }
}

/** Everything that a client throws is one of these. */
export class SurefootError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** No answer came from the server, or none that could be understood. */
export class Unreachable extends SurefootError {
  constructor(
    readonly server: string,
    cause: unknown,
  ) {
    const hint = "is it running? start one with `surefoot dev`, or set SUREFOOT_SERVER";
    super(`no answer from ${server}: ${reason(cause)}\n  hint: ${hint}`, { cause });
  }
}

/** `fetch` says "fetch failed", and keeps why in the cause. */
function reason(error: unknown): string {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return inner instanceof Error ? inner.message || inner.name : String(inner);
}

/** The server refused: `application/problem+json` as an error. */
export class ProblemError extends SurefootError {
  /** Such as `SF4012`; `surefoot help SF4012` explains it. */
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  /** How to mend it. */
  readonly hint: string;

  constructor(
    readonly status: number,
    /** All that the server said. */
    readonly document: Readonly<Record<string, unknown>>,
    /** The request that was refused: `POST /v1/workflows/order/runs`. */
    readonly request: string,
  ) {
    const text = (key: string) => (typeof document[key] === "string" ? document[key] : "");
    const [code, detail, hint] = [text("code"), text("detail"), text("hint")];
    const title = text("title") || `HTTP ${status}`;
    super(
      (code && `[${code}] `) +
        title +
        (detail && `: ${detail}`) +
        ` (${status} to ${request})` +
        (hint && `\n  hint: ${hint}`),
    );
    [this.code, this.title, this.detail, this.hint] = [code, title, detail, hint];
  }
}

/** 400, 413, 415, 422 and the like: the request itself is wrong. */
export class Invalid extends ProblemError {}
/** 401: no token, or one that is not known or has expired. */
export class Unauthenticated extends ProblemError {}
/** 403: the token's role does not allow it. */
export class Forbidden extends ProblemError {}
/** 404. */
export class NotFound extends ProblemError {}
/** 409 or 412: it is in another state than the request expects. */
export class Conflict extends ProblemError {}
/** 410: it was there, and is not any more. */
export class Gone extends ProblemError {}
/** 429 or 503: later, please. Thrown only after the client's own attempts were used up. */
export class Busy extends ProblemError {}
/** Any other 5xx: the server's fault. */
export class ServerFault extends ProblemError {}

const BY_STATUS: Readonly<Record<number, typeof ProblemError>> = {
  401: Unauthenticated,
  403: Forbidden,
  404: NotFound,
  409: Conflict,
  410: Gone,
  412: Conflict,
  429: Busy,
  503: Busy,
};

/** Returns the error for a refusal; `document` may be anything that a server sent. */
export function problemError(status: number, document: unknown, request: string): ProblemError {
  const fallback = status >= 500 ? ServerFault : Invalid;
  const isObject = typeof document === "object" && document !== null && !Array.isArray(document);
  const known = isObject ? (document as Record<string, unknown>) : {};
  return new (BY_STATUS[status] ?? fallback)(status, known, request);
}

/** The run whose result was asked for has failed. */
export class RunFailed extends SurefootError {
  /** The path of the task that failed, if one did. */
  readonly task: string | undefined;
  /** Its `type`, `message`, and perhaps `status` and `details`. */
  readonly error: Readonly<Record<string, unknown>>;
  /** Tasks whose compensation failed: somebody must look. */
  readonly notUndone: readonly string[];

  constructor(
    readonly run: string,
    readonly status: string,
    failure: Failure,
  ) {
    const { task, error = {}, not_undone: notUndone = [] } = failure;
    const why = error["type"] ? `: ${error["type"]}: ${error["message"]}` : "";
    super(`run ${run} is ${status}${task ? ` at ${task}` : ""}${why}`);
    [this.task, this.error, this.notUndone] = [task, error, notUndone];
  }
}

/** Why a run failed, on the wire. */
export interface Failure {
  readonly task?: string;
  readonly error?: Readonly<Record<string, unknown>>;
  readonly not_undone?: readonly string[];
}

/** The run whose result was asked for was cancelled. */
export class RunCancelled extends RunFailed {}

/** The run had not ended when the time for waiting was up. It goes on. */
export class StillRunning extends SurefootError {
  constructor(
    readonly run: string,
    timeoutMs: number,
  ) {
    super(`run ${run} still runs after ${timeoutMs} ms`);
  }
}
