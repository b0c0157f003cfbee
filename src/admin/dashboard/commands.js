// Asking the server to do something, and what its answers mean. Nothing here pretends: what was done is said by
// the server, and where no answer comes, that is what is said.

import {token} from "./token.js";

/// What came back: `ok`, the `status`, and the `body`. Status 0: no answer, so nobody knows.
export async function ask(method, path, body, key) {
  const headers = {accept: "application/json", ...token.header()};
  const request = {method, headers, cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS)};
  if (body) {
    headers["content-type"] = "application/json";
    headers["idempotency-key"] = key ?? fresh();
    request.body = JSON.stringify(body);
  }
  try {
    const answer = await fetch(`api/v1/${path}`, request);
    const text = await answer.text();
    return {ok: answer.ok, status: answer.status, body: parsed(text)};
  } catch {
    return {ok: false, status: 0, body: {}};
  }
}

/// A command for a service as it was drawn: `mark` is the step that the person saw.
export class Commands {
  /// `tokens(why)` asks for a token and says whether there is one now.
  constructor(tokens) {
    this.tokens = tokens;
    this.keys = new Map();
  }

  async service(name, verb, mark, more = {}) {
    const intent = JSON.stringify([name, verb, mark, more]);
    return this.send(`services/${encodeURIComponent(name)}/${verb}`, {step: mark, ...more}, intent);
  }

  async house(verb, body = {}) {
    return this.send(verb, body, JSON.stringify([verb, body]));
  }

  async send(path, body, intent) {
    // The same wish that got no answer keeps its key, so that it is not done twice.
    const key = this.keys.get(intent) ?? fresh();
    this.keys.set(intent, key);
    for (;;) {
      const answer = await ask("POST", path, body, key);
      if (answer.status !== 0) this.keys.delete(intent);
      if (answer.status !== 401) return answer;
      const why = token.known ? "That token was not accepted." : "";
      if (!(await this.tokens(why, answer.body.detail))) return {...answer, status: -1};
    }
  }
}

/// One sentence about an answer that was no success.
export function refusalOf(answer) {
  if (answer.status === -1) return "Nothing was changed: it needs a token.";
  if (answer.status === 0) return "No answer came: nobody knows whether it was done. Look at the state before you try again.";
  const detail = answer.body.detail ?? `the server answers ${answer.status}`;
  if (answer.status === 412) return `It moved meanwhile, so nothing was done: ${detail}. Look again, and choose again.`;
  return `Nothing was changed: ${detail}.`;
}

function parsed(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}

const fresh = () => [...crypto.getRandomValues(new Uint8Array(16))].map((it) => it.toString(16).padStart(2, "0")).join("");

/// Longest wait for an answer.
const ANSWER_MS = 10_000;
