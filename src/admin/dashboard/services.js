// The table of all services, problems first.

import {attribute, h, icon, keyed, say, show} from "./dom.js";
import {
  grouped, inert, latency, nextOf, percent, perSecond, rate, roleOf, serving, share, stateOf, upOf, versionsOf,
} from "./words.js";

/// What is wrong with a service, worst first: a rank for the order, and chips beside its name.
export function conditionOf(service) {
  const {wire} = service;
  const chips = [];
  const lanes = wire.lanes.filter((it) => it.weight_percent > 0);
  const counts = lanes.map(upOf);
  const [up, all] = [counts.reduce((sum, it) => sum + it.up, 0), counts.reduce((sum, it) => sum + it.all, 0)];
  const dark = counts.some((it) => it.all > 0 && it.up === 0);
  const {requests, rate: failing} = service.recently();
  const burning = requests >= REQUESTS_LEAST && failing >= FAILING_MUCH;
  if (dark) chips.push(["out", "no endpoint up"]);
  else if (up < all) chips.push(["waits", `${up}/${all} up`]);
  if (burning) chips.push(["out", `${rate(failing)} errors`]);
  if (wire.drift?.length) chips.push(["waits", "drifted"]);
  else if (wire.state === "LIVE" && !wire.in_sync) chips.push(["waits", "not in sync"]);
  const {rank, family} = stateOf(wire);
  const trouble = dark || burning || family === "out";
  return {trouble, family: trouble ? "out" : family, rank: trouble ? 0 : chips.length ? Math.min(rank, 8) : rank, chips};
}

export class Services extends HTMLElement {
  connectedCallback() {
    if (this.house) return;
    this.rows = new Map();
    this.query = "";
    this.only = "all";
    this.counts = new Map();
    this.search = h("input", {
      type: "search", id: "search", placeholder: "Search services and versions", "aria-label": "Search services and versions",
      autocomplete: "off", spellcheck: "false", maxlength: "200", oninput: () => this.filter(),
    });
    const choice = (name, word) => {
      const count = h("span.count", {}, "0");
      this.counts.set(name, count);
      return h("button.choice", {type: "button", "data-only": name, "aria-pressed": String(name === "all"), onclick: () => this.choose(name)}, word, " ", count);
    };
    this.choices = h("div.choices", {role: "group", "aria-label": "Which services"}, choice("all", "All"),
      choice("out", "Problems"), choice("waits", "Waiting"), choice("trial", "Releasing"), choice("live", "Live"));
    this.body = h("tbody", {role: "rowgroup"});
    this.empty = h("p.empty", {hidden: true}, "No service fits.");
    const column = (name, word, more) => h(`th.${name}`, {scope: "col", role: "columnheader", ...more}, word);
    this.table = h("table.services", {role: "table", "aria-label": "Services, problems first"},
      h("thead", {role: "rowgroup"}, h("tr", {role: "row"},
        column("c-state", "State"), column("c-name", "Service"), column("c-versions", "Versions"), column("c-traffic", "Traffic"),
        column("c-rate.number", "Req/s"), column("c-errors.number", "Errors", {title: "of the last minute, as far as this page has seen it"}),
        column("c-p99.number", "p99", {title: "of the slowest version with traffic, since the process started"}), column("c-next", "What comes next"))),
      this.body);
    this.append(h("div.tools", {}, h("h1", {}, "Services"), this.choices, h("div.search", {}, this.search)), this.table, this.empty);
    // Rows do not move under a hand that is about to choose one.
    this.table.addEventListener("pointermove", () => (this.touchedAt = performance.now()));
    this.table.addEventListener("keydown", (event) => this.walk(event));
    // The whole row leads there, and the link is what keyboards and readers know.
    this.body.addEventListener("click", (event) => {
      if (!event.target.closest("a") && !getSelection()?.toString()) event.target.closest("tr")?.querySelector("a").click();
    });
  }

  choose(only) {
    this.only = only;
    for (const it of this.choices.children) attribute(it, "aria-pressed", String(it.dataset.only === only));
    this.filter();
  }

