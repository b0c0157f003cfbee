// One service: what is going on, what comes next, what it is judged by, and what can be done about it.

import {Actions} from "./actions.js";
import {ask} from "./commands.js";
import {Cursor} from "./chart.js";
import {DifferenceChart, LatencyChart, Ribbon} from "./charts.js";
import {attribute, h, icon, keyed, s, say, show} from "./dom.js";
import {conditionOf, drawBar, drawState} from "./services.js";
import {
  actorOf, ago, clock, countdown, driftLine, driftOf, evidenceLines, evidenceOf, grouped, guardName, inert, isTrial, latency, moment,
  nextOf, percent, perSecond, points, rate, roleOf, share, span, tallyOf, upOf, whatOf,
} from "./words.js";

export class ServiceView extends HTMLElement {
  /// `commands` sends, `house` knows.
  open(name, house, commands) {
    if (this.name === name) return;
    this.name = name;
    this.house = house;
    this.service = null;
    this.cursor = new Cursor();
    this.build(commands);
    this.seed();
  }

  close() {
    this.name = null;
    this.replaceChildren();
  }

  build(commands) {
    this.word = h("span");
    this.badge = h("span.state", {}, this.word);
    this.heading = h("h1", {tabindex: "-1"}, h("bdi", {}, inert(this.name, 300)));
    this.sentence = h("bdi");
    this.coming = h("bdi");
    this.driftList = h("ul");
    this.drift = h("div.notice.waits", {hidden: true}, icon("warn"), h("div", {}, h("p", {}, (this.driftText = h("bdi"))), this.driftList));
    this.actions = new Actions(commands, this.name);
    this.chips = h("span.chips");
    this.plan = h("ol.plan");
    this.planTitle = h("h2");
    this.planBox = h("section.plan-box", {"aria-labelledby": (this.planTitle.id = "plan-title")}, this.planTitle, this.plan);
    this.bar = h("div.bar.wide", {"aria-hidden": "true"});
    this.lanes = h("div.lanes");
    this.guards = h("ul.guards");
    this.guardBox = h("section.card.guard-box", {"aria-labelledby": "guards-title"}, h("h2", {id: "guards-title"}, "Evidence"), this.guards);
    this.ribbon = new Ribbon(this.cursor);
    this.difference = new DifferenceChart(this.cursor);
    this.latency = new LatencyChart(this.cursor);
    this.windows = h("div.choices", {role: "group", "aria-label": "How far back charts go"},
      ...WINDOWS.map(([word, ms]) => h("button.choice", {type: "button", "aria-pressed": String(ms === 0), onclick: (event) => this.look(ms, event.currentTarget)}, word)));
    this.window = 0;
    this.endpoints = h("tbody");
    this.quarantine = h("ul.quarantine");
    this.quarantineBox = h("section.card", {"aria-labelledby": "quarantine-title"}, h("h2", {id: "quarantine-title"}, "Quarantine"),
      h("p.hint", {}, "These get no traffic until Retry."), this.quarantine);
    this.events = h("ol.events");
    this.more = h("button.quiet", {type: "button", hidden: true, onclick: () => this.seed(true)}, "Show older ones");
    this.noEvents = h("p.empty", {}, "Nothing was decided yet.");
    this.endpointBox = h("section.card", {"aria-labelledby": "endpoints-title"}, h("h2", {id: "endpoints-title"}, "Endpoints"),
      h("div.scroll", {tabindex: "0", role: "region", "aria-labelledby": "endpoints-title"}, h("table.endpoints", {}, h("thead", {}, h("tr", {},
        ...["Endpoint", "Version", "Health"].map((it) => h("th", {scope: "col"}, it)), h("th.number", {scope: "col"}, "Left out"))), this.endpoints)));
    this.replaceChildren(
      h("div.top", {},
        h("div.who", {}, h("a.back", {href: "#/"}, icon("back"), "All services"), h("div.name", {}, this.heading, this.badge, this.chips)),
        this.actions.node),
      h("p.sentence", {}, this.sentence), h("p.coming", {}, h("b", {}, "Next: "), this.coming), this.drift,
      this.planBox,
      h("div.columns.facts", {}, h("section.card", {"aria-labelledby": "lanes-title"}, h("h2", {id: "lanes-title"}, "Traffic now"), this.bar, this.lanes),
        h("section.card", {"aria-labelledby": "time-title"}, h("div.head", {}, h("h2", {id: "time-title"}, "Traffic over time"), this.windows), this.ribbon.node)),
      this.guardBox,
      h("div.columns.charts", {}, this.difference.node, this.latency.node),
      h("div.columns", {}, this.endpointBox, this.quarantineBox),
      h("section.card", {"aria-labelledby": "events-title"}, h("h2", {id: "events-title"}, "Decisions"), this.noEvents, this.events, this.more));
  }

