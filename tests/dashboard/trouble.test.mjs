// When the server goes away, and when what it says was written by somebody hostile.

import assert from "node:assert/strict";
import {after, afterEach, before, test} from "node:test";
import {giveToken, launch, open, serious} from "./browser.mjs";
import {Backend, Gate, until} from "./gate.mjs";

let [browser, good] = [];
before(async () => {
  browser = await launch();
  good = await Backend.start();
});
afterEach(() => Gate.stopAll());
after(async () => {
  await browser.close();
  good.stop();
});

const service = (live) => `
  shop: {live: ${live}, versions: {v1: "${good.url}", v2: "${good.url}"}, rollout: {steps: [10% for 1h, 50% for 1h]}}
`;

test("a server that goes away is noticed, and one that comes back too", async () => {
  const gate = await Gate.start(service("v1"));
  gate.edit("live: v1", "live: v2");
  await until("the release begins", async () => (await gate.service("shop")).state === "CANARY");
  const page = await open(browser, `${gate.url}#/service/shop`);
  const back = page.getByRole("button", {name: "Roll back to v1"});
  await back.waitFor();
  assert.equal(await back.isDisabled(), false);
  await gate.kill();
  await page.getByRole("alert").getByText(/Not live: .*What is shown is from \d+ s ago/).waitFor();
  assert.equal(await back.isDisabled(), true, "nothing can be clicked that would not be heard");
  assert.match(await page.title(), /^not live/);
  assert.match(await page.locator("#live-word").textContent(), /not live/);
  await until("its age goes on", async () => /from [3-9] s ago/.test(await page.locator("#stale-text").textContent()));
  assert.deepEqual(await serious(page), []);
  await page.keep("stale");
  await gate.run();
  await page.getByRole("alert").waitFor({state: "hidden"});
  assert.equal(await page.locator("#live-word").textContent(), "live");
  await until("buttons are back", async () => !(await back.isDisabled()));
  await page.check();
});

test("silence is noticed as well", async () => {
  const gate = await Gate.start(service("v1"));
  // A stream that says something once and then nothing: time passes as fast as the test likes.
  const page = await open(browser, gate.url, {before: async (page) => {
    await page.clock.install();
    await page.addInitScript(() => {
      const real = globalThis.fetch;
      globalThis.fetch = async (where, how) => {
        if (!String(where).includes("events/stream")) return real(where, how);
        const status = await (await real("api/v1/status")).text();
        const body = new ReadableStream({start: (it) => it.enqueue(new TextEncoder().encode(`event: snapshot\ndata: ${status}\n\n`))});
        return new Response(body, {headers: {"content-type": "text/event-stream"}});
      };
    });
  }});
  await page.getByRole("row", {name: "shop"}).waitFor();
  await page.clock.runFor(10_000);
  assert.equal(await page.getByRole("alert").isVisible(), false, "ten seconds are no silence");
  await page.clock.runFor(9_000);
  await page.getByRole("alert").getByText(/nothing was heard for 15 s/).waitFor();
  await page.check();
});

test("no answer is no success", async () => {
  const gate = await Gate.start(service("v1"));
  gate.edit("live: v1", "live: v2");
  await until("the release begins", async () => (await gate.service("shop")).state === "CANARY");
  const page = await open(browser, `${gate.url}#/service/shop`);
  await page.getByRole("button", {name: "Pause"}).click();
  await giveToken(page, gate.token);
  await page.getByRole("button", {name: "Resume"}).waitFor();
  await page.route("**/resume", (route) => route.abort());
  await page.getByRole("button", {name: "Resume"}).click();
  await page.getByText("No answer came: nobody knows whether it was done.").waitFor();
  assert.equal((await gate.service("shop")).state, "PAUSED");
  await page.getByText("PAUSED", {exact: true}).waitFor();
  await page.check();
});

/// What somebody hostile writes into everything that is text.
const PAYLOADS = [
  `<img src=x onerror="globalThis.owned=1">`, `"><svg onload=globalThis.owned=1>`, "javascript:globalThis.owned=1", "\u202egnp.exe\u202c", "a\u200b\u200d\ufeffb",
  "${globalThis.owned=1}", "</script><script>globalThis.owned=1</script>", "n".repeat(10_240), "ש\u2067לום", "\u0000\u0007\u001b[31m",
];

