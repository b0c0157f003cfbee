// The one stream that the page lives by: read, parsed, watched for silence, and begun again when it ends.
//
// It is read with `fetch`, so that a token can be sent where reading needs one. Not here: what the news mean
// (`house.js`), and asking for a token (`commands.js`).

import {token} from "./token.js";

/// Reads `api/v1/events/stream` for as long as the page is open. `on.snapshot`, `on.status` and `on.decision`
/// get what was sent, as does `on.notification`; `on.health` says how the line is: `live`, `lost` (and why), or `closed` to those without a token.
export class Feed {
  constructor(on) {
    this.on = on;
    this.heardAt = 0;
    this.newest = null;
    this.told = null;
    this.attempt = 0;
    this.health = {word: "connecting", why: ""};
    // Silence is noticed by the clock and not by a timer of its own, because browsers slow timers down.
    setInterval(() => this.listen(), 1000);
    addEventListener("online", () => this.hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.hurry());
  }

  /// Connects at once, if it is not connected.
  hurry() {
    if (this.health.word === "live" && Date.now() - this.heardAt < SILENCE_MS) return;
    this.restart();
  }

  /// Begins anew, whatever it is doing.
  restart() {
    this.attempt = 0;
    this.abort?.abort();
    this.wake?.();
  }

  async run() {
    for (;;) {
      const why = await this.once();
      this.become(why === CLOSED ? "closed" : "lost", why);
      // 0.5 s, 1 s, 2 s and so on up to 8 s, and a little chance, so that many pages do not come back at once.
      const pause = Math.min(8000, 500 * 2 ** this.attempt++) * (0.8 + 0.4 * Math.random());
      await new Promise((resolve) => {
        this.wake = resolve;
        setTimeout(resolve, why === CLOSED ? 3_600_000 : pause);
      });
    }
  }

  /// One connection, from its beginning to its end. Returns why it ended.
  async once() {
    const abort = (this.abort = new AbortController());
    // A connection that is never answered must end as well.
    const patience = setTimeout(() => abort.abort(), SILENCE_MS);
    try {
      const headers = {accept: "text/event-stream", ...token.header()};
      if (this.newest != null) headers["last-event-id"] = this.newest;
      const answer = await fetch(`api/v1/events/stream${this.told == null ? "" : `?notified=${this.told}`}`, {headers, cache: "no-store", signal: abort.signal});
      clearTimeout(patience);
      if (answer.status === 401 || answer.status === 403) return CLOSED;
      if (!answer.ok) return `the server answers ${answer.status}`;
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      const parser = new Parser((event) => this.hear(event));
      for (;;) {
        const {done, value} = await reader.read();
        if (done) return "the server ended the stream";
        this.heardAt = Date.now();
        parser.feed(value);
      }
    } catch (error) {
      return abort.signal.aborted ? "nothing was heard for 15 s" : "the server cannot be reached";
    } finally {
      clearTimeout(patience);
    }
  }

  hear({name, id, data}) {
    if (id) this.newest = id;
    const known = {snapshot: this.on.snapshot, status: this.on.status, decision: this.on.decision, notification: this.on.notification}[name];
    if (!known) return;
    const said = JSON.parse(data);
    if (name === "notification") this.told = said.id;
    known(said);
    if (name === "snapshot") {
      this.attempt = 0;
      this.become("live", "");
    }
  }

  listen() {
    if (this.health.word === "live" && Date.now() - this.heardAt > SILENCE_MS) {
      this.abort?.abort();
      this.become("lost", "nothing was heard for 15 s");
    }
  }

  become(word, why) {
    if (this.health.word === word && this.health.why === why) return;
    this.health = {word, why};
    this.on.health(this.health);
  }
}

/// Server-sent events from text that comes in any pieces.
export class Parser {
  constructor(take) {
    this.take = take;
    this.rest = "";
    this.event = {name: "message", id: "", data: ""};
  }

  feed(text) {
    // A piece is only looked through once: large snapshots come in many.
    let from = 0;
    const whole = this.rest + text;
    for (;;) {
      const end = whole.indexOf("\n", from);
      if (end < 0) break;
      this.line(whole.slice(from, whole[end - 1] === "\r" ? end - 1 : end));
      from = end + 1;
    }
    this.rest = whole.slice(from);
  }

  line(line) {
    const event = this.event;
    if (line === "") {
      if (event.data) this.take(event);
      this.event = {name: "message", id: "", data: ""};
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (field === "event") event.name = value;
    if (field === "id") event.id = value;
    if (field === "data") event.data += event.data ? `\n${value}` : value;
  }
}

/// Longest silence: the server says something at least every 10 s.
export const SILENCE_MS = 15_000;
const CLOSED = "a token is needed to read";