  filter() {
    this.query = this.search.value.trim().toLowerCase();
    this.arrange(true);
  }

  /// Draws those that changed; without names, all.
  draw(house, now, names) {
    this.house = house;
    for (const name of this.rows.keys()) {
      if (!house.services.has(name)) {
        this.rows.get(name).node.remove();
        this.rows.delete(name);
        this.unsorted = true;
      }
    }
    for (const name of names ?? house.services.keys()) {
      const service = house.services.get(name);
      if (!service) continue;
      let row = this.rows.get(name);
      if (!row) {
        this.rows.set(name, (row = new Row(service.wire.name)));
        this.unsorted = true;
      }
      row.draw(service, house.left(service, now));
      if (row.order !== row.drawnOrder) this.unsorted = true;
    }
    this.arrange(false);
  }

  /// Countdowns go on between two messages.
  tick(house, now) {
    for (const [name, row] of this.rows) {
      const service = house.services.get(name);
      if (service?.wire.left_seconds != null) row.next(service.wire, house.left(service, now));
    }
    if (this.unsorted) this.arrange(false);
  }

  arrange(force) {
    const tally = {all: 0, out: 0, waits: 0, trial: 0, live: 0};
    let shown = 0;
    for (const row of this.rows.values()) {
      tally.all++;
      tally[row.family]++;
      const fits = (this.only === "all" || row.family === this.only) && (this.query === "" || row.words.includes(this.query));
      show(row.node, fits);
      if (fits) shown++;
    }
    for (const [name, count] of this.counts) say(count, grouped(tally[name]));
    show(this.empty, shown === 0 && this.house);
    say(this.empty, tally.all === 0 ? "No service is configured yet." : "No service fits.");
    const held = performance.now() - (this.touchedAt ?? -Infinity) < HAND_MS || this.body.contains(document.activeElement);
    if (!this.unsorted || (held && !force && this.body.firstChild)) return;
    this.unsorted = false;
    const sorted = [...this.rows.values()].sort((a, b) => a.order - b.order || collator.compare(a.name, b.name));
    sorted.forEach((row) => (row.drawnOrder = row.order));
    if (!this.body.firstChild) return this.body.append(...sorted.map((row) => row.node));
    let at = this.body.firstChild;
    for (const row of sorted) {
      if (row.node === at) at = at.nextSibling;
      else this.body.insertBefore(row.node, at);
    }
  }

  /// Up and down through the rows.
  walk(event) {
    const step = {ArrowDown: 1, j: 1, ArrowUp: -1, k: -1}[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.step(step);
  }

  step(by) {
    const links = [...this.body.querySelectorAll("tr:not([hidden]) a")];
    const at = links.indexOf(document.activeElement);
    const next = at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, at + by));
    links[next]?.focus();
  }

  focusOn(name) {
    this.rows.get(name)?.link.focus({preventScroll: true});
  }
}

const cell = (name, ...children) => h(`td.${name}`, {role: "cell"}, ...children);
/// What every row looks like.
const PATTERN = h("tr", {role: "row"}, cell("c-state", h("span.state")), h("th.c-name", {scope: "row", role: "rowheader"}, h("a", {}, h("bdi")), h("span.chips")),
  cell("c-versions", h("bdi")), cell("c-traffic", h("div.bar", {"aria-hidden": "true"}), h("span.shares")), cell("c-rate.number", h("span")),
  cell("c-errors.number", h("span")), cell("c-p99.number", h("span")), cell("c-next", h("bdi"), h("bdi.why")));

/// One service in the table.
class Row {
  constructor(name) {
    this.name = name;
    // A copy is made in a fraction of the time that its parts take.
    this.node = PATTERN.cloneNode(true);
    const [state, named, versions, traffic, rate, errors, p99, next] = this.node.children;
    this.badge = state.firstChild;
    this.word = h("span");
    [this.link, this.chips] = named.children;
    attribute(this.link, "href", `#/service/${encodeURIComponent(name)}`);
    say(this.link.firstChild, inert(name, 300));
    this.versions = versions.firstChild;
    [this.bar, this.shares] = traffic.children;
    [this.rate, this.errors, this.p99] = [rate.firstChild, errors.firstChild, p99.firstChild];
    [this.coming, this.why] = next.children;
  }

