// A chart over time, in SVG: areas, lines, bands and rules, a cursor for the mouse and the keyboard, and behind
// each a sentence and a table. It draws what it is given; where numbers come from is not its business.
//
// Own code, and not a library: what is needed are three kinds of paths, text that zooms, colours from the style
// sheet, and something that a screen reader can be told about.

import {attribute, h, keyed, s, say, show} from "./dom.js";
import {clock} from "./words.js";

/// A figure with a title. `draw` takes:
/// `from`, `to`: milliseconds; `low`, `high`, `ticks`, `written`: the other axis;
/// `areas`: `{key, role, points: [[time, bottom, top]]}`; `lines`: `{key, role, points: [[time, value]], label}`;
/// `rules`: `{key, value, label}`; `marks`: `{key, at, label}`; `sentence`; `times`: where the cursor can be;
/// `read(time)`: `[[name, text, role]]`.
export class Chart {
  constructor(title, cursor, height = 168) {
    this.height = height;
    this.width = 0;
    this.cursor = cursor;
    this.box = {};
    this.layers = s("g", {"clip-path": `url(#${(this.clip = `clip-${++clips}`)})`});
    this.axes = s("g.axes", {});
    this.rules = s("g.rules", {});
    this.marks = s("g.marks", {});
    this.labels = s("g.labels", {});
    this.needle = s("line.needle", {visibility: "hidden"});
    this.frame = s("rect", {x: LEFT, y: TOP});
    this.svg = s("svg.plot", {role: "img", tabindex: "0", height},
      s("defs", {}, s("clipPath", {id: this.clip}, this.frame)),
      this.axes, this.layers, this.rules, this.marks, this.labels, this.needle);
    this.title = h("h3", {}, title);
    this.sentence = h("p.said");
    this.readout = h("p.readout", {hidden: true});
    this.head = h("thead");
    this.body = h("tbody");
    this.table = h("details.behind", {ontoggle: () => this.fill()}, h("summary", {}, "As a table"),
      h("div.scroll", {tabindex: "0", role: "region", "aria-label": `${title}, as a table`},
        h("table", {}, this.head, this.body)));
    this.node = h("figure.chart", {}, h("figcaption", {}, this.title, this.sentence, this.readout), this.svg, this.table);
    this.listen();
    new ResizeObserver(([entry]) => {
      this.width = Math.max(200, Math.round(entry.contentRect.width));
      this.paint();
    }).observe(this.node);
  }

  draw(spec) {
    this.spec = spec;
    say(this.sentence, spec.sentence);
    attribute(this.svg, "aria-label", `${this.title.textContent}. ${spec.sentence}`);
    this.paint();
    if (this.table.open) this.fill();
  }

