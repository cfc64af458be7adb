/** The client against a real server. */

import assert from "node:assert/strict";
import { test } from "node:test";

import * as surefoot from "surefoot";
import { Client } from "surefoot";

import { ADDS, all, FAILS, WAITS, withServer } from "./setup.js";

withServer("a definition is deployed once", async ({ client }) => {
  const [first] = await client.deploy(ADDS);
  const [again] = await client.deploy(ADDS);
  assert.deepEqual([first?.workflow, first?.unchanged, again?.unchanged], ["adds", false, true]);
  assert.equal(first?.hash, again?.hash);
});

withServer("a bad definition is refused", async ({ client }) => {
  const bad = { id: "bad", tasks: { a: { uses: "log", needs: ["b"] } } };
  await assert.rejects(client.deploy(bad), (error) => {
    assert.ok(error instanceof surefoot.Invalid);
    assert.match(error.code, /^SF/);
    return true;
  });
});

withServer("a run is started and has a result", async ({ client }) => {
  await client.deploy(ADDS);
  const options = { key: "k1", labels: { team: "shop" }, priority: 3 };
  const run = await client.start("adds", { a: 2, b: 3 }, options);
  assert.deepEqual(await run.result<{ sum: number }>(), { sum: 5 });
  const { info } = await run.refresh();
  assert.deepEqual([info.workflow, info.status, info.key], ["adds", "completed", "k1"]);
  assert.deepEqual([info.priority, info.labels], [3, { team: "shop" }]);
  assert.ok(info.createdAt && info.endedAt && info.createdAt <= info.endedAt);
  assert.deepEqual((await client.run(run.id)).info, info);
  assert.equal((await client.start("adds", { a: 2, b: 3 }, options)).id, run.id);
});

withServer("refusals are typed", async ({ client }) => {
  await client.deploy(ADDS);
  await assert.rejects(client.run("00000000000000000000000000"), surefoot.NotFound);
  await assert.rejects(client.start("nothing"), surefoot.NotFound);
  await assert.rejects(client.start("adds", { a: "two" }), surefoot.Invalid);
  await client.start("adds", { a: 1, b: 1 }, { key: "k" });
  await assert.rejects(client.start("adds", { a: 2, b: 2 }, { key: "k" }), surefoot.Conflict);
});

withServer("a failed run throws its error", async ({ client }) => {
  await client.deploy(FAILS);
  const run = await client.start("fails");
  await assert.rejects(run.result(), (error) => {
    assert.ok(error instanceof surefoot.RunFailed);
    assert.deepEqual([error.error["type"], error.error["message"]], ["declined", "no money"]);
    return true;
  });
});

withServer("runs are listed page by page", async ({ client }) => {
  await client.deploy(ADDS);
  await client.deploy(FAILS);
  const since = new Date();
  const started = new Set<string>();
  for (let a = 0; a < 7; a++) started.add((await client.start("adds", { a, b: 0 })).id);
  await client.start("fails");
  const listed = await all(client.runs({ workflow: "adds", since, pageSize: 3 }));
  assert.deepEqual(new Set(listed.map((it) => it.id)), started);
  assert.equal(listed.length, 7);
  assert.deepEqual(await all(client.runs({ labels: { team: "shop" } })), []);
  await assert.rejects(all(client.runs({ status: "done" })), surefoot.Invalid);
});

withServer("a run is controlled", async ({ client }) => {
  await client.deploy(WAITS);
  const run = await client.start("waits");
  await assert.rejects(run.result({ timeoutMs: 0 }), surefoot.StillRunning);
  assert.equal((await run.pause("lunch")).status, "paused");
  assert.equal((await run.resume()).status, "running");
  await run.signal("go", { n: 1 });
  assert.deepEqual(await run.result(), { n: 1 });
  assert.ok((await all(run.history())).some((it) => it.reason === "lunch"));
});

withServer("a cancelled run says so and may be retried", async ({ client }) => {
  await client.deploy(WAITS);
  const run = await client.start("waits");
  await run.cancel("not wanted");
  await assert.rejects(run.result(), surefoot.RunCancelled);
  await run.retry();
  await run.signal("go", "again");
  assert.equal(await run.result(), "again");
});

for (const how of ["without", "with", "with a kill and"]) {
  withServer(`events are told once and in order, ${how} a restart`, async (server) => {
    const { client } = server;
    await client.deploy(WAITS);
    const run = await client.start("waits");
    const told: surefoot.RunEvent[] = [];
    for await (const event of run.events()) {
      told.push(event);
      if (told.length > 1) continue;
      if (how !== "without") await server.restart({ kill: how.includes("kill") });
      await run.signal("go");
    }
    assert.equal(told[0]?.type, "created");
    assert.deepEqual(told, await all(run.history()));
    assert.deepEqual(await all(run.events()), told, "also when it has ended long ago");
  });
}

withServer("the stream of all runs", async ({ client }) => {
  await client.deploy(ADDS);
  await client.deploy(FAILS);
  // The stream is opened by the first `next`, and tells what comes after.
  const started = new Promise<surefoot.Run>((resolve) => {
    setTimeout(async () => {
      await client.start("fails");
      resolve(await client.start("adds", { a: 1, b: 2 }));
    }, 500);
  });
  for await (const event of client.events(["runs:workflow=adds"])) {
    assert.equal(event.data["run"], (await started).id);
    if (event.data["status"] === "completed") break;
  }
});

test("a server that is away is named with what to do", async () => {
  const client = new Client({ server: "http://127.0.0.1:1", attempts: 1 });
  await assert.rejects(client.start("adds"), (error) => {
    assert.ok(error instanceof surefoot.Unreachable);
    assert.match(error.message, /no answer from http:\/\/127.0.0.1:1: .*\n  hint: .*surefoot dev/);
    return true;
  });
});
