/** Definitions, split into the documents that are deployed one by one. */

import { readFile } from "node:fs/promises";

import { encode } from "./json.js";

/** The text of a definition (YAML or JSON), the URL of its file, or the definition itself. */
export type Source = string | URL | Readonly<Record<string, unknown>>;

export interface Document {
  readonly workflow: string;
  readonly body: string;
  readonly contentType: string;
}

export async function documents(source: Source): Promise<Document[]> {
  if (typeof source === "object" && !(source instanceof URL)) return [json(encode(source))];
  const text = typeof source === "string" ? source : await readFile(source, "utf8");
  if (text.trimStart().startsWith("{")) return [json(text)];
  // In YAML a line that starts so is a mark between documents wherever it stands.
  return text.split(/^---(?:[ \t].*)?$/m).filter(hasContent).map(yaml);
}

function hasContent(document: string): boolean {
  return document.split("\n").some((it) => it.trim() !== "" && !it.trimStart().startsWith("#"));
}

function json(body: string): Document {
  const workflow: unknown = JSON.parse(body).id;
  if (typeof workflow !== "string") throw new TypeError("the definition has no `id`");
  return { workflow, body, contentType: "application/json" };
}

function yaml(body: string): Document {
  const workflow = /^id:[ \t]+["']?([A-Za-z0-9_.-]+)/m.exec(body)?.[1];
  if (workflow === undefined) {
    throw new TypeError("no line of the definition starts with `id: `, so it has no name");
  }
  return { workflow, body, contentType: "application/yaml" };
}
