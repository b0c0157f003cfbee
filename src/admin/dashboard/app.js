// The page: joins the stream, what is known, and what is shown.

import {Commands, ask, refusalOf} from "./commands.js";
import {askForToken, help, note, question} from "./dialogs.js";
import {attribute, h, icon, keyed, say, show} from "./dom.js";
import {Feed, SILENCE_MS} from "./feed.js";
import {House} from "./house.js";
import {conditionOf} from "./services.js";
import "./service.js";
import {token} from "./token.js";
import {ago, clock, grouped, inert, moment} from "./words.js";

const get = (id) => document.getElementById(id);
const began = performance.now();

class App {
  constructor() {
    this.house = new House();
    this.commands = new Commands(askForToken);
    // An answer may know more than the stream has told yet.
    this.commands.heard = (wire) => wire && this.house.status && this.news(this.house.news({...this.house.status, services: [wire]}, performance.now()));
    [this.list, this.detail] = [get("services"), get("service")];
    this.changed = new Set();
    this.health = {word: "connecting", why: ""};
    this.feed = new Feed({
      snapshot: (status) => this.news(this.house.snapshot(status, performance.now()), true),
      status: (status) => this.news(this.house.news(status, performance.now())),
      decision: (event) => this.decided(event),
      notification: (notification) => this.told(notification),
      health: (health) => this.lineIs(health),
    });
    this.furnish();
    addEventListener("hashchange", () => this.go());
    this.go();
    setInterval(() => this.tick(), 1000);
    this.feed.run();
  }

  furnish() {
    const tool = (id, picture, word, act) => {
      const node = get(id);
      node.append(icon(picture), h("span.word", {}, word));
      node.addEventListener("click", act);
      return node;
    };
    this.freeze = tool("freeze", "snow", "Freeze", () => this.freezeOrNot());
    tool("theme", "theme", "Colours", () => this.turnTheme());
    tool("help", "help", "Keys", () => help(this.shortcuts));
    this.forget = tool("forget", "key", "Forget token", () => {
      token.forget();
      note("The token is forgotten.");
    });
    token.watchers.push(() => {
      show(this.forget, token.known);
      // What may be read may have changed with it.
      this.feed.restart();
    });
    show(this.forget, token.known);
    document.querySelector(".skip").addEventListener("click", (event) => {
      event.preventDefault();
      get("main").focus();
    });
    get("again").addEventListener("click", () => this.feed.hurry());
    get("let-in").addEventListener("click", () => this.letIn());
    this.shortcuts = {
      on: localStorage.getItem("tidegate-keys") !== "off",
      set(on) {
        this.on = on;
        localStorage.setItem("tidegate-keys", on ? "on" : "off");
      },
    };
    addEventListener("keydown", (event) => this.key(event));
  }

  // --- what comes in

  news(names, whole = false) {
    for (const name of names) this.changed.add(name);
    if (whole) this.all = true;
    this.soon();
    this.facade();
  }

  decided(event) {
    if (this.house.decided(event)) this.changed.add(event.service);
    // Said to those who listen instead of looking; what was decided at once is said together.
    const now = performance.now();
    this.spoken = (this.spoken ?? []).filter((it) => now - it.at < SPOKEN_MS).slice(-4);
    this.spoken.push({at: now, text: `${inert(event.service, 60)}: ${inert(event.text, 200)}`});
    say(get("spoken"), this.spoken.map((it) => it.text).join(". "));
    this.soon();
  }

  told(notification) {
    if (this.house.told(notification)) this.changed.add(notification.service);
    this.soon();
  }

  lineIs(health) {
    this.health = health;
    if (health.word === "live") this.lostAt = null;
    else this.lostAt ??= performance.now();
    if (health.word === "closed" && this.house.status) {
      this.house.forget();
      this.list.draw(this.house, performance.now());
      if (this.open) {
        this.detail.close();
        this.detail.open(this.open, this.house, this.commands);
      }
      get("notices").replaceChildren();
      get("notices").keyed = null;
    }
    this.rooms();
    this.line();
  }

  /// Everything that came in until then is drawn in one go.
  soon() {
    if (this.drawing) return;
    this.drawing = true;
    requestAnimationFrame(() => {
      this.drawing = false;
      this.draw();
    });
  }

  // --- what is shown

  go() {
    const [, page, name] = location.hash.split("/");
    let wanted = null;
    try {
      wanted = page === "service" && name ? decodeURIComponent(name) : null;
    } catch {
      // What is no name leads to all of them.
    }
    const before = this.open;
    this.open = wanted;
    this.rooms();
    if (wanted) {
      if (!before) this.scrolled = scrollY;
      this.detail.open(wanted, this.house, this.commands);
      this.draw();
      scrollTo(0, 0);
      if (before !== undefined) this.detail.focusTitle();
    } else {
      this.detail.close();
      this.all = true;
      this.draw();
      if (before) {
        scrollTo(0, this.scrolled ?? 0);
        this.list.focusOn(before);
      }
    }
    this.line();
    this.facade();
  }