  /// Decisions from before the page was opened.
  async seed(older = false) {
    const name = this.name;
    const service = this.house.services.get(name);
    if (!service || (service.seeded && !older)) return;
    service.seeded = true;
    const cursor = older && service.older ? `&cursor=${encodeURIComponent(service.older)}` : "";
    const answer = await ask("GET", `services/${encodeURIComponent(name)}/history?limit=50${cursor}`);
    if (!answer.ok) {
      service.seeded = false;
      return;
    }
    for (const event of answer.body.events) service.decided(event);
    service.older = answer.body.next ?? null;
    if (this.name === name) this.draw(performance.now());
  }

  look(ms, button) {
    this.window = ms;
    for (const it of this.windows.children) attribute(it, "aria-pressed", String(it === button));
    this.draw(performance.now());
  }

  focusTitle() {
    this.heading.focus({preventScroll: true});
  }

  /// `at` is our clock; the server's, by which decisions and samples are dated, follows from it.
  draw(at) {
    const service = this.house.services.get(this.name);
    if (!service) {
      if (this.house.status && !this.gone) this.leave();
      return;
    }
    if (this.gone) {
      this.gone = false;
      const name = this.name;
      this.name = null;
      return this.open(name, this.house, this.actions.commands), this.draw(at);
    }
    if (!service.seeded) this.seed();
    const {wire} = (this.service = service);
    const trial = isTrial(wire);
    drawState(this.badge, this.word, wire);
    const condition = conditionOf(service);
    attribute(this, "data-family", condition.family);
    keyed(this.chips, condition.chips, ([family, text]) => `${family} ${text}`, ([family, text]) => ({node: h(`span.chip.${family}`, {}, icon("warn"), text)}));
    say(this.sentence, `${inert(wire.why)}.`);
    this.actions.draw(service, at);
    const [drift, fields] = [driftOf(wire), wire.drift ?? []];
    show(this.drift, drift || fields.length);
    say(this.driftText, inert(drift ?? "What runs is not what the file says:"));
    keyed(this.driftList, fields, (it) => it.field, () => {
      const text = h("bdi");
      return {node: h("li", {}, text), update: (it) => say(text, inert(driftLine(it)))};
    });
    this.drawLanes(service);
    show(this.guardBox, wire.guards.length);
    keyed(this.guards, wire.guards, (it) => it.name, () => new Guard(wire));
    const now = this.house.ahead + at;
    const from = this.from(service, now, trial);
    this.ribbon.update(service, from, now);
    show(this.difference.node, this.difference.update(service, from, now));
    this.latency.update(service, from, now);
    this.drawEndpoints(wire);
    show(this.quarantineBox, wire.quarantined.length);
    keyed(this.quarantine, wire.quarantined, (it) => `${it.version} ${it.at}`, (it) => ({
      node: h("li", {}, h("b", {}, h("bdi", {}, inert(it.version, 300))), " since ", h("time", {datetime: it.at}, clock(moment(it.at))), ": ", h("bdi", {}, inert(it.why))),
    }));
    show(this.noEvents, !service.events.length);
    show(this.more, service.older != null);
    keyed(this.events, service.events, (it) => it.id, (it) => new EventItem(it));
    this.tick(at);
  }

