// The table of all services, and the page around it.

import assert from "node:assert/strict";
import {after, afterEach, before, test} from "node:test";
import {ground, launch, open, serious} from "./browser.mjs";
import {Backend, Gate, until} from "./gate.mjs";

let [browser, good, bad] = [];
before(async () => {
  browser = await launch();
  [good, bad] = [await Backend.start(), await Backend.start(1)];
});
afterEach(() => Gate.stopAll());
after(async () => {
  await browser.close();
  good.stop();
  bad.stop();
});

const beat = (page) => page.evaluate(() => getComputedStyle(document.querySelector("#live .dot")).animationName);
const names = (page) => page.locator("tbody tr:not([hidden]) a").allTextContents();

test("problems come first, and everything has a word", async () => {
  const gate = await Gate.start(`
  calm: {hosts: [calm.test], live: v1, versions: {v1: "${good.url}"}}
  shop: {hosts: [shop.test], live: v1, versions: {v1: "${good.url}", v2: "${bad.url}"}, rollout: {steps: [50% for 1h], guard: {errors: 1%}}}
`);
  gate.users(60, "shop.test");
  const page = await open(browser, gate.url);
  await page.getByRole("table", {name: "Services"}).waitFor();
  await until("both services are listed", async () => (await names(page)).length === 2);
  assert.equal(await page.locator("#live-word").textContent(), "live");
  // v2 fails whatever it is asked.
  gate.edit("live: v1, versions: {v1: \"" + good.url + "\", v2", "live: v2, versions: {v1: \"" + good.url + "\", v2");
  const row = page.getByRole("row", {name: "shop"});
  await row.getByText("ROLLED BACK").waitFor();
  await until("shop comes first", async () => (await names(page))[0] === "shop");
  assert.match(await page.title(), /shop in trouble/);
  assert.match(await row.textContent(), /v2 is out, v1 has all traffic: canary failed/);
  assert.match(await page.locator("link[rel=icon]").getAttribute("href"), /^data:image\/svg\+xml,.*c62a3a/);
  await page.getByRole("button", {name: "Problems 1"}).click();
  assert.deepEqual(await names(page), ["shop"]);
  await page.getByRole("button", {name: "All 2"}).click();
  await page.getByRole("searchbox").fill("cal");
  assert.deepEqual(await names(page), ["calm"]);
  await page.getByRole("searchbox").fill("nothing of that name");
  await page.getByText("No service fits.").waitFor();
  await page.getByRole("searchbox").fill("");
  assert.deepEqual(await serious(page), []);
  await page.keep("table");
  const light = await ground(page);
  await page.check();

  const dark = await open(browser, gate.url, {colorScheme: "dark"});
  await dark.getByText("ROLLED BACK").waitFor();
  assert.notEqual(await ground(dark), light);
  assert.deepEqual(await serious(dark), []);
  await dark.keep("table-dark");
  await dark.check();
});

test("colours follow the system until somebody chooses", async () => {
  const gate = await Gate.start(`
  shop: {live: v1, versions: {v1: "${good.url}"}}
`);
  const page = await open(browser, gate.url);
  const row = page.getByRole("row", {name: "shop"});
  await row.waitFor();
  const light = await ground(page);
  await page.emulateMedia({colorScheme: "dark"});
  const dark = await ground(page);
  assert.notEqual(dark, light);
  const press = async (said, colour) => {
    await page.getByRole("button", {name: "Colours"}).click();
    await page.getByText(said, {exact: true}).last().waitFor();
    assert.equal(await ground(page), colour, said);
    // What was chosen lasts, and is there before anything is drawn.
    await page.reload();
    await row.waitFor();
    assert.equal(await ground(page), colour, `${said} After a reload.`);
    assert.deepEqual(await serious(page), []);
  };
  await press("Colours are light.", light);
  await page.emulateMedia({colorScheme: "light"});
  await press("Colours are dark.", dark);
  await press("Colours follow the system.", light);
  await page.check();
});

