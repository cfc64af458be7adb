/** What a handler knows of its attempt, and what it can tell of it. */

import type { Task } from "./protocol.js";
import { clean } from "./text.js";

export type Level = "debug" | "info" | "warn" | "error";

/** A handler that logs faster than the server takes it loses its oldest lines. */
export const LOG_LINES_MAX = 1_000;

/** One attempt at a task. */
export interface Context {
  readonly run: string;
  readonly workflow: string;
  readonly version: string;
  /** The path of the task in its run: `reserve[3]`. */
  readonly task: string;
  readonly attempt: number;
  /** The same for all attempts at this task: pass it on to whatever must not happen twice. */
  readonly idempotencyKey: string;
  /** Who started the run. */
  readonly actor: string | undefined;
  /** When the server stops waiting for this attempt. */
  readonly deadline: Date | undefined;
  /** Of the W3C trace that the run belongs to: pass it on to whatever is called. */
  readonly traceparent: string | undefined;
  /** What tracing systems want handed on with `traceparent`. */
  readonly tracestate: string | undefined;
  /** Aborted when the attempt should end: its result is not wanted any more, or its time is up. */
  readonly signal: AbortSignal;
  /** Tells how far the attempt is, from 0 to 1, and what it is at. Returns at once. */
  progress(fraction?: number, message?: string): void;
  /** Adds a line to the task's log. Returns at once. */
  log(text: string, level?: Level): void;
}

export function contextOf(task: Task, report: Report, signal: AbortSignal): Context {
  return {
    run: task.run,
    workflow: task.workflow,
    version: task.version,
    task: task.task,
    attempt: task.attempt,
    idempotencyKey: task.idempotency_key,
    actor: task.actor ?? undefined,
    deadline: task.deadline ? new Date(task.deadline) : undefined,
    traceparent: task.traceparent ?? undefined,
    tracestate: task.tracestate ?? undefined,
    signal,
    progress: (fraction, message) => report.addProgress(fraction, message),
    log: (text, level = "info") => report.addLine(level, text),
  };
}

/** The body of a heartbeat. */
export interface News {
  progress?: number;
  message?: string;
  logs?: { level: Level; text: string }[];
}

/** What a handler has told and the server does not know yet. */
export class Report {
  #news: News = {};

  /** `onNews` is called when there is something new. */
  constructor(private readonly onNews: () => void) {}

  addProgress(fraction?: number, message?: string): void {
    if (fraction !== undefined && Number.isFinite(fraction)) {
      this.#news.progress = Math.min(1, Math.max(0, fraction));
    }
    if (message !== undefined) this.#news.message = clean(message);
    this.onNews();
  }

  addLine(level: Level, text: string): void {
    const line = { level, text: clean(text) };
    this.#news.logs = [...(this.#news.logs ?? []), line].slice(-LOG_LINES_MAX);
    this.onNews();
  }

  get isEmpty(): boolean {
    return Object.keys(this.#news).length === 0;
  }

  /** Returns what is new, and forgets it. */
  take(): News {
    const news = this.#news;
    this.#news = {};
    return news;
  }

  /** Takes over what could not be sent; newer progress stands. */
  putBack(news: News): void {
    const logs = [...(news.logs ?? []), ...(this.#news.logs ?? [])].slice(-LOG_LINES_MAX);
    this.#news = { ...news, ...this.#news, ...(logs.length > 0 && { logs }) };
  }
}
