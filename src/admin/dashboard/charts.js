// The three charts of a service, from samples to what `chart.js` draws.

import {Chart, ticksOf} from "./chart.js";
import {attribute} from "./dom.js";
import {evidenceOf, guardName, inert, latency, moment, percent, points, roleOf, share} from "./words.js";
import {ORDER} from "./services.js";

const [SHARE, , , , , P50, P99] = [0, 1, 2, 3, 4, 5, 6];
const [DIFFERENCE, LOW, HIGH, LIMIT] = [0, 1, 2, 3];

/// Who has had which share: what was decided before the page was opened, what was seen since.
export class Ribbon {
  constructor(cursor) {
    this.chart = new Chart("Shares of the traffic", cursor, 190);
    this.node = this.chart.node;
  }

  update(service, from, to) {
    const {wire} = service;
    const order = versionsIn(service, from);
    const samples = sampled(service, from, to);
    const past = decided(service, from, samples.length ? samples[0].at : to, order);
    const points = [...past, ...samples];
    if (samples.length) points.push({...samples.at(-1), at: to});
    const areas = order.map((it) => ({...it, key: it.version, points: []}));
    for (const point of points) {
      let bottom = 0;
      for (const area of areas) {
        const top = area.rest ? 1 : Math.min(1, bottom + (point.shares.get(area.version) ?? 0));
        area.points.push([point.at, bottom, top]);
        bottom = top;
      }
    }
    const drawn = areas.filter((it) => it.points.some(([, bottom, top]) => top - bottom > 0.0005));
    // Each is named where it stands at the end, if there is room for a name.
    const named = drawn.filter((it) => it.points.at(-1)[2] - it.points.at(-1)[1] > 0.02).map((it) => {
      const [at, bottom, top] = it.points.at(-1);
      return {key: it.version, role: it.role, label: `${short(it.version)} ${share(top - bottom)}`, points: [[at, (bottom + top) / 2]]};
    });
    const at = new Map(points.map((it) => [it.at, it]));
    const shares = service.sharesNow();
    const now = order.map((it) => [it, wire.lanes.findIndex((lane) => lane.version === it.version)]).filter(([, index]) => index >= 0 && shares[index] > 0);
    this.chart.draw({
      from, to, low: 0, high: 1, ticks: [0, 0.25, 0.5, 0.75, 1], written: (it) => percent(it * 100), areas: drawn, named,
      marks: marksOf(service), times: points.map((it) => it.at),
      sentence: now.length ? `${now.map(([it, index]) => `${inert(it.version, 60)} has ${share(shares[index])}`).join(", ")} of the traffic now.` : "There is no traffic.",
      read: (time) => {
        const point = at.get(time);
        const rest = 1 - order.reduce((sum, it) => sum + (it.rest ? 0 : point?.shares.get(it.version) ?? 0), 0);
        return order.map((it) => [inert(it.version, 60), share(Math.max(0, it.rest ? rest : point?.shares.get(it.version) ?? 0)), it.role]);
      },
    });
  }
}

/// Versions from the bottom up: what is tried rises like water, and stable is what it has not covered.
function versionsIn(service, from) {
  const {wire} = service;
  const known = wire.lanes.map((lane) => ({version: lane.version, role: roleOf(wire, lane)}));
  const used = known.filter((it) => it.role !== "idle" || service.events.some((event) => event.version === it.version && moment(event.at) >= from));
  used.sort((a, b) => ORDER[a.role] - ORDER[b.role]);
  // After a release the former stable is what the new one has risen over.
  const previous = used.findIndex((it) => it.role === "previous");
  if (!used.some((it) => it.role === "canary" || it.role === "withdrawn") && previous >= 0) used.push(...used.splice(previous, 1));
  if (used.length) used.at(-1).rest = true;
  return used;
}

function sampled(service, from, to) {
  const rows = new Map();
  for (const [version, samples] of service.lanes) {
    for (let row = samples.since(from); row < samples.count; row++) {
      const at = samples.times[row];
      if (at > to) break;
      let point = rows.get(at);
      if (!point) rows.set(at, (point = {at, shares: new Map()}));
      point.shares.set(version, samples.at(row, SHARE));
    }
  }
  return [...rows.values()].sort((a, b) => a.at - b.at);
}

/// Shares as they were decided, before there were samples: each decision is a step.
function decided(service, from, to, order) {
  const rest = order.at(-1)?.version;
  const events = service.events.filter((it) => moment(it.at) < to && it.version !== rest).reverse();
  const points = [];
  const shares = new Map();
  const put = (at) => points.push({at: Math.max(from, at), shares: new Map(shares)});
  for (const event of events) {
    const at = moment(event.at);
    const [before, after] = [event.from_percent / 100, event.to_percent / 100];
    if (at < from) {
      shares.clear();
      shares.set(event.version, after);
      continue;
    }
    if (!points.length) {
      if (!shares.size) shares.set(event.version, before);
      put(from);
    }
    if (before === after) continue;
    put(at - 1);
    shares.set(event.version, after);
    put(at);
  }
  if (!points.length && (shares.size || events.length === 0)) {
    if (!events.length) return [];
    put(from);
  }
  if (points.length) put(to);
  return points;
}

function marksOf(service) {
  const role = {rolled_back: "out", breached: "out", completed: "live"};
  const words = {began: "began", advanced: null, promoted: "all traffic", completed: "stable", rolled_back: "rolled back", paused: "paused", resumed: "resumed", breached: "breached", weighted: "by hand"};
  return service.events.filter((it) => it.what in words).map((it) => ({
    key: it.id, at: moment(it.at), role: role[it.what], label: words[it.what] ?? percent(it.to_percent),
  })).reverse();
}

