// What the page knows: every service as it was sent last, the decisions, and samples of what was.

import {moment, sharesOf} from "./words.js";

/// Samples of one service: numbers by column, oldest first. When it is full, the older half keeps every other
/// sample, so that an hour stays in view and the last minutes stay sharp.
export class Samples {
  constructor(columns, most = 480) {
    this.columns = columns;
    this.most = most;
    this.count = 0;
    this.room(Math.min(most, 32));
  }

  /// Most pages are looked at for a minute: room is made as it is needed.
  room(rows) {
    const [times, numbers] = [this.times, this.numbers];
    this.times = new Float64Array(rows);
    this.numbers = new Float64Array(rows * this.columns);
    if (times) this.times.set(times);
    if (numbers) this.numbers.set(numbers);
  }

  add(at, values) {
    if (this.count === this.most) this.thin();
    else if (this.count === this.times.length) this.room(Math.min(this.most, this.count * 2));
    this.times[this.count] = at;
    for (let column = 0; column < this.columns; column++) {
      this.numbers[this.count * this.columns + column] = values[column] ?? NaN;
    }
    this.count++;
  }

  thin() {
    const half = this.most >> 1;
    let to = 0;
    for (let from = 0; from < this.count; from += from < half ? 2 : 1) {
      this.times[to] = this.times[from];
      this.numbers.copyWithin(to * this.columns, from * this.columns, (from + 1) * this.columns);
      to++;
    }
    this.count = to;
  }

  at(row, column) {
    return this.numbers[row * this.columns + column];
  }

  /// The first sample that is not older than that.
  since(time) {
    let row = this.count;
    while (row > 0 && this.times[row - 1] >= time) row--;
    return row;
  }

  get lastAt() {
    return this.count ? this.times[this.count - 1] : 0;
  }
}

/// One service and its past.
export class Service {
  constructor(wire, now, serverNow) {
    this.events = [];
    this.seeded = false;
    this.older = null;
    this.lanes = new Map();
    this.guards = new Map();
    this.take(wire, now, serverNow);
  }

  /// `now` is our clock, `serverNow` the server's.
  take(wire, now, serverNow) {
    this.wire = wire;
    this.at = now;
    if (wire.last) this.decided(wire.last);
    // About one sample a second: what is sent more often is the countdown.
    for (const [index, lane] of wire.lanes.entries()) {
      if (lane.weight_percent === 0 && lane.per_second === 0 && !this.lanes.has(lane.version)) continue;
      let samples = this.lanes.get(lane.version);
      if (!samples) this.lanes.set(lane.version, (samples = new Samples(LANE.length)));
      if (serverNow - samples.lastAt < SAMPLE_MS) continue;
      this.shares ??= sharesOf(wire);
      samples.add(serverNow, [
        this.shares[index], lane.weight_percent / 100, lane.per_second, lane.seen.requests, lane.seen.bad,
        lane.latency_us_p50, lane.latency_us_p99,
      ]);
    }
    this.shares = null;
    for (const guard of wire.guards) {
      if (guard.difference == null && guard.evidence === 0) continue;
      const key = `${wire.release} ${guard.name}`;
      let samples = this.guards.get(key);
      if (!samples) this.guards.set(key, (samples = new Samples(GUARD.length)));
      if (serverNow - samples.lastAt < SAMPLE_MS) continue;
      const [low, high] = guard.interval ?? [NaN, NaN];
      samples.add(serverNow, [guard.difference, low, high, guard.limit, guard.evidence]);
    }
    // Only the newest releases are drawn.
    while (this.guards.size > GUARDS_MAX) this.guards.delete(this.guards.keys().next().value);
    while (this.lanes.size > LANES_MAX) this.lanes.delete(this.lanes.keys().next().value);
    this.recent = this.lately = null;
  }

  /// A decision, however it was learned; newest first, each once.
  decided(event) {
    const at = this.events.findIndex((it) => it.id <= event.id);
    if (at >= 0 && this.events[at].id === event.id) {
      for (const it of event.notifications ?? []) this.told(it);
      return false;
    }
    this.events.splice(at < 0 ? this.events.length : at, 0, event);
    if (this.events.length > EVENTS_MAX) this.events.pop();
    return true;
  }

  /// What became of telling others of a decision, each once. A decision that is fetched later brings its own.
  told(notification) {
    const event = this.events.find((it) => it.id === notification.event);
    if (!event) return false;
    const known = (event.notifications ??= []);
    if (known.some((it) => it.id === notification.id)) return false;
    known.push(notification);
    return true;
  }

  guard(name) {
    return this.guards.get(`${this.wire.release} ${name}`);
  }

