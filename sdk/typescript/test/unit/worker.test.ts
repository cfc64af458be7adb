/** Handlers, outcomes, reports and the outbox, without a server. */

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";

import { contextOf, LOG_LINES_MAX, Report, type Context } from "../../src/context.js";
import { Cancelled, Fatal, Retry } from "../../src/errors.js";
import { Execution } from "../../src/execution.js";
import { Gate } from "../../src/gate.js";
import { CHARACTERS_MAX, Outbox, RESULTS_MAX } from "../../src/outbox.js";
import * as protocol from "../../src/protocol.js";
import { Worker, type HandlerOptions } from "../../src/worker.js";

function task(input: unknown = null, lease = "ls_1"): protocol.Task {
  const known = { lease, run: "r", workflow: "w", version: "1", task: "pay", uses: "pay" };
  return { ...known, attempt: 1, idempotency_key: "k", input };
}

type Handle = (input: any, ctx: Context) => unknown;

function begin(handle: Handle, input: unknown, options: HandlerOptions<any> = {}): Execution {
  const handler = { handle, timeoutMs: options.timeoutMs, input: options.input };
  return new Execution(task(input), handler, new Report(() => {}), () => {});
}

/** Runs one attempt and returns what would be sent. */
async function attempt(handle: Handle, input?: unknown, options?: HandlerOptions<any>): Promise<any> {
  const { field, json } = await begin(handle, input, options).outcome();
  return { [field]: JSON.parse(json) };
}

const ORDER = { id: "8812", amount: 1 };

test("a handler is given its input and its context", async () => {
  assert.deepEqual(await attempt((it) => it, ORDER), { output: ORDER });
  assert.deepEqual(await attempt(async (it, ctx) => [it.id, ctx.attempt], ORDER), { output: ["8812", 1] });
  assert.deepEqual(await attempt(() => undefined), { output: null });
});

test("a handler is told where in a trace it stands", () => {
  for (const trace of [{}, { traceparent: "p" }, { traceparent: "p", tracestate: "a=1" }]) {
    const report = new Report(() => {});
    const ctx = contextOf({ ...task(), ...trace }, report, new AbortController().signal);
    const told = { traceparent: ctx.traceparent, tracestate: ctx.tracestate };
    assert.deepEqual(told, { traceparent: undefined, tracestate: undefined, ...trace });
  }
});

/** As schemas of the usual libraries are. */
const SCHEMA = {
  "~standard": {
    validate(value: any) {
      if (typeof value?.amount === "number") return { value: { amount: value.amount } };
      return { issues: [{ message: "must be a number", path: ["lines", 2, { key: "amount" }] }] };
    },
  },
};

test("an input is checked by a schema or a function", async () => {
  const both = { input: SCHEMA };
  assert.deepEqual(await attempt((it) => it, ORDER, both), { output: { amount: 1 } });
  const { error } = await attempt((it) => it, {}, both);
  assert.deepEqual([error.type, error.retryable], ["invalid_input", false]);
  assert.equal(error.message, "input.lines[2].amount: must be a number");
  assert.deepEqual(error.details, [{ field: "input.lines[2].amount", problem: "must be a number" }]);
  const input = () => {
    throw new Error("is not an order");
  };
  assert.equal((await attempt(() => 1, {}, { input })).error.message, "input: is not an order");
});

class HTTPStatusError extends Error {
  override name = "HTTPStatusError";
}

const THROWN: [unknown, [string, string, boolean, number | null]][] = [
  [new Fatal("no"), ["fatal", "no", false, null]],
  [new Fatal("no", { type: "declined" }), ["declined", "no", false, null]],
  [new Fatal("no", { details: 5n }), ["fatal", "no", false, null]],
  [new Retry("later", { afterMs: 1500 }), ["retry", "later", true, 1500]],
  [new Retry("later", { afterMs: NaN }), ["retry", "later", true, 0]],
  [new Retry(), ["retry", "retry", true, null]],
  [new Cancelled(), ["cancelled", "cancelled", false, null]],
  [new TypeError("x"), ["type_error", "x", true, null]],
  [new HTTPStatusError("503"), ["http_status_error", "503", true, null]],
  [new Error("\ud800"), ["error", "?", true, null]],
  [new Error("x".repeat(20_000)), ["error", "x".repeat(10_000), true, null]],
  ["just a text", ["error", "just a text", true, null]],
  [undefined, ["error", "undefined", true, null]],
];

for (const [thrown, expected] of THROWN) {
  test(`what a handler throws becomes an error: ${expected[0]} ${expected[1].slice(0, 20)}`, async () => {
    const { error } = await attempt(() => {
      throw thrown;
    });
    assert.deepEqual([error.type, error.message, error.retryable, error.retry_after_ms], expected);
  });
}

test("output that JSON cannot tell is fatal", async () => {
  for (const output of [NaN, 5n, "\ud800"]) {
    const { error } = await attempt(() => output);
    assert.deepEqual([error.type, error.retryable], ["invalid_output", false]);
  }
});

