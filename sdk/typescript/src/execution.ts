/** One attempt at a task: the handler's function, and how it is asked to end. */

import { contextOf, type Context, type Report } from "./context.js";
import { Cancelled, TaskFailure } from "./errors.js";
import { completed, failed, failedWith, type Outcome, type Task } from "./protocol.js";
import type { Input, Issue } from "./worker.js";

export interface Registered {
  readonly handle: (input: unknown, ctx: Context) => unknown;
  readonly timeoutMs: number | undefined;
  readonly input: Input<any> | undefined;
}

export type Log = (level: "info" | "warn", text: string) => void;

/** An attempt under way. */
export class Execution {
  /** Nobody wants the result any more: the lease is lost, or the worker gives it back. */
  isVoid = false;
  readonly #end = new AbortController();
  readonly #work: Promise<Outcome>;

  constructor(
    readonly task: Task,
    private readonly handler: Registered,
    readonly report: Report,
    private readonly log: Log,
  ) {
    this.#work = this.#attempt(contextOf(task, report, this.#end.signal));
  }

  async #attempt(ctx: Context): Promise<Outcome> {
    let input: unknown;
    try {
      input = await check(this.handler.input, this.task.input);
    } catch (error) {
      return badInput(error);
    }
    try {
      return completed(await this.handler.handle(input, ctx));
    } catch (error) {
      return this.#failure(error);
    }
  }

  #failure(error: unknown): Outcome {
    // What takes a signal rejects with its reason, or with an error of this name.
    const isAbort = error instanceof Error && error.name === "AbortError";
    if (this.#end.signal.aborted && (isAbort || error === this.#end.signal.reason)) {
      return failedWith(new Cancelled());
    }
    const { task, run, attempt } = this.task;
    // What a handler throws on purpose needs no stack.
    const isPlain = error instanceof TaskFailure || !(error instanceof Error);
    const what = isPlain ? String(error) : (error.stack ?? String(error));
    this.log("warn", `${task} of run ${run}, attempt ${attempt}, failed: ${what}`);
    return failedWith(error);
  }

  /** Waits for the end of the handler or of its time, whichever comes first. */
  async outcome(): Promise<Outcome> {
    const { timeoutMs } = this.handler;
    if (timeoutMs === undefined) return this.#work;
    let timer: NodeJS.Timeout | undefined;
    const timeUp = new Promise<Outcome>((resolve) => {
      const late = failed("timeout", `the handler took longer than ${timeoutMs} ms`);
      timer = setTimeout(() => resolve(late), timeoutMs);
    });
    const outcome = await Promise.race([this.#work, timeUp.then((it) => (this.cancel(), it))]);
    clearTimeout(timer);
    return outcome;
  }

  /** Waits until the handler really has ended, also if its time was up before. */
  async ended(): Promise<void> {
    await this.#work;
  }

  /** Asks the handler to end. */
  cancel(): void {
    this.#end.abort(new Cancelled());
  }

  /** Asks the handler to end, and drops whatever it results in. */
  abandon(): void {
    this.isVoid = true;
    this.cancel();
  }
}

/** An input that does not fit, with the names of its fields. */
class BadInput extends Error {
  constructor(readonly issues: readonly Issue[]) {
    super("the input does not fit");
  }
}

async function check(input: Input<any> | undefined, value: unknown): Promise<unknown> {
  if (input === undefined) return value;
  if (!("~standard" in input)) return input(value);
  const checked = await input["~standard"].validate(value);
  if (checked.issues) throw new BadInput(checked.issues);
  return checked.value;
}

function badInput(error: unknown): Outcome {
  const issues = issuesOf(error);
  const details = issues.map((it) => ({ field: fieldOf(it), problem: it.message }));
  const message = details.map((it) => `${it.field}: ${it.problem}`).join("; ");
  return failed("invalid_input", message, { retryable: false, details });
}

/** Errors of schema libraries carry `issues`; a function of the user's own says it in its message. */
function issuesOf(error: unknown): readonly Issue[] {
  const carried = (error as { issues?: unknown } | null)?.issues;
  if (Array.isArray(carried)) return carried;
  return [{ message: error instanceof Error ? error.message : String(error) }];
}

function fieldOf(issue: Issue): string {
  const keys = (issue.path ?? []).map((it) => (typeof it === "object" ? it.key : it));
  const parts = keys.map((it) => (typeof it === "number" ? `[${it}]` : `.${String(it)}`));
  return `input${parts.join("")}`;
}
