// Numbers, times and sentences, in the words that the command line uses.

const grouping = new Intl.NumberFormat("en-US", {maximumFractionDigits: 0});

/// `12,904`.
export const grouped = (number) => grouping.format(number);

/// A percentage without needless digits: `25%`, `0.25%`.
export const percent = (it) => `${Number(it.toFixed(2))}%`;

/// A share from 0 to 1 with one digit: `24.9%`.
export const share = (it) => (it === 0 || it === 1 ? `${it * 100}%` : `${(it * 100).toFixed(1)}%`);

/// A rate of failures from 0 to 1: `0.21%`. `0%` is none at all.
export const rate = (it) => (it === 0 ? "0%" : it < 0.0001 ? "<0.01%" : it < 0.1 ? `${(it * 100).toFixed(2)}%` : `${(it * 100).toFixed(1)}%`);

/// A difference of two rates in percentage points: `+0.03`.
export const points = (it) => `${it < 0 ? "\u2212" : "+"}${Math.abs(it * 100).toFixed(2)}`;

/// Requests a second.
export const perSecond = (it) => (it > 0 && it < 10 ? it.toFixed(1) : grouped(Math.round(it)));

/// `420 µs`, `1.8 ms`, `12 ms`, `1.25 s`.
export function latency(us) {
  if (us == null || Number.isNaN(us)) return "–";
  if (us < 1e3) return `${Math.round(us)} µs`;
  if (us < 1e4) return `${(us / 1e3).toFixed(1)} ms`;
  if (us < 1e6) return `${Math.round(us / 1e3)} ms`;
  return `${(us / 1e6).toFixed(2)} s`;
}

/// A span in its largest whole unit: `20m`, `90s`, `2h`.
export function span(seconds) {
  if (seconds > 0 && seconds < 1) return `${Math.round(seconds * 1e3)}ms`;
  const whole = Math.floor(seconds);
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["m", 60]]) {
    if (whole >= length && whole % length === 0) return `${whole / length}${unit}`;
  }
  return `${whole}s`;
}

