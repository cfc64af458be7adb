/** Where the server is and who asks: options before the environment before defaults. */

export const VERSION = "0.1.0";
export const SDK = `typescript/${VERSION}`;
const SERVER = "http://127.0.0.1:7070";

export interface ServerOptions {
  /** `SUREFOOT_SERVER`, or this machine, if it is not given. */
  server?: string | undefined;
  /** `SUREFOOT_TOKEN` if it is not given. */
  token?: string | undefined;
}

export interface Settings {
  readonly server: string;
  readonly headers: Readonly<Record<string, string>>;
}

export function resolve(options: ServerOptions): Settings {
  const server = options.server ?? (process.env["SUREFOOT_SERVER"] || SERVER);
  if (!isAddress(server)) {
    throw new TypeError(`${JSON.stringify(server)} is not the address of a server, such as ${SERVER}`);
  }
  const token = options.token ?? process.env["SUREFOOT_TOKEN"];
  const headers = { Accept: "application/json", "User-Agent": `surefoot-${SDK}` };
  return {
    server: server.replace(/\/+$/, ""),
    headers: token ? { ...headers, Authorization: `Bearer ${token}` } : headers,
  };
}

function isAddress(text: string): boolean {
  return URL.canParse(text) && ["http:", "https:"].includes(new URL(text).protocol);
}
