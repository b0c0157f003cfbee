// The table of all services, and the page around it.

import assert from "node:assert/strict";
import {after, afterEach, before, test} from "node:test";
import {launch, open, serious} from "./browser.mjs";
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
  await page.check();

  const dark = await open(browser, gate.url, {colorScheme: "dark"});
  await dark.getByText("ROLLED BACK").waitFor();
  assert.deepEqual(await serious(dark), []);
  await dark.keep("table-dark");
  await dark.check();
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
    await page.check();
  }
  // 200 % zoom of a common screen is the same as half of its pixels.
  const page = await open(browser, `${gate.url}#/service/shop`, {viewport: {width: 640, height: 400}, deviceScaleFactor: 2, reducedMotion: "reduce"});
  await page.getByRole("button", {name: "Roll back to v1"}).waitFor();
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  assert.equal(await page.evaluate(() => getComputedStyle(document.querySelector("#live .dot")).animationName), "none");
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