  tick(at) {
    const {service} = this;
    if (!service || this.gone) return;
    const left = this.house.left(service, at);
    const next = nextOf(service.wire, left);
    say(this.coming, next === "–" ? "nothing is being released." : inert(next));
    this.drawPlan(service.wire, left);
    for (const child of this.events.keyed?.values() ?? []) child.tick(this.house.ahead + at);
    this.actions.tick(at);
  }

  leave() {
    this.gone = true;
    this.service = null;
    this.replaceChildren(h("p.back-only", {}, h("a.back", {href: "#/"}, icon("back"), "All services")),
      h("p.sentence", {}, "There is no service ", h("b", {}, h("bdi", {}, inert(this.name, 300))), "."));
  }

  /// Where charts begin: with the release that is going on, if the person did not say.
  from(service, now, trial) {
    if (this.window > 0) return now - this.window;
    const began = service.events.find((it) => it.what === "began" || it.what === "verifying");
    const first = Math.min(...[...service.lanes.values()].map((it) => it.times[0]), now);
    const since = trial && began ? moment(began.at) - 20_000 : Math.max(now - WINDOW_MS, first);
    return Math.max(now - DAY_MS, Math.min(since, now - WINDOW_LEAST_MS));
  }

  drawLanes(service) {
    const {wire} = service;
    drawBar(this.bar, service);
    const shares = service.sharesNow();
    const shown = wire.lanes.map((lane, index) => ({lane, role: roleOf(wire, lane), share: shares[index]}))
      .filter((it) => it.role !== "idle").sort((a, b) => LANE_ORDER.indexOf(a.role) - LANE_ORDER.indexOf(b.role));
    keyed(this.lanes, shown, (it) => it.lane.version, () => new Lane());
    for (const child of this.lanes.keyed.values()) child.guard(wire);
  }

  drawPlan(wire, left) {
    const trial = isTrial(wire);
    show(this.planBox, wire.steps.length > 0 && (trial || wire.state === "LIVE" || wire.state === "ROLLED BACK"));
    if (!wire.steps.length) return;
    say(this.planTitle, trial ? (wire.step ? `Step ${wire.step.number} of ${wire.step.of}` : "The plan") : "The plan of the next release");
    const watching = wire.state === "WATCHING";
    const between = trial && wire.canary && !watching && !wire.steps.some((it) => it.now) && wire.weight_percent > 0;
    const steps = wire.steps.map((step, index) => ({key: index, text: percent(step.weight_percent), done: trial && step.done, now: trial && step.now,
      more: `for ${span(step.soak_seconds)}${step.requests ? `, ${grouped(step.requests)} requests` : ""}`, total: step.soak_seconds}));
    if (between) steps.push({key: "hand", text: percent(wire.weight_percent), now: true, more: "by hand", total: 0});
    steps.push({key: "all", text: "100%", now: watching, more: "watched", total: 0});
    steps.push({key: "stable", text: "stable", more: ""});
    keyed(this.plan, steps, (it) => it.key, () => new PlanStep());
    for (const child of this.plan.keyed.values()) child.left(left, wire);
  }

  drawEndpoints(wire) {
    const all = wire.lanes.flatMap((lane) => lane.endpoints.map((it) => ({...it, version: lane.version, role: roleOf(wire, lane)})));
    show(this.endpointBox, all.length);
    all.sort((a, b) => HEALTH.indexOf(b.state) - HEALTH.indexOf(a.state) || LANE_ORDER.indexOf(a.role) - LANE_ORDER.indexOf(b.role));
    keyed(this.endpoints, all.slice(0, ENDPOINTS_MAX), (it) => `${it.version} ${it.endpoint}`, (it) => {
      const [version, state, why, left] = [h("bdi"), h("span.health"), h("bdi.why"), h("td.number")];
      const update = (it) => {
        say(version, `${inert(it.version, 300)}, ${it.role}`);
        if (state.drawn !== it.state) {
          state.drawn = it.state;
          const well = it.state === "up";
          attribute(state, "class", `health ${well ? "live" : it.state === "down" ? "out" : "waits"}`);
          state.replaceChildren(icon(well ? "up" : it.state === "down" ? "down" : "hold"), inert(it.state, 40));
        }
        const reasons = [it.why, it.stale ? `address may be stale: ${it.stale}` : null].filter(Boolean).join("; ");
        say(why, inert(reasons, 600));
        say(left, it.ejections ? `${grouped(it.ejections)} ×` : "–");
      };
      return {node: h("tr", {}, h("th", {scope: "row"}, h("bdi", {}, inert(it.endpoint, 300))), h("td", {}, version), h("td", {}, state, why), left), update};
    });
  }
}