  draw(service, left) {
    const {wire} = service;
    const condition = conditionOf(service);
    [this.order, this.family] = [condition.rank, condition.family];
    this.words = `${wire.name} ${wire.state} ${wire.stable} ${wire.canary ?? ""} ${wire.wanted}`.toLowerCase();
    attribute(this.node, "data-family", condition.family);
    drawState(this.badge, this.word, wire);
    if (condition.chips.length || this.chips.firstChild) keyed(this.chips, condition.chips, ([family, text]) => `${family} ${text}`, ([family, text]) => ({
      node: h(`span.chip.${family}`, {}, icon("warn"), text),
    }));
    say(this.versions, inert(versionsOf(wire), 300));
    drawBar(this.bar, service);
    say(this.shares, sharesText(service));
    say(this.rate, perSecond(wire.lanes.reduce((sum, it) => sum + it.per_second, 0)));
    const recent = service.recently();
    say(this.errors, recent.rate == null ? "–" : rate(recent.rate));
    attribute(this.errors, "class", recent.requests >= REQUESTS_LEAST && recent.rate >= FAILING_MUCH ? "bad" : null);
    const slowest = Math.max(...serving(wire).map((it) => it.latency_us_p99 ?? -1), -1);
    say(this.p99, slowest < 0 ? "–" : latency(slowest));
    // What needs somebody says why.
    const needs = condition.family === "out" || condition.family === "waits";
    show(this.why, needs);
    if (needs) say(this.why, inert(wire.why, 300));
    this.next(wire, left);
  }

  next(wire, left) {
    say(this.coming, inert(nextOf(wire, left), 300));
  }
}

/// The word, the picture and the colour of a state.
export function drawState(badge, word, wire) {
  const {icon: picture, family} = stateOf(wire);
  if (badge.drawn !== wire.state) {
    badge.drawn = wire.state;
    attribute(badge, "class", `state ${family}`);
    badge.replaceChildren(icon(picture), word);
    say(word, inert(wire.state, 40));
  }
}

/// Shares side by side, as wide as they are; the canary first, as water rises.
export function drawBar(bar, service) {
  const {wire} = service;
  const shares = service.sharesNow();
  const parts = wire.lanes.map((lane, index) => ({key: lane.version, role: roleOf(wire, lane), share: shares[index]}))
    .filter((it) => it.share > 0).sort((a, b) => ORDER[a.role] - ORDER[b.role]);
  keyed(bar, parts, (it) => it.key, () => {
    const node = h("span");
    return {
      node,
      update: (it) => {
        attribute(node, "class", it.role);
        const width = `${(it.share * 100).toFixed(1)}%`;
        if (node.drawn !== width) node.style.flexBasis = node.drawn = width;
      },
    };
  });
}

/// `24.9% of v42`: what is seen, and what was asked for where nothing is.
function sharesText(service) {
  const {wire} = service;
  const canary = wire.lanes.findIndex((it) => it.version === wire.canary);
  if (canary >= 0 && wire.lanes[canary].weight_percent > 0) {
    const moving = wire.lanes.some((it) => it.per_second > 0);
    return moving ? share(service.sharesNow()[canary]) : percent(wire.lanes[canary].weight_percent);
  }
  const split = serving(wire).filter((it) => it.version !== wire.stable);
  return split.length ? `${serving(wire).length} versions` : "100%";
}

export const ORDER = {canary: 0, withdrawn: 0, split: 1, idle: 2, previous: 3, stable: 4};
const collator = new Intl.Collator("en", {numeric: true});
/// From here on failures are a problem of their own, whatever the release does.
const FAILING_MUCH = 0.05;
const REQUESTS_LEAST = 20;
/// How long rows keep their places after a hand has moved over them.
const HAND_MS = 5000;

customElements.define("tide-services", Services);
