/**
 * The handlers that `surefoot worker conformance URL` wants; see docs/worker-conformance.md. Start
 * this first, against the same server:
 *
 *     npm run build:tests
 *     SUREFOOT_SERVER=http://127.0.0.1:7070 node .build/examples/conformance/worker.js
 */

import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

import { Fatal, Retry, Worker } from "surefoot";

export const worker = new Worker({ slots: 8, name: "conformance-typescript" });

worker.handler("conformance.echo", (input) => input);

worker.handler<{ until: number }>("conformance.fail", ({ until }, { attempt, idempotencyKey }) => {
  if (attempt < until) throw new Retry(idempotencyKey, { type: "conformance" });
  return { attempt, idempotency_key: idempotencyKey };
});

worker.handler("conformance.fatal", () => {
  throw new Fatal("as asked", { type: "conformance_fatal" });
});

worker.handler<{ seconds: number }>("conformance.sleep", async ({ seconds }, { signal }) => {
  // A cancelled attempt ends here, with an error of the type `cancelled`.
  await sleep(seconds * 1000, undefined, { signal });
  return { slept: seconds };
});

worker.handler<{ steps: number }>("conformance.progress", async ({ steps }, ctx) => {
  for (let step = 1; step <= steps; step++) {
    ctx.progress(step / steps, `step ${step}`);
    ctx.log(`step ${step}`);
    await sleep(500, undefined, { signal: ctx.signal });
  }
  return { steps };
});

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await worker.run();
