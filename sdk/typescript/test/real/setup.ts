/** A real server for a test, and the definitions that tests deploy. */

import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";

import { MissingProgram, program, startServer, type Server } from "surefoot/testing";

/** Of this package, from the folder that tests are compiled to. */
export const PACKAGE = fileURLToPath(new URL("../../../", import.meta.url));

findBuilt();

/** Finds the `surefoot` program where cargo puts it, if `SUREFOOT_BIN` does not name it. */
function findBuilt(): void {
  const target = process.env["CARGO_TARGET_DIR"] ?? join(PACKAGE, "../../target");
  const places = ["debug", "release"].map((it) => join(target, it, "surefoot"));
  const built = places.filter((it) => existsSync(it));
  built.sort((one, other) => statSync(other).mtimeMs - statSync(one).mtimeMs);
  if (built[0]) process.env["SUREFOOT_BIN"] ??= built[0];
}

/**
 * A test with a server of its own. Where there is no `surefoot` program it is skipped; with
 * `SUREFOOT_REQUIRE_ALL=1`, as in continuous integration, it fails.
 */
export function withServer(name: string, check: (server: Server) => Promise<void>): void {
  test(name, async (t: TestContext) => {
    let binary: string;
    try {
      binary = program();
    } catch (missing) {
      if (!(missing instanceof MissingProgram) || process.env["SUREFOOT_REQUIRE_ALL"]) throw missing;
      return t.skip(`SKIPPED: ${missing.message}`);
    }
    const server = await startServer({ binary });
    try {
      await check(server);
    } finally {
      await server.stop();
    }
  });
}

/** Returns a workflow of one task, whose output is that task's. */
export function oneTask(workflow: string, uses: string, more: Record<string, unknown> = {}) {
  const tasks = { work: { uses, ...more } };
  return { id: workflow, input: { type: "object" }, tasks, output: "${{ tasks.work.output }}" };
}

export const WAITS = {
  id: "waits",
  tasks: { hear: { uses: "signal", with: { name: "go" } } },
  output: "${{ tasks.hear.output.data }}",
};

export const FAILS = {
  id: "fails",
  tasks: { refuse: { uses: "fail", with: { type: "declined", message: "no money" } } },
};

const INTEGER = { type: "integer" };

export const ADDS = {
  id: "adds",
  input: { type: "object", required: ["a", "b"], properties: { a: INTEGER, b: INTEGER } },
  tasks: { add: { uses: "transform", with: "${{ input.a + input.b }}" } },
  output: { sum: "${{ tasks.add.output }}" },
};

export const MANY = {
  id: "many",
  input: { type: "object", required: ["items"], properties: { items: { type: "array" } } },
  tasks: {
    each: {
      for_each: "${{ input.items }}",
      max_parallel: 100,
      uses: "double",
      with: { n: "${{ item }}" },
    },
  },
  output: "${{ tasks.each.output }}",
};

/** Returns everything that an iteration brings. */
export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const it of items) found.push(it);
  return found;
}