/// A version and its numbers.
class Lane {
  constructor() {
    [this.version, this.role, this.share, this.asked] = [h("bdi"), h("span"), h("span.big"), h("span.asked")];
    this.numbers = new Map();
    const fact = (name, word) => {
      const value = h("dd");
      this.numbers.set(name, value);
      return h("div", {}, h("dt", {}, word), value);
    };
    this.node = h("div.lane", {}, h("div.lane-head", {}, h("h3", {}, (this.dot = h("span.key")), this.version), this.role),
      h("p.share", {}, this.share, this.asked),
      h("dl", {}, fact("rate", "Requests/s"), fact("errors", "Errors"), fact("p50", "p50"), fact("p99", "p99"), fact("up", "Endpoints"), fact("seen", "Judged")));
  }

  update({lane, role, share: observed}) {
    this.lane = lane;
    attribute(this.node, "class", `lane ${role}`);
    attribute(this.dot, "class", `key ${role}`);
    say(this.version, inert(lane.version, 300));
    say(this.role, role);
    say(this.share, share(observed));
    say(this.asked, Math.abs(observed * 100 - lane.weight_percent) >= 0.05 ? `${percent(lane.weight_percent)} asked for` : "as asked for");
    const {up, all} = upOf(lane);
    say(this.numbers.get("rate"), perSecond(lane.per_second));
    say(this.numbers.get("p50"), latency(lane.latency_us_p50));
    say(this.numbers.get("p99"), latency(lane.latency_us_p99));
    say(this.numbers.get("up"), all ? `${up}/${all} up` : "–");
    attribute(this.numbers.get("up"), "class", all && up < all ? "bad" : null);
    say(this.numbers.get("seen"), grouped(lane.seen.requests));
    say(this.numbers.get("errors"), lane.seen.requests ? rate(lane.seen.bad / lane.seen.requests) : "–");
  }

  /// How sure the canary's own rate is.
  guard(wire) {
    const guard = wire.guards.find((it) => it.name === "errors");
    if (this.lane?.version !== wire.canary || !guard?.canary_interval || !this.lane.seen.requests) return;
    const [low, high] = guard.canary_interval;
    say(this.numbers.get("errors"), `${rate(this.lane.seen.bad / this.lane.seen.requests)} ±${(((high - low) / 2) * 100).toFixed(2)}`);
  }
}

/// A guard: what it knows, drawn on its own axis, and how far evidence of harm has come.
class Guard {
  constructor(wire) {
    this.wire = wire;
    [this.name, this.words, this.text, this.numbers, this.counts] = [h("h3"), h("p.words"), h("bdi"), h("span.numbers"), h("p.hint")];
    this.fill = h("span.fill");
    this.gauge = h("div.gauge", {role: "meter", "aria-valuemin": "0", "aria-valuemax": "100", "aria-label": "evidence, in percent of a rollback"}, this.fill);
    [this.band, this.dot, this.zero, this.limit] = [s("rect.band", {y: 5, height: 8, rx: 2}), s("circle.dot", {cy: 9, r: 3.5}), s("line.zero", {y1: 1, y2: 17}), s("line.limit", {y1: 1, y2: 17})];
    this.zeroText = s("text", {y: 29, "text-anchor": "middle"}, "0");
    this.limitText = s("text", {y: 29, "text-anchor": "middle"}, "limit");
    this.axis = s("svg.forest", {"aria-hidden": "true"}, s("line.base", {x1: "0%", x2: "100%", y1: 9, y2: 9}), this.zero, this.limit, this.band, this.dot, this.zeroText, this.limitText);
    this.node = h("li.guard", {}, h("div.guard-head", {}, this.name, this.numbers), this.axis, this.words, this.gauge, h("p.text", {}, this.text), this.counts);
  }