test("whatever others write stays text: through the real server", async () => {
  // The reason of a person, a broken file and what a check answers are what gets that far. Of a health check only
  // the number of its status does: neither its reason line nor its body.
  const payload = `<img src=x onerror="globalThis.owned=1"> \u202egnp.exe`;
  const hostile = await Backend.start(1, 1, PAYLOADS[0], `</script><script>globalThis.owned=1</script>${payload}`);
  hostile.healthy = false;
  const gate = await Gate.start(`
  shop: {live: v1, versions: {v1: {endpoints: ["${good.url}", "${hostile.url}"], health: {path: /healthz, every: 1s, timeout: 500ms}}, v2: "${good.url}"}, rollout: {steps: [10% for 1h]}}
  test: {hosts: [t.test], live: w1, versions: {w1: "${good.url}", w2: "${good.url}"}, rollout: {verify: {url: "${hostile.url}/check", timeout: 1s}}}
`);
  gate.edit("live: v1", "live: v2");
  gate.edit("live: w1", "live: w2");
  await until("the release begins", async () => (await gate.service("shop")).state === "CANARY");
  const page = await open(browser, `${gate.url}#/service/test`);
  await page.getByText("ROLLED BACK", {exact: true}).waitFor();
  const told = page.locator(".event", {hasText: "</script><script>globalThis.owned=1</script>"}).first();
  await told.waitFor();
  assert.match(await told.textContent(), /<img src=x onerror="globalThis.owned=1"> ‹U\+202E›gnp\.exe/);
  assert.equal(await page.evaluate(() => globalThis.owned), undefined);
  assert.equal(await page.locator("main img, main script").count(), 0);
  await page.keep("hostile-check", true);
  await page.evaluate(() => (location.hash = "#/service/shop"));
  const endpoint = page.locator("table.endpoints tr", {hasText: hostile.url});
  await until("the endpoint is down", async () => /down.*500/.test(await endpoint.textContent()));
  assert.doesNotMatch(await page.locator("main").textContent(), /onerror|<script/);
  assert.equal((await gate.cli("pause", "shop", "--reason", payload)).code, 0);
  await until("the reason is shown as text", async () => (await page.locator("p.sentence").textContent()).includes(`<img src=x onerror="globalThis.owned=1"> ‹U+202E›gnp.exe`));
  gate.edit("steps: [10% for 1h]", `steps: "<svg onload=globalThis.owned=1>"`);
  await page.getByText("was refused").waitFor();
  await page.getByText("What is wrong with it").click();
  assert.match(await page.locator("#notices pre").textContent(), /<svg onload/);
  assert.equal(await page.evaluate(() => globalThis.owned), undefined);
  assert.equal(await page.locator("main img, #notices img, main script").count(), 0);
  await page.keep("hostile-real", true);
  await page.check();
  hostile.stop();
});