test("time is up", async () => {
  const { error } = await attempt((_, { signal }) => sleep(60_000, 1, { signal }), null, { timeoutMs: 5 });
  assert.deepEqual([error.type, error.retryable], ["timeout", true]);
});

test("a handler is asked to end", async () => {
  for (const handle of [
    (_: unknown, { signal }: Context) => sleep(60_000, 1, { signal }),
    async (_: unknown, { signal }: Context) => {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      signal.throwIfAborted();
    },
  ]) {
    const execution = begin(handle, null);
    await sleep(1);
    execution.cancel();
    assert.equal(JSON.parse((await execution.outcome()).json).type, "cancelled");
  }
});

test("a worker that makes no sense is refused at once", async () => {
  assert.throws(() => new Worker({ slots: 0 }), /slots/);
  assert.throws(() => new Worker({ slots: 1001 }), /slots/);
  const worker = new Worker().handler("pay", () => 1);
  assert.throws(() => worker.handler("pay", () => 1), /already/);
  assert.throws(() => worker.handler("slow", () => 1, { timeoutMs: 0 }), /timeout/);
  await assert.rejects(new Worker().run(), /without handlers/);
});

test("reports are joined", () => {
  let news = 0;
  const report = new Report(() => news++);
  const ctx = contextOf(task(), report, new AbortController().signal);
  ctx.progress(0.2, "begun");
  ctx.progress(7);
  ctx.log("one");
  ctx.log("\ud800", "warn");
  const logs = [
    { level: "info", text: "one" },
    { level: "warn", text: "?" },
  ];
  const body = report.take();
  assert.deepEqual(body, { progress: 1, message: "begun", logs });
  assert.deepEqual([news, report.isEmpty], [4, true]);
  ctx.progress(0.9);
  report.putBack(body);
  assert.deepEqual(report.take(), { progress: 0.9, message: "begun", logs });
});

test("lines have a limit", () => {
  const report = new Report(() => {});
  for (let at = 0; at < LOG_LINES_MAX + 5; at++) report.addLine("info", `${at}`);
  const { logs } = report.take();
  assert.equal(logs?.length, LOG_LINES_MAX);
  assert.equal(logs?.at(-1)?.text, `${LOG_LINES_MAX + 4}`);
});

const result = (size = 1): protocol.Result => ({
  task: task(),
  outcome: { field: "output", json: "1".repeat(size) },
});

for (const [sizes, expected] of [
  [[], 0],
  [[1, 1, 1], 3],
  [Array(RESULTS_MAX + 1).fill(1), RESULTS_MAX],
  [[CHARACTERS_MAX * 2, 1], 1],
  [[CHARACTERS_MAX / 2, CHARACTERS_MAX / 2, 1], 2],
] as [number[], number][]) {
  test(`one request takes ${expected} of ${sizes.length} results`, () => {
    const outbox = new Outbox();
    for (const size of sizes) outbox.put(result(size));
    assert.equal(outbox.take().length, expected);
  });
}

test("the outbox is settled once all is acknowledged", () => {
  const outbox = new Outbox();
  assert.ok(outbox.isSettled.isOpen);
  const [first, second] = [result(), result()];
  outbox.put(first);
  outbox.put(second);
  outbox.putBack(outbox.take());
  assert.ok(outbox.hasSome.isOpen);
  const taken = outbox.take();
  assert.deepEqual(taken, [first, second]);
  assert.deepEqual([outbox.hasSome.isOpen, outbox.isSettled.isOpen], [false, false]);
  outbox.acknowledge(taken);
  assert.ok(outbox.isSettled.isOpen);
});

test("a gate wakes those who wait, and forgets those who leave", async () => {
  const gate = new Gate();
  const leave = new AbortController();
  const [stays, leaves] = [gate.wait(), gate.wait(leave.signal)];
  leave.abort(new Cancelled());
  await assert.rejects(leaves, Cancelled);
  gate.open();
  await stays;
  await gate.wait();
  await assert.rejects(gate.wait(leave.signal), Cancelled);
});

test("messages are as the protocol says", () => {
  const done = { task: task(), outcome: protocol.completed({ charge: "c1" }) };
  const lost = { task: task(null, "ls_2"), outcome: protocol.failed("declined", "no", { retryable: false }) };
  const error = { type: "declined", message: "no", retryable: false, retry_after_ms: null, details: null };
  assert.deepEqual(JSON.parse(protocol.pollBody(4, 20_000, [done, lost], ["ls_3"])), {
    slots: 4,
    wait_seconds: 20,
    results: [
      { lease: "ls_1", output: { charge: "c1" } },
      { lease: "ls_2", error },
    ],
    holding: ["ls_3"],
  });
  assert.deepEqual(JSON.parse(protocol.leaseBody(done)), { output: { charge: "c1" } });
});
