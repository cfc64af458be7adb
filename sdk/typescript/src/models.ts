/** What a server tells of its runs and workflows. */

/** A run as it was when it was asked for. Listings leave out `input`, `output` and `error`. */
export interface RunInfo {
  readonly id: string;
  readonly workflow: string;
  readonly version: string;
  /** `pending`, `running`, `paused`, `cancelling`, `completed`, `failed` or `cancelled`. */
  readonly status: string;
  readonly key: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /** Who started it. */
  readonly actor: string | undefined;
  readonly priority: number;
  readonly parent: string | undefined;
  readonly createdAt: Date | undefined;
  readonly startedAt: Date | undefined;
  readonly endedAt: Date | undefined;
  /** The error of a failed run, or what it waits for. */
  readonly summary: string | undefined;
  /** Tasks that have ended. */
  readonly done: number;
  /** Tasks that are known. */
  readonly total: number;
  readonly input: unknown;
  readonly output: unknown;
  readonly error: Readonly<Record<string, unknown>> | undefined;
}

/** Something that the check says about a definition. */
export interface Finding {
  readonly severity: string;
  readonly code: string;
  readonly message: string;
  readonly line: number;
  readonly column: number;
}

/** What a definition became. */
export interface Deployed {
  readonly workflow: string;
  readonly version: string;
  readonly hash: string;
  /** Whether this content was there before. */
  readonly unchanged: boolean;
  /** What the check has to say all the same: warnings and notes. */
  readonly findings: readonly Finding[];
}

/** Something that happened in a run. */
export interface RunEvent {
  /** Such as `created` or `completed`. */
  readonly type: string;
  /** The path of the task; empty for the run itself. */
  readonly task: string;
  /** In words. */
  readonly detail: string;
  /** The place of its record in the run's journal. What one decision changed is one record. */
  readonly seq: number;
  readonly at: Date;
  /** Who asked; empty for the engine's own decisions. */
  readonly actor: string;
  readonly reason: string | undefined;
}

/** A line that a task wrote. */
export interface LogLine {
  readonly attempt: number;
  readonly at: Date;
  readonly level: string;
  readonly text: string;
}

/**
 * A message of the server's stream: a `record` of a run, a `log` line, or a `reset`. After a
 * `reset` some messages were lost, because the server no longer has them.
 */
export interface Event {
  readonly type: string;
  readonly id: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** A run that has one of these statuses goes no further by itself. */
const ENDED: ReadonlySet<unknown> = new Set(["completed", "failed", "cancelled"]);

export function hasEnded(status: unknown): boolean {
  return ENDED.has(status);
}

// A document of the wire: what is missing there is nothing here, whatever it should be.
type Document = Readonly<Record<string, any>>;

export function readRun(it: Document): RunInfo {
  return {
    id: it["id"],
    workflow: it["workflow"],
    version: it["version"],
    status: it["status"],
    key: it["key"] ?? undefined,
    labels: it["labels"] ?? {},
    actor: it["actor"] ?? undefined,
    priority: it["priority"] ?? 0,
    parent: it["parent"] ?? undefined,
    createdAt: readDate(it["created_at"]),
    startedAt: readDate(it["started_at"]),
    endedAt: readDate(it["ended_at"]),
    summary: it["summary"] ?? undefined,
    done: it["done"] ?? 0,
    total: it["total"] ?? 0,
    input: it["input"],
    output: it["output"],
    error: it["error"] ?? undefined,
  };
}

export function readDate(text: unknown): Date | undefined {
  return typeof text === "string" ? new Date(text) : undefined;
}

export function readLine(it: Document): LogLine {
  return { attempt: it["attempt"], at: new Date(it["at"]), level: it["level"], text: it["text"] };
}

/** One entry of a run's journal: everything that one decision changed. */
export interface JournalRecord {
  readonly seq: number;
  readonly at: string;
  readonly actor?: string | null;
  readonly reason?: string | null;
  readonly events: readonly { type: string; task?: string; detail?: string }[];
}

export function eventsOf(record: JournalRecord): RunEvent[] {
  return record.events.map((it) => ({
    type: it.type,
    task: it.task ?? "",
    detail: it.detail ?? "",
    seq: record.seq,
    at: new Date(record.at),
    actor: record.actor ?? "",
    reason: record.reason ?? undefined,
  }));
}
