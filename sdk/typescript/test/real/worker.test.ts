/** Workers against a real server. */

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { promisify } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";

import { Fatal, Retry, RunCancelled, RunFailed, Worker, type Context, type Run } from "surefoot";
import { program, running, type Server } from "surefoot/testing";

import { all, MANY, oneTask, PACKAGE, withServer } from "./setup.js";

const RETRIES = { retry: { max_attempts: 5, delay: "10ms" } };
const quiet = { log: () => {} };

async function start(server: Server, uses: string, input = {}, more = {}): Promise<Run> {
  await server.client.deploy(oneTask(`flow.${uses}`, uses, more));
  return server.client.start(`flow.${uses}`, input);
}

/** Waits for a state, as long as a slow machine may need. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(10);
}

withServer("a handler is given its input and its context", async (server) => {
  let seen: Context | undefined;
  const worker = new Worker(quiet).handler<{ id: string }>("pay", async ({ id }, ctx) => {
    seen = ctx;
    return { charge: `ch_${id}` };
  });
  await running(worker, server, async () => {
    const run = await start(server, "pay", { id: "8812" });
    assert.deepEqual(await run.result(), { charge: "ch_8812" });
    assert.deepEqual([seen?.run, seen?.task, seen?.attempt], [run.id, "work", 1]);
    assert.ok(seen?.idempotencyKey);
  });
});

withServer("attempts are repeated with one key", async (server) => {
  const keys: string[] = [];
  const worker = new Worker(quiet).handler("flaky", (_, { attempt, idempotencyKey }) => {
    keys.push(idempotencyKey);
    if (attempt === 1) throw new Retry("later", { afterMs: 10 });
    if (attempt === 2) throw new Error("reset");
    return attempt;
  });
  await running(worker, server, async () => {
    assert.equal(await (await start(server, "flaky", {}, RETRIES)).result(), 3);
  });
  assert.deepEqual([keys.length, new Set(keys).size], [3, 1]);
});

withServer("what is fatal is tried once", async (server) => {
  const checks = (value: any) => {
    if (typeof value.amount !== "number") throw new Error("amount must be a number");
    return value;
  };
  const worker = new Worker(quiet).handler(
    "pay",
    () => {
      throw new Fatal("no money", { type: "declined" });
    },
    { input: checks },
  );
  await running(worker, server, async () => {
    for (const [amount, type] of [[1, "declined"], ["much", "invalid_input"]]) {
      const run = await start(server, "pay", { amount }, RETRIES);
      await assert.rejects(run.result(), (error) => error instanceof RunFailed && error.error["type"] === type);
      const types = (await all(run.history())).map((it) => it.type);
      assert.equal(types.filter((it) => it === "dispatched").length, 1);
    }
  });
});

for (const size of [3_000_000, 30_000_000]) {
  withServer(`output of ${size} bytes fails its task and no other`, async (server) => {
    const worker = new Worker(quiet)
      .handler("huge", () => "x".repeat(size))
      .handler("small", () => "x");
    await running(worker, server, async () => {
      const [huge, small] = [await start(server, "huge"), await start(server, "small")];
      assert.equal(await small.result(), "x");
      await assert.rejects(huge.result(), RunFailed);
    });
  });
}

withServer("progress and lines arrive", async (server) => {
  const worker = new Worker(quiet).handler("talk", (_, ctx) => {
    ctx.progress(0.5, "half way");
    ctx.log("a line", "warn");
    ctx.log("\ud800 is no text");
  });
  await running(worker, server, async () => {
    const run = await start(server, "talk");
    await run.result();
    // Lines travel beside results, and may come after them.
    let lines: string[][] = [];
    while (lines.length < 2) {
      lines = (await all(run.logs("work"))).map((it) => [it.level, it.text]);
    }
    assert.deepEqual(lines, [["warn", "a line"], ["info", "? is no text"]]);
  });
});

withServer("a cancelled run ends its handlers", async (server) => {
  const told: string[] = [];
  const worker = new Worker(quiet).handler("linger", async (_, { signal }) => {
    told.push("begun");
    await sleep(600_000, undefined, { signal }).finally(() => told.push("ended"));
  });
  await running(worker, server, async () => {
    const run = await start(server, "linger");
    await until(() => told.length === 1);
    await run.cancel();
    await assert.rejects(run.result(), RunCancelled);
    await until(() => told.length === 2);
  });
});

withServer("many tasks are all done", async (server) => {
  const items = Array.from({ length: 300 }, (_, at) => at);
  const calls: number[] = [];
  const worker = new Worker({ ...quiet, slots: 50 }).handler<{ n: number }>("double", ({ n }) => {
    calls.push(n);
    return n * 2;
  });
  await server.client.deploy(MANY);
  await running(worker, server, async () => {
    const run = await server.client.start("many", { items });
    assert.deepEqual(await run.result(), items.map((it) => it * 2));
  });
  assert.deepEqual(calls.sort((one, other) => one - other), items, "each exactly once");
});

for (const kill of [false, true]) {
  withServer(`a worker outlives its server (kill: ${kill})`, async (server) => {
    const worker = new Worker(quiet).handler<{ n: number }>("echo", ({ n }) => n);
    await running(worker, server, async () => {
      assert.equal(await (await start(server, "echo", { n: 1 })).result(), 1);
      await server.restart({ kill });
      assert.equal(await (await start(server, "echo", { n: 2 })).result(), 2);
    });
  });
}

function example(server: Server, script: string) {
  const env = { ...process.env, SUREFOOT_SERVER: server.url };
  return { script: `.build/examples/${script}.js`, options: { cwd: PACKAGE, env } };
}

withServer("the order example runs as it stands, and SIGTERM lets its worker finish", async (server) => {
  const worker = example(server, "order/worker");
  const process = spawn("node", [worker.script], { ...worker.options, stdio: "ignore" });
  const ended = once(process, "exit");
  try {
    const { script, options } = example(server, "order/start");
    const { stdout } = await promisify(execFile)("node", [script], options);
    assert.match(stdout, /1 reserved, paid with ch_/);
    const order = { order_id: "9", total: 5, items: [{ sku: "hat", n: 1 }] };
    const run = await server.client.start("order", order);
    for await (const { type, task } of run.events()) {
      // The task that takes a moment is under way.
      if (type === "dispatched" && task === "pay") break;
    }
    process.kill("SIGTERM");
    assert.deepEqual(await ended, [0, null]);
    const completed = (await all(run.history())).filter((it) => it.type === "completed");
    assert.ok(completed.some((it) => it.task === "pay"), "what was under way was finished");
  } finally {
    process.kill("SIGKILL");
  }
});

withServer("the SDK conforms", async (server) => {
  const { worker } = await import("../../examples/conformance/worker.js");
  await running(worker, server, async () => {
    await promisify(execFile)(program(), ["worker", "conformance", server.url]);
  });
});