  update(guard) {
    const {stable} = this.wire;
    say(this.name, inert(guardName(guard, stable), 120));
    say(this.words, evidenceOf(guard));
    say(this.text, inert(guard.text));
    const slow = guard.slow_us;
    say(this.counts, slow
      ? `Canary: ${tallyOf(guard.canary, `slower than ${latency(slow[0])}`)}. Stable: ${tallyOf(guard.stable, `slower than ${latency(slow[1])}`)}.`
      : `Canary: ${tallyOf(guard.canary)}. Stable: ${tallyOf(guard.stable)}.`);
    const evidence = Math.min(1, Math.max(0, guard.evidence));
    this.fill.style.width = `${(evidence * 100).toFixed(1)}%`;
    attribute(this.gauge, "aria-valuenow", Math.round(evidence * 100));
    attribute(this.gauge, "aria-valuetext", evidenceOf(guard));
    attribute(this.node, "data-level", evidence >= 0.5 ? "strong" : evidence >= 0.2 ? "some" : "none");
    const {difference, interval, limit} = guard;
    const drawn = difference != null && interval && limit != null;
    show(this.axis, true);
    this.axis.style.display = drawn ? "" : "none";
    const allowed = inert(guard.allowed || (limit != null ? `${points(limit)}pp` : ""), 40);
    const band = drawn ? `${points(difference)}pp [${points(interval[0])}, ${points(interval[1])}]` : "";
    say(this.numbers, [slow ? "" : band, allowed && `limit ${allowed}`].filter(Boolean).join(", "));
    if (!drawn) return;
    // The axis has zero and the limit in view, and as much of the band as fits.
    const wide = Math.max(Math.abs(limit) * 1.6, Math.min(Math.max(Math.abs(interval[0]), Math.abs(interval[1])), Math.abs(limit) * 6), 1e-4);
    const x = (it) => 50 + Math.max(-1, Math.min(1, it / wide)) * 48;
    const part = (it) => `${it.toFixed(2)}%`;
    attribute(this.band, "x", part(x(interval[0])));
    attribute(this.band, "width", part(Math.max(1, x(interval[1]) - x(interval[0]))));
    attribute(this.dot, "cx", part(x(difference)));
    for (const [line, text, value] of [[this.zero, this.zeroText, 0], [this.limit, this.limitText, limit]]) {
      attribute(line, "x1", part(x(value)));
      attribute(line, "x2", part(x(value)));
      attribute(text, "x", part(x(value)));
    }
    attribute(this.limitText, "visibility", x(limit) - x(0) < 8 ? "hidden" : null);
  }
}

/// A step of the plan.
class PlanStep {
  constructor() {
    [this.text, this.more, this.count, this.fill, this.mark, this.said] = [h("b"), h("span.more"), h("span.count"), h("span.fill"), h("span.mark", {"aria-hidden": "true"}), h("span.unseen")];
    this.node = h("li", {}, this.mark, h("span.track", {"aria-hidden": "true"}, this.fill), h("span.label", {}, this.said, this.text, " ", this.more), this.count);
  }

  update(it) {
    this.it = it;
    const word = it.done ? "done" : it.now ? "now" : "next";
    attribute(this.node, "class", word);
    attribute(this.node, "aria-current", it.now ? "step" : null);
    if (this.mark.drawn !== word) {
      this.mark.drawn = word;
      this.mark.replaceChildren(icon(it.done ? "up" : "dot"));
    }
    say(this.said, it.done ? "done: " : it.now ? "now: " : "");
    say(this.text, it.text);
    say(this.more, it.more);
  }