  /// Which parts of the page can be seen.
  rooms() {
    const closed = this.health.word === "closed";
    show(get("closed"), closed);
    show(get("loading"), !closed && !this.house.status);
    show(this.list, !closed && !this.open);
    show(this.detail, !closed && this.open);
  }

  draw() {
    if (!this.house.status) return;
    const at = performance.now();
    if (this.open) this.detail.draw(at);
    else this.list.draw(this.house, at, this.all ? undefined : this.changed);
    this.changed.clear();
    this.all = false;
    show(get("loading"), false);
    this.notices();
  }

  tick() {
    const at = performance.now();
    if (this.open) {
      // Charts move on with the time, also when nothing is sent.
      if (this.health.word === "live") this.detail.draw(at);
      else this.detail.tick(at);
    } else if (this.house.status) this.list.tick(this.house, at);
    this.line();
  }

  /// How the line is, and what that means for what is shown.
  line() {
    const {word, why} = this.health;
    const lost = word === "lost" || word === "closed" || (word === "connecting" && !this.house.status && performance.now() - began > 3000);
    const age = this.house.status ? (performance.now() - this.house.at) / 1000 : null;
    const stale = lost || (word === "live" && performance.now() - began > SILENCE_MS && Date.now() - this.feed.heardAt > SILENCE_MS);
    attribute(document.documentElement, "data-stale", stale);
    // A moment without a line is no news: a reload or an upgrade makes one.
    const banner = stale && (performance.now() - (this.lostAt ?? 0) > 1500 || word === "closed");
    show(get("stale"), banner && word !== "closed");
    if (banner) {
      const since = age == null ? "Nothing has been shown yet." : `What is shown is from ${ago(age)} (${clock(this.house.at + this.house.ahead)}).`;
      say(get("stale-text"), `Not live: ${why || "the server cannot be reached"}. ${since} Buttons are off; the command line may still work: tidegate ${this.open ? `rollback ${inert(this.open, 60)}` : "status"}.`);
    }
    const dot = get("live");
    attribute(dot, "data-word", stale ? "lost" : word);
    say(get("live-word"), stale ? "not live" : word === "live" ? "live" : "connecting");
    if (this.open && this.detail.actions) this.detail.actions.disable(stale ? "Not live: buttons are off." : null);
    this.freeze.disabled = stale || !this.house.status;
    if (this.wasStale !== stale) {
      this.wasStale = stale;
      this.facade();
    }
  }

  /// What concerns all services.
  notices() {
    const {status} = this.house;
    const list = [];
    if (status.freeze) {
      const {by, reason, until} = status.freeze;
      list.push({key: "freeze", tone: "waits", picture: "snow", text: `Frozen by ${inert(by.name, 100)}${until ? ` until ${clock(moment(until))}` : ""}: nothing advances anywhere, rollbacks do.${reason ? ` ${inert(reason)}` : ""}`});
    }
    if (status.refused) list.push({key: "refused", tone: "out", picture: "warn", text: `The configuration of ${clock(moment(status.refused.at))} was refused; generation ${status.generation} keeps serving.`, report: status.refused.report});
    if (!status.journal.durable) list.push({key: "journal", tone: "out", picture: "warn", text: `The journal is not durable: ${inert(status.journal.problem)}. Weights do not rise; rollbacks go on.`});
    if (status.phase !== "serving") list.push({key: "phase", tone: "waits", picture: "hold", text: `The server is ${inert(status.phase, 40)}.`});
    const targets = status.notify ?? [];
    const unheard = targets.filter((it) => it.last?.problem).map((it) => `${inert(it.name, 100)} (${inert(it.place, 200)}) was not notified at ${clock(moment(it.last.at))}: ${inert(it.last.problem, 400)}; ${thenOf(it)}.`);
    if (unheard.length === 1) list.push({key: "notify", tone: "waits", picture: "warn", text: unheard[0]});
    if (unheard.length > 1) list.push({key: "notify", tone: "waits", picture: "warn", text: `${unheard.length} of ${targets.length} targets are not notified.`, report: unheard.join("\n")});
    keyed(get("notices"), list, (it) => it.key, (it) => {
      const [text, report] = [h("bdi"), h("pre", {tabindex: "0"})];
      const behind = h("details.behind", {}, h("summary", {}, "What is wrong with it"), report);
      return {
        node: h(`div.notice.${it.tone}`, {}, icon(it.picture), h("div", {}, h("p", {}, text), behind)),
        update: (it) => {
          say(text, it.text);
          say(report, it.report ? inert(it.report, 20000) : "");
          show(behind, it.report);
        },
      };
    });
    say(get("generation"), `generation ${grouped(status.generation)}`);
    attribute(get("generation"), "title", `${inert(status.source, 300)}, tidegate ${inert(status.version, 40)}`);
    say(this.freeze.lastChild, status.freeze ? "Unfreeze" : "Freeze");
    attribute(this.freeze, "data-on", Boolean(status.freeze));
  }

