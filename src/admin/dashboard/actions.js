// The buttons of a service. Down is one click, up is asked twice: rolling back and pausing need no second
// thought, promoting does, and promoting fully needs the name.
//
// Each button carries the step (`mark`) it was drawn for. When the service moves, buttons keep the old step for
// a moment: whoever clicks right then meant what was there before, and the server refuses it (412).

import {refusalOf} from "./commands.js";
import {note, question} from "./dialogs.js";
import {attribute, h, icon, say, show} from "./dom.js";
import {countdown, inert, isQuarantined, isTrial, nextShare, percent} from "./words.js";

export class Actions {
  constructor(commands, name) {
    this.commands = commands;
    this.name = name;
    this.mark = null;
    this.ownUntil = 0;
    this.busy = false;
    const button = (verb, picture, tone) => {
      const text = h("span");
      const node = h(`button.action.${tone}`, {type: "button", "data-verb": verb, onclick: () => this.press(verb)}, icon(picture), text);
      return {node, text};
    };
    this.buttons = {
      promote: button("promote", "forward", "plain"),
      full: button("full", "forward", "plain"),
      pause: button("pause", "pause", "plain"),
      resume: button("resume", "canary", "plain"),
      retry: button("retry", "again", "plain"),
      rollback: button("rollback", "back", "out"),
    };
    this.reason = h("p.why-not", {hidden: true});
    this.moved = h("p.moved", {role: "status"});
    const group = h("div.actions", {role: "group", "aria-label": "What can be done"}, ...Object.values(this.buttons).map((it) => it.node));
    this.node = h("div.action-box", {}, group, this.moved, this.reason);
  }

  draw(service, at) {
    this.service = service;
    const {wire} = service;
    if (this.mark == null || (wire.mark !== this.mark && at < this.ownUntil)) this.adopt(wire);
    else if (wire.mark !== this.mark && this.next !== wire.mark) {
      this.next = wire.mark;
      this.settlesAt = at + SETTLE_MS;
      // It is another step, and whoever looks at the buttons should see that.
      say(this.moved, "It moved just now.");
      attribute(this.node, "data-moved", true);
      setTimeout(() => this.tick(performance.now()), SETTLE_MS + 20);
    }
    this.tick(at);
  }

  tick(at) {
    const {wire} = this.service ?? {};
    if (!wire) return;
    if (this.next != null && at >= this.settlesAt) this.adopt(wire);
    if (this.noticedUntil != null && at >= this.noticedUntil) {
      this.noticedUntil = null;
      say(this.moved, "");
      attribute(this.node, "data-moved", null);
    }
    if (this.next == null) this.label(wire);
  }

  adopt(wire) {
    if (this.mark != null && this.next != null) this.noticedUntil = performance.now() + NOTICE_MS;
    [this.mark, this.next] = [wire.mark, null];
    attribute(this.node, "data-mark", wire.mark);
    this.label(wire);
  }

  /// Everything that the buttons say belongs to their step; what a click means is read from here.
  label(wire) {
    this.drawn = wire;
    const trial = isTrial(wire);
    const waiting = wire.state === "HELD" && !wire.step && wire.weight_percent === 0;
    const paused = wire.state === "PAUSED";
    const watching = wire.state === "WATCHING";
    const next = nextShare(wire);
    const {promote, full, pause, resume, retry, rollback} = this.buttons;
    const back = trial ? wire.stable : wire.previous;
    show(promote.node, trial && !watching);
    say(promote.text, wire.state === "APPROVAL" ? "Approve" : waiting ? "Begin" : `Promote to ${next ?? "100%"}`);
    show(full.node, trial && !waiting);
    say(full.text, watching ? "End the watch…" : "Promote fully…");
    show(pause.node, trial && !paused && !waiting);
    say(pause.text, "Pause");
    show(resume.node, paused);
    say(resume.text, "Resume");
    show(retry.node, isQuarantined(wire) && !trial);
    say(retry.text, `Retry ${inert(wire.wanted, 24)}`);
    show(rollback.node, trial || (back != null && back !== wire.stable));
    attribute(rollback.node, "data-rest", !trial);
    say(rollback.text, waiting ? "Call it off" : `Roll back to ${inert(back ?? "", 24)}`);
    for (const {node} of Object.values(this.buttons)) node.disabled = Boolean(this.off) || this.busy;
  }

