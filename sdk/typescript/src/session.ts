/**
 * One life of a worker: it registers, polls, works, and leaves.
 *
 * Three loops share the connection to the server: `#fetch` asks for as many tasks as there are
 * free slots, and waits long for them; `#deliver` sends results at once while `#fetch` waits, all
 * that have come up in one request; `#beat` keeps the leases of tasks that take long. `#tell`
 * sends what handlers tell in between.
 *
 * Any answer to a poll may bring tasks, say which leases to cancel and what became of results, so
 * all of them end in `#poll`.
 */

import { setTimeout as sleep } from "node:timers/promises";

import { Backoff } from "./backoff.js";
import { Report, type News } from "./context.js";
import { Execution, type Log, type Registered } from "./execution.js";
import { Gate } from "./gate.js";
import { encode } from "./json.js";
import { Outbox } from "./outbox.js";
import * as protocol from "./protocol.js";
import type { Answer, Registration, Result, Task, Verdict } from "./protocol.js";
import { SDK, type Settings } from "./settings.js";
import { Away, Wire, type WireReply } from "./wire.js";

const POLL_MS = 20_000;
/** How often at most a handler's progress and lines are sent. */
const REPORT_MS = 250;
/** How long the server may take to answer the open poll of a worker that drains. */
const LAST_POLL_MS = 2_000;
/** How long the last results are tried to be sent before the worker leaves. */
const LAST_RESULTS_MS = 10_000;
/** How long handlers that were asked to end may take to clean up. */
const CLEAN_UP_MS = 1_000;
/** A lease that gets one of these is another's by now, or nobody's. */
const LEASE_IS_GONE: ReadonlySet<number> = new Set([404, 409, 410]);
/** A request that gets one of these is wrong in itself. */
const REFUSED: ReadonlySet<number> = new Set([400, 413, 422]);

export interface SessionOptions {
  readonly name: string;
  readonly slots: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly drainMs: number;
  readonly log: Log;
}

export class Session {
  readonly #wire: Wire;
  readonly #outbox = new Outbox();
  readonly #running = new Map<string, Execution>();
  readonly #underWay = new Set<Promise<void>>();
  readonly #slotIsFree = new Gate();
  readonly #hasNews = new Gate();
  #registration: Registration = none;
  #registering: Promise<void> | undefined;
  #lastContact = 0;
  #isAway = false;

  constructor(
    private readonly options: SessionOptions,
    private readonly handlers: ReadonlyMap<string, Registered>,
    private readonly settings: Settings,
    /** Opened when the worker is told to stop. */
    private readonly draining: Gate,
  ) {
    this.#wire = new Wire(settings);
  }