  paint() {
    const {spec, width, height} = this;
    if (!spec || !width) return;
    const [right, bottom] = [width - RIGHT, height - BOTTOM];
    attribute(this.svg, "viewBox", `0 0 ${width} ${height}`);
    attribute(this.svg, "width", width);
    attribute(this.frame, "width", right - LEFT);
    attribute(this.frame, "height", bottom - TOP);
    const x = (at) => LEFT + ((at - spec.from) / Math.max(1, spec.to - spec.from)) * (right - LEFT);
    const y = (value) => bottom - ((value - spec.low) / (spec.high - spec.low || 1)) * (bottom - TOP);
    // Children outlive this call, and look here for what it found out.
    const box = Object.assign(this.box, {right, bottom, x});
    const inside = (value) => Math.min(bottom, Math.max(TOP, y(value)));

    const paths = [];
    for (const it of spec.areas ?? []) paths.push({key: `a${it.key}`, class: `area ${it.role}`, d: areaOf(it.points, x, y)});
    for (const it of spec.lines ?? []) paths.push({key: `l${it.key}`, class: `line ${it.role}`, d: lineOf(it.points, x, y)});
    keyed(this.layers, paths, (it) => it.key, () => {
      const node = s("path", {});
      return {node, update: (it) => (attribute(node, "class", it.class), attribute(node, "d", it.d))};
    });

    const ticks = spec.ticks.map((value) => ({key: `y${value}`, x: LEFT - 8, y: y(value), text: spec.written(value), line: true, anchor: "end"}));
    for (const it of timeTicks(spec.from, spec.to, (right - LEFT) / 90)) {
      ticks.push({key: `x${it.at}`, x: x(it.at), y: bottom + 12, text: it.text, anchor: "middle"});
    }
    keyed(this.axes, ticks, (it) => it.key, () => {
      const [line, text] = [s("line", {}), s("text", {dy: "0.32em"})];
      const update = (it) => {
        attribute(line, "visibility", it.line ? null : "hidden");
        place(line, {x1: LEFT, x2: box.right, y1: it.y, y2: it.y});
        place(text, {x: it.x, y: it.y});
        attribute(text, "text-anchor", it.anchor);
        say(text, it.text);
      };
      return {node: s("g", {}, line, text), update};
    });

    const rules = (spec.rules ?? []).map((it) => ({...it, y: inside(it.value)}));
    keyed(this.rules, rules, (it) => it.key, (it) => {
      const [line, text] = [s("line", {}), s("text", {dy: "-0.4em"})];
      const update = (it) => {
        place(line, {x1: LEFT, x2: box.right, y1: it.y, y2: it.y});
        place(text, {x: LEFT + 6, y: it.y});
        say(text, it.label);
      };
      return {node: s(`g.rule.${it.key}`, {}, line, text), update};
    });

    // Names of what happened; where two would overlap only the line stays.
    let free = -Infinity;
    const marks = (spec.marks ?? []).filter((it) => it.at >= spec.from && it.at <= spec.to).map((it) => {
      const at = x(it.at);
      const shown = at >= free && at + it.label.length * 6.2 < right;
      if (shown) free = at + it.label.length * 6.2 + 12;
      return {...it, x: at, shown};
    });
    keyed(this.marks, marks, (it) => it.key, (it) => {
      const [line, text, whole] = [s("line", {}), s("text", {dy: "0.9em"}), s("title", {}, it.label)];
      const update = (it) => {
        place(line, {x1: it.x, x2: it.x, y1: TOP, y2: box.bottom});
        place(text, {x: it.x + 4, y: TOP});
        attribute(text, "visibility", it.shown ? null : "hidden");
        say(text, it.label);
      };
      return {node: s(`g.mark.${it.role ?? "plain"}`, {}, whole, line, text), update};
    });

    // Lines are named at their end; names that would overlap move apart.
    const labels = (spec.lines ?? []).concat(spec.named ?? []).filter((it) => it.label && it.points.length && !Number.isNaN(it.points.at(-1)[1]))
      .map((it) => ({...it, y: inside(it.points.at(-1)[1])})).sort((a, b) => a.y - b.y);
    for (let i = 1; i < labels.length; i++) labels[i].y = Math.max(labels[i].y, labels[i - 1].y + 13);
    const over = labels.length ? labels.at(-1).y - bottom : 0;
    if (over > 0) labels.forEach((it) => (it.y -= over));
    keyed(this.labels, labels, (it) => it.key, () => {
      const text = s("text", {dy: "0.32em"});
      const update = (it) => {
        attribute(text, "class", it.role);
        place(text, {x: box.right + 6, y: it.y});
        say(text, it.label);
      };
      return {node: text, update};
    });
    this.point();
  }