test("a thousand pixels fewer: one column, nothing cut off", async () => {
  const gate = await Gate.start(`
  shop: {live: v1, versions: {v1: "${good.url}", v2: "${good.url}"}, rollout: {steps: [10% for 1h]}}
`);
  gate.edit("live: v1", "live: v2");
  gate.users(50);
  await until("the release begins", async () => (await gate.service("shop")).state === "CANARY");
  for (const hash of ["#/", "#/service/shop"]) {
    const page = await open(browser, gate.url + hash, {viewport: {width: 400, height: 800}});
    await page.getByText("CANARY").first().waitFor();
    await until("nothing is wider than the screen", () => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    assert.deepEqual(await serious(page), []);
    await page.keep(hash === "#/" ? "table-400" : "service-400", true);
    // What beats here stands still below, where somebody asks for it.
    assert.equal(await beat(page), "beat");
    await page.check();
  }
  // 200 % zoom of a common screen is the same as half of its pixels.
  const page = await open(browser, `${gate.url}#/service/shop`, {viewport: {width: 640, height: 400}, deviceScaleFactor: 2, reducedMotion: "reduce"});
  await page.getByRole("button", {name: "Roll back to v1"}).waitFor();
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  assert.equal(await page.locator("#live-word").textContent(), "live");
  assert.equal(await beat(page), "none");
  await page.check();
});

test("five hundred services", async () => {
  const many = Array.from({length: 500}, (_, at) => `  service-${at}: {hosts: [s${at}.test], live: v1, versions: {v1: "${good.url}"}}`).join("\n");
  const gate = await Gate.start(many);
  let devtools;
  const page = await open(browser, gate.url, {before: async (page) => {
    devtools = await page.context().newCDPSession(page);
    // Time of the processor, and not of the clock: others take the processors away as well.
    await devtools.send("Performance.enable", {timeDomain: "threadTicks"});
  }});
  const spent = async () => Object.fromEntries((await devtools.send("Performance.getMetrics")).metrics.map((it) => [it.name, it.value * 1000]));
  await until("all are listed", async () => (await names(page)).length === 500);
  const first = await spent();
  console.log(`500 services: ${first.ScriptDuration.toFixed(0)} ms of script from the load to the table, ${first.TaskDuration.toFixed(0)} ms with style and layout`);
  assert.ok(first.ScriptDuration > 0 && first.ScriptDuration < 200, `${first.ScriptDuration} ms of script`);

  // Every service changes four times a second: fed to the page as the stream would.
  const rounds = 12;
  const before = await spent();
  await page.evaluate(async (rounds) => {
    const app = globalThis.tidegate;
    const status = await (await fetch("api/v1/status")).json();
    for (let round = 0; round < rounds; round++) {
      status.at = new Date(Date.parse(status.at) + 250).toISOString();
      for (const [at, it] of status.services.entries()) {
        it.lanes[0].per_second = (at * 7 + round * 13) % 90;
        it.lanes[0].seen = {requests: 1000 + round * 50, bad: (at + round) % 3};
      }
      app.news(app.house.news(status, performance.now()));
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    }
  }, rounds);
  const each = ((await spent()).TaskDuration - before.TaskDuration) / rounds;
  console.log(`an update of all 500: ${each.toFixed(0)} ms with style and layout`);
  // Less than half of the time between two of them.
  assert.ok(each < 125, `${each} ms for each update`);
  await page.getByRole("searchbox").fill("service-499");
  await until("the search answers", async () => (await names(page)).length === 1);
  await page.keep("table-500");
  await page.check();
});

test("ten thousand endpoints, a hundred updates a second", async () => {
  const endpoints = Array.from({length: 10_000}, (_, at) => `"http://127.1.${at >> 8}.${at & 255}:9"`);
  const gate = await Gate.start(`
  shop: {live: v1, versions: {v1: {endpoints: [${endpoints}]}}}
`);
  let devtools;
  const page = await open(browser, `${gate.url}#/service/shop`, {before: async (page) => {
    devtools = await page.context().newCDPSession(page);
    await devtools.send("Performance.enable", {timeDomain: "threadTicks"});
  }});
  const metrics = async () => Object.fromEntries((await devtools.send("Performance.getMetrics")).metrics.map((it) => [it.name, it.value]));
  const rows = page.locator("table.endpoints tbody tr");
  await until("the snapshot is drawn", async () => (await page.locator(".lane.stable dl").textContent()).includes("10000/10000 up"));
  assert.equal(await rows.count(), 200, "as many as anybody reads");
  // Three seconds of them, as they come: many for each picture that the browser draws. Each takes another endpoint
  // down, and brings the one of fifty updates ago up again.
  const [updates, together] = [300, 10];
  const before = await metrics();
  const drawn = await page.evaluate(async ([updates, together]) => {
    const app = globalThis.tidegate;
    const status = await (await fetch("api/v1/status")).json();
    const [lane] = status.services[0].lanes;
    const {draw} = app.detail;
    let [draws, frames] = [0, 0];
    app.detail.draw = function (at) {
      draws++;
      return draw.call(this, at);
    };
    for (let update = 0; update < updates; update++) {
      status.at = new Date(Date.parse(status.at) + 10).toISOString();
      lane.seen = {requests: 1000 + update, bad: 0};
      lane.endpoints[(update * 7919) % 10_000].state = "down";
      if (update >= 50) lane.endpoints[((update - 50) * 7919) % 10_000].state = "up";
      app.news(app.house.news(status, performance.now()));
      if (update % together === together - 1) {
        frames++;
        await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      }
    }
    app.detail.draw = draw;
    return {draws, frames};
  }, [updates, together]);
  const after = await metrics();
  console.log(`10,000 endpoints: ${(((after.TaskDuration - before.TaskDuration) * 1000) / updates).toFixed(1)} ms for an update, ` +
    `${drawn.draws} drawings of ${updates} updates, ${after.Nodes} nodes, ${(after.JSHeapUsedSize / 1e6).toFixed(0)} MB of heap`);
  // A drawing for each of the browser's, and those of the clock and of the real stream; not one for each update.
  assert.ok(drawn.draws >= drawn.frames, `${drawn.draws} drawings`);
  assert.ok(drawn.draws < updates / 2, `${drawn.draws} drawings of ${updates} updates`);
  assert.equal(await rows.count(), 200);
  assert.equal(await rows.locator(".health.out").count(), 50, "those that are down come first");
  const nodes = await page.evaluate(() => document.querySelectorAll("*").length);
  assert.ok(nodes < 5000, `${nodes} elements`);
  // Whoever presses something is heard.
  await page.getByRole("button", {name: "5 min"}).click();
  assert.equal(await page.getByRole("button", {name: "5 min"}).getAttribute("aria-pressed"), "true");
  await page.getByRole("link", {name: "All services"}).click();
  await page.getByRole("row", {name: "shop"}).getByText(/\/10000 up|LIVE/).first().waitFor();
  await page.check();
});
