/**
 * The handlers that `surefoot worker conformance URL` expects. Start this first, against the same
 * server:
 *
 *     npm run build:tests
 *     SUREFOOT_SERVER=http://127.0.0.1:7070 node .build/examples/conformance/worker.js
 */

import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

import { Fatal, Retry, Worker } from "surefoot";

export const worker = new Worker({ slots: 8, name: "conformance-typescript" });

worker.handler("conformance.echo", (input) => input);

worker.handler<{ succeed_on: number }>("conformance.fail", ({ succeed_on }, { attempt }) => {
  if (attempt < succeed_on) throw new Retry(`attempt ${attempt} fails on purpose`);
  return { attempt };
});

worker.handler("conformance.fatal", () => {
  throw new Fatal("this never succeeds", { type: "conformance" });
});

worker.handler<{ ms: number }>("conformance.sleep", async ({ ms }, { signal }) => {
  // A cancelled attempt ends here, with an error of the type `cancelled`.
  await sleep(ms, undefined, { signal });
  return { slept_ms: ms };
});

worker.handler("conformance.progress", (_input, ctx) => {
  ctx.progress(0.5, "half way");
  ctx.log("half way");
  return { done: true };
});

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await worker.run();