  /// The cursor is shared by all charts of a service.
  listen() {
    const {svg, cursor} = this;
    cursor.charts.push(this);
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const part = (event.clientX - box.left) / box.width;
      const at = (part * this.width - LEFT) / Math.max(1, this.width - LEFT - RIGHT);
      if (this.spec) cursor.move(this.spec.from + at * (this.spec.to - this.spec.from));
    });
    svg.addEventListener("pointerleave", () => cursor.move(null));
    svg.addEventListener("blur", () => cursor.move(null));
    svg.addEventListener("keydown", (event) => {
      const times = this.spec?.times ?? [];
      const steps = {ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20, Home: -Infinity, End: Infinity}[event.key];
      if (event.key === "Escape" && cursor.at != null) {
        cursor.move(null);
        event.stopPropagation();
      }
      if (!steps || !times.length) return;
      event.preventDefault();
      const now = cursor.at == null ? times.length : nearest(times, cursor.at);
      cursor.move(times[Math.min(times.length - 1, Math.max(0, now + steps))], true);
    });
  }

  point() {
    const {spec, cursor} = this;
    const at = cursor.at;
    const seen = spec && at != null && spec.times.length > 0 && at >= spec.from && at <= spec.to;
    attribute(this.needle, "visibility", seen ? null : "hidden");
    show(this.readout, seen);
    show(this.sentence, !seen);
    if (!seen || !this.box.x) return;
    const time = spec.times[nearest(spec.times, at)];
    const x = this.box.x(time);
    place(this.needle, {x1: x, x2: x, y1: TOP, y2: this.box.bottom});
    this.readout.replaceChildren(h("b", {}, clock(time)),
      ...spec.read(time).flatMap(([name, text, role]) => [" ", h(`span.key.${role}`, {}), h("bdi", {}, name), ` ${text}`]));
    attribute(this.readout, "aria-live", cursor.byKey ? "polite" : "off");
  }

  fill() {
    if (!this.table.open || !this.spec) return;
    const {times, read} = this.spec;
    const every = Math.max(1, Math.ceil(times.length / ROWS_MAX));
    const rows = [];
    for (let at = times.length - 1; at >= 0; at -= every) rows.push([times[at], read(times[at])]);
    const names = [...new Set(rows.flatMap(([, cells]) => cells.map((it) => it[0])))];
    this.head.replaceChildren(h("tr", {}, h("th", {scope: "col"}, "time"), ...names.map((it) => h("th", {scope: "col"}, h("bdi", {}, it)))));
    this.body.replaceChildren(...rows.map(([time, cells]) => {
      const found = (name) => cells.find((it) => it[0] === name)?.[1] ?? "–";
      return h("tr", {}, h("th", {scope: "row"}, clock(time)), ...names.map((it) => h("td", {}, found(it))));
    }));
  }
}

/// Where all charts of a service look.
export class Cursor {
  constructor() {
    this.at = null;
    this.byKey = false;
    this.charts = [];
  }

  move(at, byKey = false) {
    [this.at, this.byKey] = [at, byKey];
    this.charts.forEach((it) => it.point());
  }
}

/// Round numbers between two, about four of them.
export function ticksOf(low, high, about = 4) {
  const raw = (high - low) / about || 1;
  const size = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((it) => it * size).find((it) => it >= raw);
  const ticks = [];
  for (let at = Math.ceil(low / step); at * step <= high + step * 1e-9; at++) ticks.push(at * step);
  return ticks;
}

/// Round times between two.
function timeTicks(from, to, most) {
  const step = TIME_STEPS.find((it) => (to - from) / it <= most) ?? 86_400_000;
  const ticks = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
    const text = clock(at);
    ticks.push({at, text: step < 60_000 ? text : `${text.slice(0, 5)}Z`});
  }
  return ticks;
}
const TIME_STEPS = [5e3, 10e3, 15e3, 30e3, 60e3, 120e3, 300e3, 600e3, 900e3, 1800e3, 3600e3, 7200e3, 21600e3, 43200e3];

function lineOf(points, x, y) {
  let d = "";
  let pen = "M";
  for (const [at, value] of points) {
    if (Number.isNaN(value)) {
      pen = "M";
      continue;
    }
    d += `${pen}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = "L";
  }
  return d;
}

function areaOf(points, x, y) {
  const whole = points.filter((it) => !Number.isNaN(it[1]) && !Number.isNaN(it[2]));
  if (!whole.length) return "";
  const up = whole.map(([at, , top]) => `${x(at).toFixed(1)} ${y(top).toFixed(1)}`);
  const back = whole.map(([at, bottom]) => `${x(at).toFixed(1)} ${y(bottom).toFixed(1)}`).reverse();
  return `M${up.join("L")}L${back.join("L")}Z`;
}

function nearest(times, at) {
  let [low, high] = [0, times.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < at) low = middle + 1;
    else high = middle;
  }
  return low > 0 && at - times[low - 1] < times[low] - at ? low - 1 : low;
}

function place(node, numbers) {
  for (const [name, value] of Object.entries(numbers)) attribute(node, name, value.toFixed(1));
}

let clips = 0;
/// Room around the plot: numbers on the left, names on the right, times below.
const [LEFT, RIGHT, TOP, BOTTOM] = [52, 112, 8, 24];
/// Rows of the table behind a chart.
const ROWS_MAX = 40;