  /// `why`: nothing can be done now, and what can be done instead.
  disable(why) {
    this.off = why;
    say(this.reason, why ?? "");
    show(this.reason, why);
    for (const {node} of Object.values(this.buttons)) node.disabled = Boolean(why) || this.busy;
  }

  focus(verb) {
    const wanted = verb === "promote" ? ["promote", "full"] : [verb];
    wanted.map((it) => this.buttons[it].node).find((it) => !it.hidden)?.focus();
  }

  async press(verb) {
    // What the person saw, whatever comes in meanwhile.
    const [mark, wire] = [this.mark, this.drawn];
    const wish = await this.confirm(verb, wire);
    if (!wish || this.busy) return;
    await this.send(wish.verb, mark, wish.more);
  }

  async send(verb, mark, more) {
    this.busy = true;
    attribute(this.node, "aria-busy", "true");
    this.disable(this.off);
    const answer = await this.commands.service(this.name, verb, mark, more);
    this.busy = false;
    attribute(this.node, "aria-busy", null);
    this.disable(this.off);
    if (answer.ok) {
      // Whoever moved it knows that it moved: no need to hold on to the old step.
      this.ownUntil = performance.now() + OWN_MS;
      this.commands.heard?.(answer.body.service);
      return note(`${this.shown}: ${inert(answer.body.text)}`);
    }
    note(`${this.shown}: ${inert(refusalOf(answer))}`, "bad");
    if (answer.status === 412) this.commands.heard?.(answer.body.service);
    const passable = answer.status === 409 && verb === "promote" && !more.override && ["not_permitted", "quarantined"].includes(answer.body.code);
    if (passable) await this.insist(answer.body.detail, mark, more);
  }

  /// A freeze, a window or a check stands in the way; a person may go past it, with a reason.
  async insist(detail, mark, more) {
    const answer = await question("Go on all the same?", [`${inert(detail)}.`], [
      {name: "reason", label: "Reason, which is written down", required: true},
    ], "Go on all the same", "out");
    if (answer) await this.send("promote", mark, {...more, override: true, reason: answer.reason});
  }

  async confirm(verb, wire) {
    const [canary, next] = [inert(wire.canary ?? wire.wanted, 100), nextShare(wire)];
    switch (verb) {
      case "promote": {
        const to = next ?? "100%";
        const sentence = wire.state === "APPROVAL" ? `Say yes to ${canary}? It goes on with its plan.`
          : wire.weight_percent === 0 ? `${canary} gets its first traffic.` : `${canary} goes from ${percent(wire.weight_percent)} to ${to}.`;
        const left = wire.left_seconds > 0 ? `This step would last another ${countdown(wire.left_seconds)}.` : null;
        return (await question(`Promote ${canary} of ${this.shown}?`, [sentence, left], [], this.buttons.promote.text.textContent)) && {verb, more: {}};
      }
      case "full": {
        const watching = wire.state === "WATCHING";
        const sentence = watching ? `${canary} becomes stable now, and no guard watches it any more.` : `${canary} gets all traffic of ${this.shown} now, whatever is left of the plan.`;
        const answer = await question(watching ? "End the watch?" : `Promote ${canary} fully?`, [sentence], [
          {name: "name", label: `Type ${this.shown} to go on`, must: this.name.trim(), required: true},
        ], watching ? "End the watch" : "Promote fully", "out");
        return answer && {verb: "promote", more: {full: true}};
      }
      case "rollback":
        // A release goes back with one click. Without one, it is stable itself that would go.
        if (isTrial(wire)) return {verb, more: {}};
        return (await question(`Roll back ${this.shown}?`, [`Nothing is being released. ${inert(wire.stable, 100)} goes, and ${inert(wire.previous, 100)} gets all traffic at once.`], [],
          `Roll back to ${inert(wire.previous, 24)}`, "out")) && {verb, more: {}};
      default:
        return {verb, more: {}};
    }
  }

  get shown() {
    return inert(this.name, 100);
  }
}

/// How long buttons keep the step they were drawn for, and how long it is said that it moved.
const SETTLE_MS = 600;
const NOTICE_MS = 3000;
/// How long a move after a command of one's own is that command's.
const OWN_MS = 2000;
