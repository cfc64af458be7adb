/** The client: deploys definitions, starts runs and follows them. */

import { RunCancelled, RunFailed, StillRunning, type Failure } from "./errors.js";
import { eventsOf, hasEnded, readLine, readRun } from "./models.js";
import type { Deployed, Event, JournalRecord, LogLine, RunEvent, RunInfo } from "./models.js";
import { resolve, type ServerOptions } from "./settings.js";
import { documents, type Document, type Source } from "./sources.js";
import { follow, Journal, OPENED } from "./stream.js";
import { path, post, Transport } from "./transport.js";

/** The longest that a server holds a request that waits for the end of a run. */
const WAIT_MAX_MS = 30_000;
const PAGE_RECORDS = "100";

export interface ClientOptions extends ServerOptions {
  /** Of one request, not counting what it waits for on purpose. */
  timeoutMs?: number;
  /** How often a request is sent at most, if the server is away or busy. */
  attempts?: number;
}

export interface StartOptions {
  /** Starting twice with one key starts once. */
  key?: string;
  /** The active version if none is named. */
  version?: string;
  /** Starts later. */
  at?: Date;
  priority?: number;
  labels?: Readonly<Record<string, string>>;
}

export interface RunsOptions {
  workflow?: string;
  /** One status, or several with commas between them. */
  status?: string;
  key?: string;
  labels?: Readonly<Record<string, string>>;
  since?: Date;
  pageSize?: number;
}

export interface ResultOptions {
  /** Without one it is waited as long as it takes. */
  timeoutMs?: number;
}

export class Client {
  readonly #transport: Transport;

  constructor(options: ClientOptions = {}) {
    const { timeoutMs = 10_000, attempts = 5 } = options;
    this.#transport = new Transport(resolve(options), timeoutMs, attempts);
  }

  get server(): string {
    return this.#transport.server;
  }