  /** Works until it is told to stop. Throws if the server does not want this worker. */
  async serve(): Promise<void> {
    const end = new AbortController();
    try {
      await Promise.race([this.#register(end.signal), this.draining.wait(end.signal)]);
      if (this.#registration !== none) await this.#work(end);
    } finally {
      end.abort();
    }
  }

  async #work(end: AbortController): Promise<void> {
    const fetching = new AbortController();
    const fetch = this.#fetch(AbortSignal.any([end.signal, fetching.signal]));
    const others = [this.#deliver(end.signal), this.#beat(end.signal), this.#tell(end.signal)];
    // One that fails later than another has nobody to tell.
    for (const it of [fetch, ...others]) it.catch(() => {});
    try {
      // A loop ends by itself only with an error, save for `fetch` when the server drains us.
      await Promise.race([fetch, ...others, this.draining.wait(end.signal)]);
      await Promise.race([this.#drain(fetch, fetching), ...others]);
    } finally {
      end.abort();
      await this.#leave();
    }
  }

  // Coming and going

  async #register(signal: AbortSignal): Promise<void> {
    const { name, labels, slots, log } = this.options;
    const capabilities = [...this.handlers.keys()].sort();
    const body = encode({ name, capabilities, labels, slots, protocol: protocol.PROTOCOL, sdk: SDK });
    const reply = await this.#untilAnswered(() => this.#wire.register(body, signal), signal);
    this.#registration = answerOf(reply);
    const { worker } = this.#registration;
    log("info", `worker ${worker} takes ${capabilities.join(", ")} from ${this.settings.server}, ${slots} at once`);
  }

  /** The server does not know us any more: it was started anew, or waited too long. */
  async #registerAgain(unknown: string, signal: AbortSignal): Promise<void> {
    if (this.#registration.worker !== unknown) return;
    this.#registering ??= this.#registerOnce(unknown, signal);
    await this.#registering;
  }

  async #registerOnce(unknown: string, signal: AbortSignal): Promise<void> {
    try {
      this.options.log("warn", `the server no longer knows worker ${unknown}: registering again`);
      await this.#register(signal);
      // The old leases may be void; a heartbeat for each one tells.
      await Promise.all([...this.#running.values()].map((it) => this.#report(it, {})));
    } finally {
      this.#registering = undefined;
    }
  }

  /** Takes no more, and finishes what is under way. */
  async #drain(fetch: Promise<void>, fetching: AbortController): Promise<void> {
    this.options.log("info", `draining: ${this.#running.size} under way`);
    // The server then answers the open poll, so no task gets lost between it and us.
    const reply = await this.#wire.drain(this.#registration.worker).catch(ignoreAway);
    if (reply && !reply.problem) await within(LAST_POLL_MS, fetch);
    fetching.abort();
    await within(this.options.drainMs, this.#allEnded());
    for (const execution of this.#running.values()) {
      this.options.log("warn", `${execution.task.task} is given back: it did not end in time`);
      execution.abandon();
    }
    await within(CLEAN_UP_MS, this.#allEnded());
    await within(LAST_RESULTS_MS, this.#outbox.isSettled.wait());
  }

  async #allEnded(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  /** Gives leases that are still held back at once. */
  async #leave(): Promise<void> {
    for (const execution of this.#running.values()) execution.abandon();
    const { worker } = this.#registration;
    await this.#wire.leave(worker).catch(ignoreAway);
    this.options.log("info", `worker ${worker} has left`);
  }

  // The loops

  async #fetch(signal: AbortSignal): Promise<void> {
    const waitMs = Math.min(POLL_MS, this.#registration.poll_seconds_max * 1000);
    while (!this.draining.isOpen) {
      this.#slotIsFree.close();
      const free = this.options.slots - this.#running.size;
      if (free > 0) await this.#untilAnswered(() => this.#poll(free, waitMs, signal), signal);
      else await this.#slotIsFree.wait(signal);
    }
  }

  async #deliver(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#outbox.hasSome.wait(signal);
      await this.#untilAnswered(() => this.#poll(0, 0, signal), signal);
    }
  }

  async #beat(signal: AbortSignal): Promise<void> {
    for (;;) {
      const intervalMs = this.#registration.heartbeat_seconds * 1000;
      let silentMs = performance.now() - this.#lastContact;
      if (this.#running.size > 0 && silentMs >= intervalMs) {
        // A beat that fails is made up for by the next one.
        await this.#poll(0, 0, signal).catch(ignoreAway);
        silentMs = 0;
      }
      await sleep(Math.max(50, intervalMs - silentMs), undefined, { signal });
    }
  }

  async #tell(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#hasNews.wait(signal);
      this.#hasNews.close();
      const news = [...this.#running.values()].filter((it) => !it.report.isEmpty);
      await Promise.all(news.map((it) => this.#report(it, it.report.take())));
      await sleep(REPORT_MS, undefined, { signal });
    }
  }

  // Talking to the server

  /** Tries until there is an answer, more and more seldom. */
  async #untilAnswered<T>(step: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const backoff = new Backoff(100, 10_000);
    for (let attempt = 1; ; attempt++) {
      try {
        const answer = await step();
        if (this.#isAway) this.options.log("info", "the server is back");
        this.#isAway = false;
        return answer;
      } catch (error) {
        if (!(error instanceof Away)) throw error;
        if (!this.#isAway) this.options.log("warn", `the server is away, trying again: ${error.message}`);
        this.#isAway = true;
        const delayMs = backoff.delayMs(attempt, error.retryAfterMs);
        await sleep(delayMs, undefined, signal ? { signal } : {});
      }
    }
  }

  /** Makes one poll. Results that it takes along do not wait for tasks to come. */
  async #poll(slots: number, waitMs: number, signal: AbortSignal): Promise<void> {
    const results = this.#outbox.take();
    const patienceMs = results.length > 0 ? 0 : waitMs;
    const { worker } = this.#registration;
    this.#lastContact = performance.now();
    // A task that the server gave us in an answer that got lost is not among these, and soon goes
    // to somebody else.
    const holding = [...this.#running.keys(), ...this.#outbox.leases()];
    let reply: WireReply;
    try {
      const body = protocol.pollBody(slots, patienceMs, results, holding);
      reply = await this.#wire.poll(worker, body, patienceMs, signal);
    } catch (error) {
      this.#outbox.putBack(results);
      throw error;
    }
    if (reply.status === 404) {
      this.#outbox.putBack(results);
      await this.#registerAgain(worker, signal);
      return;
    }
    if (REFUSED.has(reply.status) && results.length > 0) {
      // One of them is at fault; the others must not suffer for it.
      await Promise.all(results.map((it) => this.#deliverAlone(it)));
    } else {
      this.#take(answerOf(reply), results);
    }
    this.#outbox.acknowledge(results);
  }

  #take(answer: Answer, sent: readonly Result[]): void {
    const tasks = new Map(sent.map((it) => [it.task.lease, it.task]));
    for (const verdict of answer.results ?? []) this.#logVerdict(tasks.get(verdict.lease), verdict);
    for (const lease of answer.cancelled ?? []) this.#running.get(lease)?.cancel();
    for (const task of answer.tasks ?? []) this.#begin(task);
    if (answer.drain) this.draining.open();
  }

  /** Sends one result by itself; one that the server cannot take fails its task. */
  async #deliverAlone(result: Result): Promise<void> {
    const { task, outcome } = result;
    const verb = outcome.field === "output" ? "complete" : "fail";
    const body = protocol.leaseBody(result);
    const reply = await this.#untilAnswered(() => this.#wire.lease(task.lease, verb, body));
    this.#logVerdict(task, { lease: task.lease, status: reply.status, problem: reply.body });
    if (REFUSED.has(reply.status)) {
      // The server may have failed it by itself already; then this changes nothing.
      const why = reply.problem?.message ?? "";
      const outcome = protocol.failed("invalid_output", why, { retryable: false });
      const failure = protocol.leaseBody({ task, outcome });
      await this.#untilAnswered(() => this.#wire.lease(task.lease, "fail", failure));
    }
  }

  #logVerdict(task: Task | undefined, verdict: Verdict): void {
    if (task === undefined || verdict.status === 200) return;
    const why = verdict.problem?.detail ?? verdict.problem?.title ?? "the lease is not ours any more";
    const what = `the result of ${task.task} of run ${task.run} was dropped`;
    this.options.log("warn", `${what} (${verdict.status}): ${why}`);
  }

  /** Sends what a handler told, and learns whether it should end. */
  async #report(execution: Execution, news: News): Promise<void> {
    const { lease, task } = execution.task;
    try {
      const reply = await this.#wire.lease(lease, "heartbeat", encode(news));
      if (LEASE_IS_GONE.has(reply.status)) {
        this.options.log("warn", `${task} is not ours any more: asking it to end`);
        execution.abandon();
      } else if (reply.status === 200 && reply.body?.cancel) {
        execution.cancel();
      }
    } catch (error) {
      ignoreAway(error);
      execution.report.putBack(news);
    }
  }

  // Working

  #begin(task: Task): void {
    const handler = this.handlers.get(task.uses);
    if (handler === undefined) {
      const outcome = protocol.failed("no_handler", `this worker has no handler for ${task.uses}`);
      this.#outbox.put({ task, outcome });
      return;
    }
    const report = new Report(() => this.#hasNews.open());
    const execution = new Execution(task, handler, report, this.options.log);
    this.#running.set(task.lease, execution);
    const underWay = this.#finish(execution);
    this.#underWay.add(underWay);
    void underWay.finally(() => this.#underWay.delete(underWay));
  }

  /** Sees an attempt through to its end, and frees its slot. */
  async #finish(execution: Execution): Promise<void> {
    const { task, report } = execution;
    const outcome = await execution.outcome();
    // After the result the lease takes no more lines.
    if (!report.isEmpty && !execution.isVoid) await this.#report(execution, report.take());
    if (!execution.isVoid) this.#outbox.put({ task, outcome });
    await execution.ended();
    this.#running.delete(task.lease);
    this.#slotIsFree.open();
  }
}

/** Of a worker that is not registered. */
const none: Registration = {
  worker: "",
  lease_seconds: 10,
  heartbeat_seconds: 3,
  poll_seconds_max: 30,
};

/** Returns what the server says, or throws what it refuses. */
function answerOf(reply: WireReply): any {
  if (reply.problem) throw reply.problem;
  return reply.body;
}

function ignoreAway(error: unknown): undefined {
  if (!(error instanceof Away)) throw error;
  return undefined;
}

/** Waits for a step, but not longer than this. What it fails with is heard elsewhere. */
async function within(limitMs: number, step: Promise<unknown>): Promise<void> {
  const limit = new AbortController();
  const timeUp = sleep(limitMs, undefined, { signal: limit.signal }).catch(() => {});
  await Promise.race([step.catch(() => {}), timeUp]);
  limit.abort();
}