  /// The shares of the last seconds, in the order of the lanes: one second of a small service is mostly chance.
  /// Without traffic, as published.
  sharesNow() {
    if (this.lately) return this.lately;
    const counts = this.wire.lanes.map((lane) => {
      const samples = this.lanes.get(lane.version);
      if (!samples?.count) return lane.per_second;
      let sum = 0;
      for (let row = samples.since(samples.lastAt - SHARES_MS); row < samples.count; row++) {
        // What came before the last change of weights says nothing about these.
        if (samples.at(row, WEIGHT) === lane.weight_percent / 100) sum += samples.at(row, PER_SECOND);
      }
      return sum;
    });
    const total = counts.reduce((sum, it) => sum + it, 0);
    return (this.lately = this.wire.lanes.map((lane, at) => (total > 0 ? counts[at] / total : lane.weight_percent / 100)));
  }

  /// Failures among the responses of the last minute, as far as the page has seen it; before that, of all
  /// that the server counts.
  recently() {
    if (this.recent) return this.recent;
    let [requests, bad, seconds] = [0, 0, 0];
    for (const lane of this.wire.lanes) {
      const samples = this.lanes.get(lane.version);
      if (!samples || samples.count < 2) continue;
      const first = samples.since(samples.lastAt - RECENT_MS);
      let before = [samples.at(first, SEEN), samples.at(first, BAD)];
      for (let row = first + 1; row < samples.count; row++) {
        const after = [samples.at(row, SEEN), samples.at(row, BAD)];
        // Counts begin again with each release.
        const fresh = after[0] < before[0];
        requests += fresh ? after[0] : after[0] - before[0];
        bad += fresh ? after[1] : after[1] - before[1];
        before = after;
      }
      seconds = Math.max(seconds, (samples.lastAt - samples.times[first]) / 1000);
    }
    if (seconds < RECENT_LEAST_S) {
      const lanes = this.wire.lanes.filter((it) => it.weight_percent > 0);
      requests = lanes.reduce((sum, it) => sum + it.seen.requests, 0);
      bad = lanes.reduce((sum, it) => sum + it.seen.bad, 0);
      seconds = 0;
    }
    return (this.recent = {requests, bad, seconds, rate: requests > 0 ? bad / requests : null});
  }
}

/// All services.
export class House {
  constructor() {
    this.services = new Map();
    this.status = null;
    /// Our clock when the newest news came, and how much the server's is ahead of it.
    this.at = 0;
    this.ahead = 0;
  }

  /// Whoever may not read any more sees nothing of what was read.
  forget() {
    this.services.clear();
    this.status = null;
  }

  /// Everything anew. Samples of what was known stay.
  snapshot(status, now) {
    const names = new Set(status.services.map((it) => it.name));
    for (const name of [...this.services.keys()]) if (!names.has(name)) this.services.delete(name);
    return this.news(status, now);
  }

  /// What has changed. Returns the names of the services that did.
  news(status, now) {
    const serverNow = moment(status.at);
    this.at = now;
    this.ahead = serverNow - now;
    for (const name of status.removed ?? []) this.services.delete(name);
    for (const wire of status.services) {
      const known = this.services.get(wire.name);
      if (known) known.take(wire, now, serverNow);
      else this.services.set(wire.name, new Service(wire, now, serverNow));
    }
    this.status = {...status, services: undefined};
    return status.services.map((it) => it.name);
  }

  decided(event) {
    return this.services.get(event.service)?.decided(event) ?? false;
  }

  told(notification) {
    return this.services.get(notification.service)?.told(notification) ?? false;
  }

  /// The rest of a soak or a watch. It goes on for a while between two messages, and stands still with them.
  left(service, now) {
    const it = service.wire.left_seconds;
    if (it == null || service.wire.state === "PAUSED") return it;
    return Math.max(0, it - Math.min((now - service.at) / 1000, COAST_S));
  }
}

/// Columns of lanes and of guards.
export const LANE = ["share", "weight", "per_second", "seen", "bad", "p50", "p99"];
export const GUARD = ["difference", "low", "high", "limit", "evidence"];
const [WEIGHT, PER_SECOND, SEEN, BAD] = [1, 2, 3, 4];
/// Least time between two samples.
const SAMPLE_MS = 900;
/// What shares are counted over.
const SHARES_MS = 10_000;
/// What "recently" is, and what is too little to speak of.
const RECENT_MS = 60_000;
const RECENT_LEAST_S = 5;
/// Decisions kept of a service; older ones are fetched when somebody asks.
const EVENTS_MAX = 500;
/// Guards and versions whose samples are kept of a service.
const GUARDS_MAX = 8;
const LANES_MAX = 6;
/// How long a countdown goes on without news.
const COAST_S = 2.5;