test("whatever others write stays text: everything that the wire can carry", async () => {
  const gate = await Gate.start(service("v1"));
  const status = await (await fetch(`${gate.url}api/v1/status`)).json();
  const plain = status.services[0];
  const by = (text) => ({name: text, via: text});
  const evidence = {canary: {requests: 9, bad: 1}, stable: {requests: 1e15, bad: 0}, difference: 0.1, low: -1e9, high: 1e9, limit: 0.01};
  status.services = PAYLOADS.map((text, at) => ({
    ...plain, name: `${text}${at}`, state: at % 2 ? "CANARY" : text, why: text, stable: text, canary: `${text}c`, wanted: text, in_sync: false, weight_percent: 10,
    held: text, step: {number: 1, of: 2}, left_seconds: 60,
    lanes: [text, `${text}c`].map((version, lane) => ({...plain.lanes[0], version, weight_percent: lane ? 10 : 90, per_second: 5,
      endpoints: [{endpoint: text, state: text, why: text, stale: text, ejections: 1}]})),
    guards: [{name: text, canary: {requests: 9, bad: 1}, stable: {requests: 9, bad: 1}, difference: 0.1, interval: [0, 0.2], canary_interval: [0, 1], limit: 0.01, evidence: 0.3, text}],
    steps: [{weight_percent: 10, soak_seconds: 60, requests: 5, done: false, now: true}],
    quarantined: [{version: text, at: text, why: text}],
    last: {id: at + 1, at: status.at, service: `${text}${at}`, what: text, by: by(text), version: text, from_percent: 0, to_percent: 10, text, generation: 1, evidence},
    drift: ["a", "b"].map((field) => ({field: `${field}${text}`, file: field === "a" ? text : null, running: text, by: by(text), since: text})),
  }));
  status.freeze = {by: {name: PAYLOADS[0], via: "api"}, reason: PAYLOADS[1], until: null};
  status.refused = {at: status.at, report: PAYLOADS.join("\n")};
  status.journal = {...status.journal, durable: false, problem: PAYLOADS.join(" ")};
  status.source = PAYLOADS[0];
  const told = PAYLOADS.map((text, at) => `event: notification\ndata: ${JSON.stringify({
    id: at + 1, at: status.at, target: text, event: at + 1, service: `${text}${at}`, version: text, what: text, result: at % 2 ? text : "failed",
    attempts: 1, after_seconds: 1, problem: text, next: text, recovered_seconds: null, text,
  })}\n\n`).join("");
  status.notify = PAYLOADS.map((text) => ({name: text, kind: text, place: text, waiting: 1, delivered: 0, failed: 1, dropped: 0, next: text, disabled: false,
    last: {at: status.at, event: 1, problem: text}}));
  const body = `event: snapshot\ndata: ${JSON.stringify(status)}\n\nevent: decision\nid: 99\ndata: ${JSON.stringify({...status.services[1].last, id: 99})}\n\n${told}`;
  const page = await open(browser, gate.url, {before: async (page) => {
    await page.route("**/events/stream*", (route) => route.fulfill({contentType: "text/event-stream", body}));
    // Older decisions, of each service.
    await page.route("**/history?**", (route) => {
      const service = decodeURIComponent(new URL(route.request().url()).pathname.split("/").at(-2));
      const {last} = status.services.find((it) => it.name === service);
      route.fulfill({json: {events: [last, {...last, id: 1000, by: by(`old ${last.text}`)}], next: null}});
    });
  }});
  await until("all are listed", async () => (await page.locator("tbody tr a").count()) === PAYLOADS.length);
  const inert = async () => {
    assert.equal(await page.evaluate(() => globalThis.owned), undefined);
    assert.equal(await page.locator("img, iframe, object, body script, svg[onload]").count(), 0);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing makes the page wider");
    // What turns or hides text is written out.
    assert.equal(await page.evaluate(() => /[\u200b\u202a-\u202e\u2066-\u2069\ufeff]/.test(document.body.innerText)), false);
  };
  await inert();
  assert.match(await page.locator("#notices").textContent(), /The journal is not durable: <img src=x/);
  assert.equal(await page.locator(".chip", {hasText: "drifted"}).count(), PAYLOADS.length);
  await page.keep("hostile-table");
  for (const at of PAYLOADS.keys()) {
    await page.evaluate((hash) => (location.hash = hash), `#/service/${encodeURIComponent(`${PAYLOADS[at]}${at}`)}`);
    await page.locator("tide-service h1").waitFor();
    await until("it is drawn", async () => (await page.locator(".guards h3").count()) === 1);
    await until("older decisions are drawn", async () => (await page.locator(".event").count()) >= 2);
    assert.equal(await page.locator("tide-service .notice li").count(), 2, "both fields that drifted");
    await page.locator(".event details").evaluateAll((all) => all.forEach((it) => (it.open = true)));
    assert.match(await page.locator(".event").first().textContent(), /canary: 1 of 9 bad/);
    await inert();
    if (at === 0 || at === 7) await page.keep(`hostile-service-${at}`, true);
  }
  await page.check();
});

test("where reading needs a token, nothing is shown without one", async () => {
  const gate = await Gate.start(service("v1"), ", anonymous: off");
  const page = await open(browser, gate.url);
  await page.getByRole("heading", {name: "Reading needs a token here"}).waitFor();
  assert.equal(await page.locator("tbody tr").count(), 0);
  assert.deepEqual(await serious(page), []);
  await page.keep("closed");
  await page.getByRole("button", {name: "Enter a token"}).click();
  await giveToken(page, gate.token);
  await page.getByRole("row", {name: "shop"}).waitFor();
  await page.getByRole("heading", {name: "Reading needs a token here"}).waitFor({state: "hidden"});
  // It is forgotten with all that it opened.
  await page.getByRole("button", {name: "Forget token"}).click();
  await page.getByRole("heading", {name: "Reading needs a token here"}).waitFor();
  await until("nothing is shown any more", async () => (await page.locator("tbody tr").count()) === 0);
  await page.check();
});

test("a service that is not there", async () => {
  const gate = await Gate.start(service("v1"));
  const page = await open(browser, `${gate.url}#/service/nobody`);
  await page.getByText("There is no service nobody.").waitFor();
  await page.getByRole("link", {name: "All services"}).click();
  await page.getByRole("row", {name: "shop"}).waitFor();
  await page.check();
});