  /// The tab of a page that nobody looks at shows the worst.
  facade() {
    let [out, waits, trial, worst] = [0, 0, 0, null];
    for (const service of this.house.services.values()) {
      const {family} = conditionOf(service);
      if (family === "out") {
        out++;
        worst ??= service.wire.name;
      } else if (family === "waits") waits++;
      else if (family === "trial") trial++;
    }
    const stale = document.documentElement.hasAttribute("data-stale");
    const word = stale ? "stale" : out ? "out" : waits ? "waits" : trial ? "trial" : "live";
    const counts = out ? `${out === 1 && worst.length < 40 ? inert(worst, 40) : grouped(out)} in trouble` : waits ? `${grouped(waits)} waiting` : trial ? `${grouped(trial)} releasing` : "all live";
    const open = this.open ? `${inert(this.open, 40)} · ` : "";
    document.title = this.house.status ? `${stale ? "not live · " : ""}${open}${counts} · tidegate` : "tidegate";
    if (this.icon === word) return;
    this.icon = word;
    const old = document.querySelector("link[rel=icon]");
    const link = h("link", {rel: "icon", type: "image/svg+xml", href: `data:image/svg+xml,${encodeURIComponent(ICON.replace("FILL", ICON_FILL[word]).replace("SIGN", ICON_SIGN[word]))}`});
    old ? old.replaceWith(link) : document.head.append(link);
  }

  // --- what people do

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const typing = event.target.closest?.("input, select, textarea");
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "Escape") {
      if (typing) {
        typing.value = "";
        typing.dispatchEvent(new Event("input"));
        typing.blur();
      } else if (this.open) location.hash = "#/";
      return;
    }
    if (typing || !this.shortcuts.on) return;
    const act = {
      "/": () => {
        if (this.open) location.hash = "#/";
        requestAnimationFrame(() => get("search").focus());
      },
      "?": () => help(this.shortcuts),
      j: () => !this.open && !this.list.contains(event.target) && this.list.step(1),
      k: () => !this.open && !this.list.contains(event.target) && this.list.step(-1),
      r: () => this.open && this.detail.actions.focus("rollback"),
      p: () => this.open && this.detail.actions.focus("promote"),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  async freezeOrNot() {
    let answer;
    if (this.house.status.freeze) {
      if (!(await question("End the freeze?", ["Releases go on where they stand."], [], "Unfreeze"))) return;
      answer = await this.commands.house("unfreeze");
    } else {
      const wish = await question("Freeze all releases?", ["Nothing advances anywhere. Rollbacks do, and guards stay armed."], [
        {name: "for", label: "For how long", options: [["", "until somebody ends it"], ["30m", "30 minutes"], ["2h", "2 hours"], ["12h", "12 hours"], ["3d", "3 days"]]},
        {name: "reason", label: "Reason, if there is one"},
      ], "Freeze");
      if (!wish) return;
      answer = await this.commands.house("freeze", Object.fromEntries(Object.entries(wish).filter(([, it]) => it)));
    }
    note(inert(answer.ok ? answer.body.text : refusalOf(answer)), answer.ok ? "good" : "bad");
  }

  /// Where reading needs a token.
  async letIn() {
    const answer = await ask("GET", "status");
    if (answer.ok || (await askForToken(token.known ? "That token may not read." : "", answer.body.detail))) this.feed.hurry();
  }

  turnTheme() {
    const root = document.documentElement;
    const next = {auto: "light", light: "dark", dark: "auto"}[root.dataset.theme ?? "auto"];
    root.dataset.theme = next;
    localStorage.setItem("tidegate-theme", next);
    note(next === "auto" ? "Colours follow the system." : `Colours are ${next}.`);
  }
}

/// What comes of a target that took nothing.
const thenOf = (it) => {
  if (it.disabled) return "it is not called any more until the file is loaded again";
  return it.next ? `${grouped(it.waiting)} waiting, next attempt ${clock(moment(it.next))}` : `event ${it.last.event} was given up`;
};
const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="FILL"/><path d="SIGN" fill="none" stroke="#fff" stroke-width="4" stroke-linecap="round" stroke-linejoin="round"/></svg>`;
const ICON_FILL = {out: "#c62a3a", waits: "#7551d6", trial: "#9a6700", live: "#1f6feb", stale: "#6b7480"};
const ICON_SIGN = {out: "M16 7v11M16 24v.1", waits: "M12 9v14M20 9v14", trial: "M6 22h5c6 0 5-12 11-12h4", live: "M8 17l6 6 11-13", stale: "M9 9l14 14M23 9 9 23"};

/// How long decisions are said together.
const SPOKEN_MS = 2000;

// For whoever looks with the tools of a browser.
globalThis.tidegate = new App();