  left(left, wire) {
    const {now, total} = this.it;
    const missing = wire.requests_missing > 0 ? `${grouped(wire.requests_missing)} requests missing` : "";
    const time = left == null ? "" : left > 0 ? `${countdown(left)} left` : "time is up";
    const stands = wire.state !== "CANARY" && wire.state !== "WATCHING" ? inert(wire.state.toLowerCase(), 40) : "";
    say(this.count, now ? [stands, time, missing].filter(Boolean).join(", ") : "");
    const part = now && total > 0 && left != null ? Math.min(1, Math.max(0, 1 - left / total)) : now ? 0.5 : this.it.done ? 1 : 0;
    const width = `${(part * 100).toFixed(1)}%`;
    if (this.fill.drawn !== width) this.fill.style.width = this.fill.drawn = width;
  }
}

/// A decision and what it rested on.
class EventItem {
  constructor(event) {
    this.at = moment(event.at);
    this.ago = h("span.ago");
    const moved = event.from_percent !== event.to_percent ? ` ${percent(event.from_percent)} → ${percent(event.to_percent)}` : "";
    const tone = {rolled_back: "out", breached: "out", barred: "waits", paused: "waits", held: "waits", completed: "live", promoted: "trial", advanced: "trial", began: "trial"}[event.what] ?? "plain";
    const evidence = event.evidence && (event.evidence.canary.requests > 0 || event.evidence.stable.requests > 0)
      ? h("details.behind", {}, h("summary", {}, "Evidence"), h("ul", {}, ...evidenceLines(event.evidence).map((it) => h("li", {}, it)))) : null;
    this.node = h("li.event", {}, h("time", {datetime: event.at, title: `${event.at}, here ${new Date(this.at).toLocaleString()}`}, clock(this.at), this.ago),
      h("div.happened", {}, h("p", {}, h(`span.what.${tone}`, {}, inert(whatOf(event), 40)), " ", h("b", {}, h("bdi", {}, inert(event.version, 300))), moved,
        h("span.by", {}, ", by ", h("bdi", {}, inert(actorOf(event), 200)))), h("p.text", {}, h("bdi", {}, inert(event.text))), (this.told = h("ul.told")), evidence));
    this.count = 0;
  }

  /// What became of telling others of it: whoever was told at once is named, and everything else is said.
  update(event) {
    const all = event.notifications ?? [];
    if (all.length === this.count) return;
    this.count = all.length;
    const plain = (it) => it.result === "delivered" && it.attempts <= 1 && it.recovered_seconds == null;
    const at_once = all.filter(plain).map((it) => inert(it.target, 100));
    const lines = all.filter((it) => !plain(it)).map((it) => h(`li.${TOLD[it.result] ?? "plain"}`, {}, h("bdi", {}, `${inert(it.target, 100)} ${inert(it.text, 600)}`)));
    if (at_once.length) lines.unshift(h("li", {}, h("bdi", {}, `told: ${at_once.join(", ")}`)));
    this.told.replaceChildren(...lines);
  }

  tick(now) {
    say(this.ago, ago((now - this.at) / 1000));
  }
}

const TOLD = {retried: "waits", failed: "out", dropped: "out", delivered: "plain"};
const LANE_ORDER = ["stable", "canary", "withdrawn", "split", "previous", "idle"];
const HEALTH = ["up", "warming", "waiting", "ejected", "down"];
const WINDOWS = [["Release", 0], ["5 min", 300_000], ["1 h", 3_600_000], ["24 h", 86_400_000]];
/// What charts show of a service at rest, the least they show, and the most.
const WINDOW_MS = 300_000;
const WINDOW_LEAST_MS = 60_000;
const DAY_MS = 86_400_000;
/// More endpoints than anybody reads; those in trouble come first.
const ENDPOINTS_MAX = 200;

customElements.define("tide-service", ServiceView);