/// Canary minus stable, with its band, zero and the limit.
export class DifferenceChart {
  constructor(cursor) {
    this.chart = new Chart("Canary minus stable", cursor);
    this.node = this.chart.node;
  }

  /// Whether there is anything to draw.
  update(service, from, to) {
    const {wire} = service;
    const guard = wire.guards.find((it) => it.difference != null && service.guard(it.name)?.count);
    if (!guard) return false;
    const samples = service.guard(guard.name);
    const rows = [];
    for (let row = samples.since(from); row < samples.count; row++) rows.push(row);
    const seen = rows.map((row) => ({at: samples.times[row], middle: samples.at(row, DIFFERENCE), low: samples.at(row, LOW), high: samples.at(row, HIGH)}));
    const known = [...(guard.name === "errors" ? weighed(service, from, seen[0]?.at ?? to) : []), ...seen];
    const limit = guard.limit ?? samples.at(samples.count - 1, LIMIT);
    // Early bands are wider than anything that matters later: the axis belongs to the limit and to what is known now.
    const [lowNow, highNow] = guard.interval ?? [guard.difference, guard.difference];
    const reach = Math.max(limit * 2, Math.min(Math.max(Math.abs(lowNow), Math.abs(highNow)) * 1.3, limit * 12), Math.abs(guard.difference) * 1.3, 1e-4);
    const name = guardName(guard, wire.stable);
    const ends = (text) => `${text}pp`;
    const index = new Map(known.map((it) => [it.at, it]));
    this.chart.title.textContent = `Canary minus stable: ${inert(name, 60)}`;
    this.chart.draw({
      from, to, low: -reach, high: reach, ticks: ticksOf(-reach, reach), written: points,
      areas: [{key: "band", role: "band", points: known.map((it) => [it.at, it.low, it.high])}],
      lines: [{key: "difference", role: "canary", points: known.map((it) => [it.at, it.middle]), label: ends(points(guard.difference))}],
      rules: [{key: "zero", value: 0, label: ""}, {key: "limit", value: limit, label: `limit ${points(limit)}pp`}],
      marks: marksOf(service), times: known.map((it) => it.at),
      sentence: `${points(guard.difference)}pp${guard.interval ? ` [${points(lowNow)}, ${points(highNow)}]` : ""}, limit ${points(limit)}pp. ${evidenceOf(guard)}.`,
      read: (time) => {
        const it = index.get(time);
        return [["difference", ends(points(it.middle)), "canary"], ["band", `${points(it.low)} to ${points(it.high)}pp`, "band"]];
      },
    });
    return true;
  }
}

/// What the decisions of this release rested on, from before the page was opened.
function weighed(service, from, to) {
  const began = service.events.find((it) => it.what === "began");
  const since = Math.max(from, began ? moment(began.at) : to);
  return service.events.map((it) => ({at: moment(it.at), ...it.evidence})).filter((it) => it.at >= since && it.at < to && it.difference != null && it.low != null)
    .map((it) => ({at: it.at, middle: it.difference, low: it.low, high: it.high})).reverse();
}

/// p50 and p99 of every version with traffic.
export class LatencyChart {
  constructor(cursor) {
    this.chart = new Chart("Latency", cursor);
    this.node = this.chart.node;
  }

  update(service, from, to) {
    const {wire} = service;
    const lines = [];
    const times = new Set();
    const found = new Map();
    let most = 0;
    for (const lane of wire.lanes) {
      const samples = service.lanes.get(lane.version);
      if (!samples || (lane.weight_percent === 0 && lane.per_second === 0)) continue;
      const role = roleOf(wire, lane);
      for (const [column, word] of [[P99, "p99"], [P50, "p50"]]) {
        const points = [];
        for (let row = samples.since(from); row < samples.count; row++) {
          const [at, value] = [samples.times[row], samples.at(row, column)];
          points.push([at, value]);
          times.add(at);
          if (value > most) most = value;
        }
        const name = `${lane.version} ${word}`;
        found.set(name, {role, at: new Map(points)});
        const last = column === P99 ? lane.latency_us_p99 : lane.latency_us_p50;
        if (last != null && points.length) lines.push({key: name, role: `${role} ${word}`, points, label: `${short(lane.version, 7)} ${word} ${latency(last)}`});
      }
    }
    const high = most > 0 ? most * 1.15 : 1000;
    attribute(this.node, "data-empty", lines.length ? null : true);
    const said = wire.lanes.filter((it) => it.latency_us_p99 != null && (it.weight_percent > 0 || it.per_second > 0))
      .map((it) => `${inert(it.version, 60)}: p50 ${latency(it.latency_us_p50)}, p99 ${latency(it.latency_us_p99)}`);
    this.chart.draw({
      from, to, low: 0, high, ticks: ticksOf(0, high, 3), written: latency, lines, marks: [], times: [...times].sort((a, b) => a - b),
      sentence: said.length ? `${said.join("; ")}, since the process started.` : "No response was seen yet.",
      read: (time) => [...found].map(([name, it]) => [inert(name, 60), latency(it.at.get(time)), it.role]),
    });
  }
}

/// A name in the little room beside a line.
const short = (text, most = 10) => {
  const clean = inert(text, 60);
  return clean.length > most ? `${clean.slice(0, most - 1)}…` : clean;
};