/// `07:12`, `1:07:12`.
export function countdown(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  const two = (it) => String(it).padStart(2, "0");
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${two(minutes)}:${two(rest)}`;
}

/// How long ago something was, roughly.
export function ago(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s ago`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ago`;
  if (whole < 172800) return `${Math.floor(whole / 3600)} h ago`;
  return `${Math.floor(whole / 86400)} days ago`;
}

/// The time of day of a moment in milliseconds: `09:31:04Z`, as the command line and the log write it.
export const clock = (ms) => `${new Date(ms).toISOString().slice(11, 19)}Z`;

/// Milliseconds of an RFC 3339 time; text that is none counts as the beginning of time.
export const moment = (text) => Date.parse(text) || 0;

/// Text of others as it may be shown. What cannot be seen, or turns the text around it, is written out; what
/// is longer than anybody reads is cut.
export function inert(text, most = 1500) {
  const string = String(text ?? "");
  const cut = string.length > most ? `${string.slice(0, most)}…` : string;
  return cut.replace(UNSEEN, (it) => (it === "\n" || it === "\t" ? it : `‹U+${it.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}›`));
}
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

/// One word, one picture, one family of colours, one rank for each state. Families: `out` went wrong,
/// `waits` for something or somebody, `trial` is moving, `live` is quiet.
export const STATES = {
  "ROLLED BACK": {icon: "back", family: "out", rank: 0},
  HELD: {icon: "hold", family: "waits", rank: 2},
  APPROVAL: {icon: "person", family: "waits", rank: 3},
  PAUSED: {icon: "pause", family: "waits", rank: 4},
  CANARY: {icon: "canary", family: "trial", rank: 5},
  WATCHING: {icon: "watch", family: "trial", rank: 6},
  VERIFYING: {icon: "verify", family: "trial", rank: 7},
  LIVE: {icon: "live", family: "live", rank: 9},
};
export const stateOf = (it) => STATES[it.state] ?? {icon: "warn", family: "waits", rank: 1};

/// Whether something is being tried, or waits to be.
export const isTrial = (it) =>
  it.weight_percent > 0 || ["VERIFYING", "CANARY", "APPROVAL", "PAUSED", "HELD", "WATCHING"].includes(it.state);

export const isQuarantined = (it) => it.quarantined.some((q) => q.version === it.wanted);

/// Endpoints that get requests, and all.
export function upOf(lane) {
  const up = lane.endpoints.filter((it) => it.state === "up" || it.state === "warming").length;
  return {up, all: lane.endpoints.length};
}

/// Lanes that users can meet.
export const serving = (it) => it.lanes.filter((lane) => lane.weight_percent > 0 || lane.per_second > 0);

/// The shares as they are: observed when there is traffic, else as published.
export function sharesOf(it) {
  const total = it.lanes.reduce((sum, lane) => sum + lane.per_second, 0);
  return it.lanes.map((lane) => (total > 0 ? lane.per_second / total : lane.weight_percent / 100));
}

/// What a lane is to its service.
export function roleOf(it, lane) {
  if (lane.version === it.stable) return "stable";
  if (lane.version === it.canary) return it.state === "ROLLED BACK" ? "withdrawn" : "canary";
  if (lane.weight_percent > 0) return "split";
  if (lane.version === it.previous) return "previous";
  return "idle";
}

/// `v41 → v42`.
export function versionsOf(it) {
  if (it.canary && it.state === "ROLLED BACK") return `${it.stable} ⇤ ${it.canary}`;
  if (it.canary && isTrial(it)) return `${it.stable} → ${it.canary}`;
  return it.stable;
}

/// The share that a passed step leads to: `50%`, or all traffic.
export function nextShare(it) {
  const at = it.steps.findIndex((step) => step.now);
  const next = it.steps.slice(at + 1).find((step) => !step.done);
  return next ? percent(next.weight_percent) : null;
}

/// What comes next, as half a sentence. `left` is the rest of the soak or the watch now.
export function nextOf(it, left) {
  const next = nextShare(it) ?? "all traffic";
  const missing = it.requests_missing > 0 ? it.requests_missing : 0;
  switch (it.state) {
    case "CANARY":
      if (left > 0) return `${next} in ${countdown(left)}${missing ? `, and ${grouped(missing)} more requests` : ", unless guards object"}`;
      return missing ? `${next} after ${grouped(missing)} more canary requests` : `${next} as soon as the evidence allows`;
    case "WATCHING":
      return left > 0 ? `stable in ${countdown(left)}, unless guards object` : "stable as soon as the evidence allows";
    case "VERIFYING":
      return "traffic once its checks have passed";
    case "APPROVAL":
      return `${next} when a person says yes`;
    case "PAUSED":
      return "nothing until it is resumed; guards stay armed";
    case "HELD":
      return it.canary && it.step ? `${next} when nothing holds it` : "goes on when nothing holds it";
    case "ROLLED BACK":
      return isQuarantined(it) ? "nothing until retry or another version" : "nothing";
    default:
      if (it.in_sync) return "–";
      return isQuarantined(it) ? `nothing: ${it.wanted} is in quarantine` : `the file asks for ${filedOf(it)}`;
  }
}

/// What the file asks for.
const filedOf = (it) => it.filed || it.wanted;

/// How the file and the facts relate; nothing when they agree, or are on their way to.
export function driftOf(it) {
  const file = `The file says ${filedOf(it)}, ${it.stable} is stable`;
  if (isQuarantined(it) && !isTrial(it)) return `${file}: ${it.wanted} was rolled back and is in quarantine.`;
  if (it.in_sync || (it.canary === it.wanted && isTrial(it))) return null;
  if (isTrial(it) && it.canary) return `${file} and ${it.canary} is being released.`;
  return `${file}: not in sync.`;
}

/// `live: v1 in the file, v2 since 09:31:04Z by ann (cli)`.
export function driftLine(it) {
  return `${it.field}: ${it.file == null ? "not in the file" : `${it.file} in the file`}, ${it.running} since ${clock(moment(it.since))} by ${nameOf(it.by)}`;
}

/// How far evidence of harm has come, in words.
export function evidenceOf(guard) {
  const it = guard.evidence;
  if (guard.canary.requests === 0) return "No canary response seen yet";
  if (it >= 1) return "Enough to roll back";
  const share = Math.floor(it * 100);
  if (it >= 0.5) return `Strong: ${share}% of the way to a rollback`;
  if (it >= 0.2) return `Some: ${share}% of the way to a rollback`;
  if (it >= 0.05) return `Little: ${share}% of the way to a rollback`;
  return "No evidence of harm";
}

/// Names of guards as people say them.
export function guardName(guard, stable) {
  const [what, ceiling] = guard.name.split("_");
  if (guard.name === "failures") return "failures spent";
  return ceiling ? `${what}, own limit` : `${what} against ${stable}`;
}

/// What was decided, in words that carry no underscore.
export const whatOf = (event) => event.what.replaceAll("_", " ");

/// Who did it.
export const actorOf = (event) => nameOf(event.by);

function nameOf(by) {
  if (by.via === "policy") return "policy";
  if (by.via === "file") return "the file";
  return `${by.name} (${by.via})`;
}

export const tallyOf = (it, what = "bad") => `${grouped(it.bad)} of ${grouped(it.requests)} ${what}${it.requests ? ` (${rate(it.bad / it.requests)})` : ""}`;

/// The evidence of a decision, as sentences.
export function evidenceLines(evidence) {
  const lines = [`canary: ${tallyOf(evidence.canary)}`, `stable: ${tallyOf(evidence.stable)}`];
  if (evidence.difference != null) {
    const band = evidence.low != null ? ` [${points(evidence.low)}, ${points(evidence.high)}]` : "";
    lines.push(`difference: ${points(evidence.difference)}pp${band}`);
  }
  if (evidence.limit != null) lines.push(`limit: ${points(evidence.limit)}pp`);
  return lines;
}