  /**
   * Deploys every workflow of a text (YAML or JSON), of a file (as a URL), or of an object. The
   * same content again is the same version. A definition with errors throws `Invalid`.
   */
  async deploy(source: Source): Promise<Deployed[]> {
    const deployed: Deployed[] = [];
    for (const document of await documents(source)) deployed.push(await this.#put(document));
    return deployed;
  }

  async #put(document: Document): Promise<Deployed> {
    const headers = { "Content-Type": document.contentType };
    const place = path("workflows", document.workflow);
    const call = { method: "PUT", path: place, headers, body: document.body };
    return (await this.#transport.send(call)).body;
  }

  /** Starts a run. With a `key` that a run has, that run is returned and nothing starts. */
  async start(workflow: string, input?: unknown, options: StartOptions = {}): Promise<Run> {
    const place = path("workflows", workflow, "runs");
    // A run with a key of its own needs no other: starting it again finds it.
    const call = post(place, { input, ...options }, options.key === undefined);
    return new Run(this.#transport, readRun((await this.#transport.send(call)).body));
  }

  /** Looks a run up. */
  async run(id: string): Promise<Run> {
    return new Run(this.#transport, await lookUp(this.#transport, id));
  }

  /** Iterates over all runs that match; pages are fetched as they are needed. */
  async *runs(options: RunsOptions = {}): AsyncGenerator<RunInfo, void, void> {
    const { labels = {}, since, pageSize, ...filters } = options;
    const byLabel = Object.entries(labels).map(([name, value]) => [`label.${name}`, value]);
    const more = { since: since?.toISOString(), limit: pageSize?.toString() };
    const query = { ...filters, ...Object.fromEntries(byLabel), ...more };
    for await (const it of items(this.#transport, path("runs"), query)) yield readRun(it);
  }

  /**
   * Follows topics such as `run:ID`, `runs:workflow=order` or `logs:RUN/TASK`, for ever. A
   * connection that breaks is made again and goes on where it was. Pass the `id` of an event as
   * `lastEventId` to go on where another iteration has stopped.
   */
  async *events(
    topics: readonly string[],
    options: { lastEventId?: string } = {},
  ): AsyncGenerator<Event, void, void> {
    for await (const event of follow(this.#transport, topics, options.lastEventId)) {
      if (event.type !== OPENED) yield event;
    }
  }
}

/** A run, by its id. `info` is as of the last answer; `refresh` asks again. */
export class Run {
  readonly #transport: Transport;
  info: RunInfo;

  constructor(transport: Transport, info: RunInfo) {
    this.#transport = transport;
    this.info = info;
  }

  get id(): string {
    return this.info.id;
  }

  get status(): string {
    return this.info.status;
  }

  async refresh(): Promise<this> {
    this.info = await lookUp(this.#transport, this.id);
    return this;
  }

  /**
   * Waits for the end and returns the output. Throws `RunFailed` or `RunCancelled` if the run ends
   * so, and `StillRunning` if it has not ended in time.
   */
  async result<T = unknown>(options: ResultOptions = {}): Promise<T> {
    const { timeoutMs = Infinity } = options;
    const end = performance.now() + timeoutMs;
    for (;;) {
      const left = Math.max(0, end - performance.now());
      // Rounded up: a wait of nothing would ask again at once, and again.
      const waitMs = Math.ceil(Math.min(WAIT_MAX_MS, left) / 1000) * 1000;
      const query = { wait: (waitMs / 1000).toString() };
      const call = { method: "GET", path: path("runs", this.id, "result"), query, waitMs };
      const { status, body } = await this.#transport.send(call);
      if (status !== 202) return this.#outputOf(body) as T;
      if (performance.now() >= end) throw new StillRunning(this.id, timeoutMs);
    }
  }

  #outputOf(body: { status: string; output?: unknown; error?: Failure | null }): unknown {
    if (body.status === "completed") return body.output;
    const Failed = body.status === "cancelled" ? RunCancelled : RunFailed;
    throw new Failed(this.id, body.status, body.error ?? {});
  }

  /** Sends a signal, or an event of a machine. */
  async signal(name: string, data: unknown = null): Promise<void> {
    await this.#transport.send(post(path("runs", this.id, "signals", name), data));
  }

  cancel(reason?: string): Promise<this> {
    return this.#control("cancel", reason);
  }

  pause(reason?: string): Promise<this> {
    return this.#control("pause", reason);
  }

  resume(reason?: string): Promise<this> {
    return this.#control("resume", reason);
  }

  /** Runs again what failed, was cut off or was undone, and all behind it. */
  retry(reason?: string): Promise<this> {
    return this.#control("retry", reason);
  }

  async #control(verb: string, reason: string | undefined): Promise<this> {
    const { body } = await this.#transport.send(post(path("runs", this.id, verb), { reason }));
    this.info = readRun(body);
    return this;
  }

  /** Iterates over what has happened so far. */
  async *history(): AsyncGenerator<RunEvent, void, void> {
    for (const record of await this.#records(0)) yield* eventsOf(record);
  }

  /** Iterates over the lines that a task has written so far, of all its attempts. */
  async *logs(task: string): AsyncGenerator<LogLine, void, void> {
    const place = path("runs", this.id, "tasks", task, "logs");
    for await (const it of items(this.#transport, place)) yield readLine(it);
  }

  /**
   * Iterates over what has happened and what happens, until the run has ended. Each event comes
   * once and in order, also when the connection breaks or the server starts anew in between.
   */
  async *events(): AsyncGenerator<RunEvent, void, void> {
    const journal = new Journal();
    for await (const event of follow(this.#transport, [`run:${this.id}`])) {
      let isLast = Journal.hasEnded(event);
      let records = journal.live(event);
      if (records === undefined) {
        // What is written while the stream is opened is in both, and told once.
        isLast = hasEnded((await this.refresh()).status);
        records = await this.#records(journal.nextSeq);
      }
      yield* journal.fresh(records);
      if (isLast) return;
    }
  }

  async #records(first: number): Promise<JournalRecord[]> {
    const records: JournalRecord[] = [];
    let from: number | undefined = first;
    while (from !== undefined) {
      const query = { from: from.toString(), limit: PAGE_RECORDS };
      const call = { method: "GET", path: path("runs", this.id, "history"), query };
      const { body } = await this.#transport.send(call);
      records.push(...body.items);
      from = body.items.length > 0 ? (body.next_from ?? undefined) : undefined;
    }
    return records;
  }
}

/** Iterates over a list; its parts are fetched as they are needed. */
async function* items(
  transport: Transport,
  place: string,
  query: Record<string, string | undefined> = {},
): AsyncGenerator<Record<string, unknown>, void, void> {
  let cursor: string | undefined;
  do {
    const call = { method: "GET", path: place, query: { ...query, cursor } };
    const { body } = await transport.send(call);
    yield* body.items;
    cursor = body.next_cursor ?? undefined;
  } while (cursor !== undefined);
}

async function lookUp(transport: Transport, id: string): Promise<RunInfo> {
  return readRun((await transport.send({ method: "GET", path: path("runs", id) })).body);
}
