// One release after the other, watched and decided in the page.

import assert from "node:assert/strict";
import http from "node:http";
import {after, afterEach, before, test} from "node:test";
import {giveToken, ground, launch, open, serious} from "./browser.mjs";
import {Backend, Gate, until} from "./gate.mjs";

let [browser, one, two, broken] = [];
before(async () => {
  browser = await launch();
  [one, two, broken] = [await Backend.start(0, 4), await Backend.start(0, 5), await Backend.start(0, 4)];
});
afterEach(() => Gate.stopAll());
after(async () => {
  await browser.close();
  [one, two, broken].forEach((it) => it.stop());
});

const release = (live, steps = "[10% for 1h, 50% for 1h]") => `
  shop: {live: ${live}, versions: {v1: "${one.url}", v2: "${two.url}", v3: "${broken.url}"}, rollout: {steps: ${steps}, watch: 1h, guard: {errors: 1%}}}
`;
const sentence = (page) => page.locator("p.sentence").textContent();
const button = (page, name) => page.getByRole("button", {name});

/// A gate in the middle of a release of v2, and a page that shows it.
async function canary(options) {
  const gate = await Gate.start(release("v1"));
  gate.edit("live: v1", "live: v2");
  gate.users(100);
  await until("the release begins", async () => (await gate.service("shop")).state === "CANARY");
  const page = await open(browser, `${gate.url}#/service/shop`, options);
  await button(page, "Roll back to v1").waitFor();
  return [gate, page];
}

test("a release can be watched, with its evidence", async () => {
  const [gate, page] = await canary();
  assert.equal(await sentence(page), "v2 has 10% of the traffic, v1 the rest.");
  assert.match(await page.locator("p.coming").textContent(), /Next: 50% in \d+:\d\d:?\d*/);
  const plan = page.locator("ol.plan");
  assert.match(await plan.locator("[aria-current=step]").textContent(), /now: 10% for 1h.*left/);
  await until("responses of the canary are counted", async () => /Canary: \d+ of [1-9]/.test(await page.locator(".guards").textContent()));
  // The page moves by itself: numbers, the ribbon, the band.
  const before = await page.locator(".lane.canary dl").textContent();
  await until("the numbers move", async () => (await page.locator(".lane.canary dl").textContent()) !== before);
  const charts = page.locator("figure.chart");
  await until("the ribbon has both versions", async () => (await charts.nth(0).locator("path.area").count()) >= 2);
  await until("the band is drawn", async () => /^M.*L.*Z$/.test(await page.locator("path.area.band").getAttribute("d")));
  assert.equal(await page.locator(".rule.limit text").textContent().then((it) => it.startsWith("limit +")), true);
  // Behind each chart: a sentence and a table.
  for (const at of [0, 1, 2]) {
    const chart = charts.nth(at);
    assert.ok((await chart.locator("p.said").textContent()).length > 10);
    assert.ok((await chart.locator("svg.plot").getAttribute("aria-label")).length > 10);
    await chart.getByText("As a table").click();
    await until("the table has rows", async () => (await chart.locator("tbody tr").count()) > 1);
    assert.match(await chart.locator("tbody tr th").first().textContent(), /^\d\d:\d\d:\d\dZ$/);
    await chart.getByText("As a table").click();
  }
  await page.locator("svg.plot").first().focus();
  await page.keyboard.press("ArrowLeft");
  await page.locator("p.readout").first().getByText(/Z/).first().waitFor();
  await page.locator(".events").getByText("began").waitFor();
  assert.deepEqual(await serious(page), []);
  await page.keep("service", true);
  const light = await ground(page);
  assert.equal(page.streams.asked, 1, "the page lives by one stream");
  await page.check();

  const dark = await open(browser, `${gate.url}#/service/shop`, {colorScheme: "dark"});
  await button(dark, "Roll back to v1").waitFor();
  await until("charts are drawn", async () => (await dark.locator("path.area").count()) >= 2);
  assert.notEqual(await ground(dark), light);
  assert.deepEqual(await serious(dark), []);
  await dark.keep("service-dark", true);
  await dark.check();
});

test("the token is asked for when it is needed, and kept out of sight", async () => {
  const [gate, page] = await canary();
  await button(page, "Pause").click();
  const asked = page.getByRole("dialog", {name: "A token is needed"});
  await asked.waitFor();
  assert.deepEqual(await serious(page), []);
  await asked.getByRole("button", {name: "Cancel"}).click();
  await page.getByText("Nothing was changed: it needs a token.").waitFor();
  assert.equal((await gate.service("shop")).state, "CANARY");
  await button(page, "Pause").click();
  await giveToken(page, "a-wrong-token-of-some-length-0000");
  await page.getByText("That token was not accepted.").waitFor();
  assert.deepEqual(await serious(page), []);
  await giveToken(page, gate.token);
  await until("it is paused", async () => (await gate.service("shop")).state === "PAUSED");
  await page.getByText("PAUSED", {exact: true}).waitFor();
  assert.deepEqual(await serious(page), []);
  // Neither in the address, nor in a store that lasts.
  const stored = await page.evaluate(() => JSON.stringify([location.href, {...localStorage}, {...sessionStorage}, document.cookie]));
  assert.ok(!stored.includes(gate.token), stored);
  // The next command does not ask again.
  await button(page, "Resume").click();
  await until("it goes on", async () => (await gate.service("shop")).state === "CANARY");
  await button(page, "Forget token").click();
  await button(page, "Pause").click();
  await asked.waitFor();
  await page.keyboard.press("Escape");
  assert.equal((await gate.service("shop")).state, "CANARY");
  await page.check();
});

test("a token is kept for the tab when somebody says so, and forgotten with it", async () => {
  const [gate, page] = await canary();
  const asked = page.getByRole("dialog", {name: "A token is needed"});
  const stored = () => page.evaluate(() => [{...sessionStorage}, {...localStorage}, document.cookie, location.href].map((it) => JSON.stringify(it)));
  await button(page, "Pause").click();
  await asked.getByLabel("Keep it until this tab is closed").check();
  await giveToken(page, gate.token);
  await until("it is paused", async () => (await gate.service("shop")).state === "PAUSED");
  const [tab, ...lasting] = await stored();
  assert.ok(tab.includes(gate.token));
  assert.ok(!lasting.join().includes(gate.token), lasting.join());
  await page.reload();
  await button(page, "Resume").click();
  await until("it goes on, and nobody was asked", async () => (await gate.service("shop")).state === "CANARY");
  assert.equal(await asked.count(), 0);
  // Another tab knows nothing of it.
  const other = await page.context().newPage();
  await other.goto(page.url());
  await button(other, "Roll back to v1").waitFor();
  assert.equal(await other.evaluate(() => sessionStorage.length), 0);
  assert.equal(await button(other, "Forget token").isVisible(), false);
  await other.close();
  await button(page, "Forget token").click();
  assert.equal((await stored())[0], "{}");
  await page.reload();
  await button(page, "Pause").click();
  await asked.waitFor();
  // What is given without the tick is for this page alone, and takes the place of what was kept.
  await giveToken(page, gate.token);
  await until("it is paused again", async () => (await gate.service("shop")).state === "PAUSED");
  assert.equal((await stored())[0], "{}");
  await page.check();
});

test("promote by a step, then fully, by its name", async () => {
  const [gate, page] = await canary();
  const sent = [];
  page.on("request", (it) => it.method() === "POST" && sent.push(it));
  await button(page, "Promote to 50%").click();
  const dialog = page.getByRole("dialog");
  assert.match(await dialog.textContent(), /v2 goes from 10% to 50%/);
  assert.deepEqual(await serious(page), []);
  await dialog.getByRole("button", {name: "Promote to 50%"}).click();
  await giveToken(page, gate.token);
  await until("it has 50%", async () => (await gate.service("shop")).weight_percent === 50);
  await until("the page says so", async () => (await sentence(page)) === "v2 has 50% of the traffic, v1 the rest.");
  const body = JSON.parse(sent.at(-1).postData());
  assert.equal(typeof body.step, "number");
  assert.match((await sent.at(-1).allHeaders())["idempotency-key"], /^[0-9a-f]{32}$/);
  assert.ok(!sent.some((it) => it.url().includes(gate.token)));

  await button(page, "Promote fully…").click();
  const go = dialog.getByRole("button", {name: "Promote fully"});
  assert.equal(await go.isDisabled(), true);
  await dialog.getByRole("textbox").fill("shap");
  assert.equal(await go.isDisabled(), true);
  assert.deepEqual(await serious(page), []);
  await dialog.getByRole("textbox").fill("shop");
  await go.click();
  await until("it is watched", async () => (await gate.service("shop")).state === "WATCHING");
  await page.getByText("WATCHING", {exact: true}).waitFor();
  assert.deepEqual(await serious(page), []);
  await page.keep("service-watching", true);
  await page.check();
});

test("rolling back is one click", async () => {
  const [gate, page] = await canary();
  // With the token at hand, as in the middle of the night.
  await button(page, "Pause").click();
  await giveToken(page, gate.token);
  await button(page, "Resume").waitFor();
  await button(page, "Roll back to v1").click();
  await until("v1 has everything", async () => (await gate.service("shop")).state === "ROLLED BACK");
  await until("the page says so", async () => /v2 is out, v1 has all traffic/.test(await sentence(page)));
  await page.locator("section", {hasText: "Quarantine"}).getByText("v2").first().waitFor();
  await page.getByText("The file says v2, v1 is stable: v2 was rolled back and is in quarantine.").waitFor();
  assert.deepEqual(await serious(page), []);
  await page.keep("service-rolled-back", true);
  await button(page, "Retry v2").click();
  await until("it is tried again", async () => (await gate.service("shop")).state === "CANARY");
  await page.check();
});

test("a canary that fails goes by itself, and the page tells why", async () => {
  const gate = await Gate.start(release("v1"));
  gate.users(100);
  const page = await open(browser, `${gate.url}#/service/shop`);
  await until("v1 is live", async () => (await sentence(page)) === "v1 has all traffic.");
  broken.failing = 1;
  gate.edit("live: v1", "live: v3");
  await page.getByText("ROLLED BACK", {exact: true}).waitFor();
  broken.failing = 0;
  const decision = page.locator(".event", {hasText: "rolled back"}).first();
  await decision.getByText("Evidence").click();
  assert.match(await decision.textContent(), /canary: \d+ of \d+ bad/);
  assert.match(await page.locator("#spoken").textContent(), /shop: v3 is out/);
  await page.check();
});

test("a person is asked, and says yes", async () => {
  const gate = await Gate.start(release("v1", "[{weight: 10%, for: 100ms, requests: 1, until: approved}, 50% for 1h]"));
  gate.users(100);
  gate.edit("live: v1", "live: v2");
  for (const colorScheme of ["dark", "light"]) {
    const page = await open(browser, `${gate.url}#/service/shop`, {colorScheme});
    await page.getByText("APPROVAL", {exact: true}).waitFor();
    await button(page, "Approve").click();
    const dialog = page.getByRole("dialog");
    assert.match(await dialog.textContent(), /Say yes to v2\?/);
    assert.deepEqual(await serious(page), [], colorScheme);
    await page.keep(`service-approval-${colorScheme}`, true);
    if (colorScheme === "light") {
      await dialog.getByRole("button", {name: "Approve"}).click();
      await giveToken(page, gate.token);
      await until("it has 50%", async () => (await gate.service("shop")).weight_percent === 50);
      await button(page, "Promote to 100%").waitFor();
    }
    await page.check();
  }
});

test("what was deployed past the file is said to have drifted", async () => {
  const gate = await Gate.start(release("v1", "[]").replace("watch: 1h", "watch: 200ms"));
  gate.users(100);
  const page = await open(browser, `${gate.url}#/service/shop`);
  await until("v1 is live", async () => (await sentence(page)) === "v1 has all traffic.");
  assert.equal(await page.locator(".chip").count(), 0);
  const done = await gate.cli("deploy", "shop", `v9=${two.url}`, "--wait", "--timeout", "60s");
  assert.equal(done.code, 0, done.err);
  const chip = page.locator("tide-service .chip", {hasText: "drifted"});
  await chip.waitFor();
  const lines = page.locator("tide-service .notice li");
  await until("both lines are there", async () => (await lines.count()) === 2);
  const said = (await lines.allTextContents()).sort();
  assert.match(said[0], /^live: v1 in the file, v9 since \d\d:\d\d:\d\dZ by .+ \(cli\)$/);
  assert.match(said[1], new RegExp(`^versions\\.v9: not in the file, ${two.url} since \\d\\d:\\d\\d:\\d\\dZ by .+ \\(cli\\)$`));
  await page.getByText("The file says v1, v9 is stable: not in sync.").waitFor();
  assert.deepEqual(await serious(page), []);
  await page.keep("service-drifted", true);
  await page.getByRole("link", {name: "All services"}).click();
  await page.getByRole("row", {name: "shop"}).locator(".chip", {hasText: "drifted"}).waitFor();
  // The file takes over what runs: nothing has drifted, and nothing is released anew.
  const exported = await gate.cli("export", "--effective");
  assert.equal(exported.code, 0, exported.err);
  gate.writeAll(exported.out);
  await until("nothing has drifted", async () => (await page.locator(".chip", {hasText: "drifted"}).count()) === 0);
  await page.check();
});

test("a button that is out of date does nothing and says so", async () => {
  const [gate, page] = await canary();
  await button(page, "Pause").click();
  await giveToken(page, gate.token);
  await button(page, "Resume").click();
  await button(page, "Pause").waitFor();
  // Somebody else promotes between the click and the server.
  await page.route("**/promote", async (route) => {
    assert.equal((await gate.cli("promote", "shop")).code, 0);
    await route.continue();
  });
  await button(page, "Promote to 50%").click();
  await page.getByRole("dialog").getByRole("button", {name: "Promote to 50%"}).click();
  await page.getByText("It moved meanwhile, so nothing was done").waitFor();
  await until("it is drawn as it is", async () => (await sentence(page)) === "v2 has 50% of the traffic, v1 the rest.");
  assert.equal((await gate.service("shop")).weight_percent, 50, "one promotion, not two");
  await page.keep("service-moved");
  await page.check();
});

test("who was told of a decision, and who was not", async () => {
  // Fails twice, and takes everything from then on.
  let calls = 0;
  const receiver = http.createServer((request, answer) => request.resume().on("end", () => answer.writeHead(calls++ < 2 ? 503 : 204).end()));
  await new Promise((listening) => receiver.listen(0, "127.0.0.1", listening));
  const gone = http.createServer((request, answer) => request.resume().on("end", () => answer.writeHead(404).end()));
  await new Promise((listening) => gone.listen(0, "127.0.0.1", listening));
  const hook = (name, it) => `{webhook: "http://127.0.0.1:${it.address().port}/", name: ${name}, local: allow, events: [adopted, paused]}`;
  const gate = await Gate.start(release("v1"), "", `\nnotify: [${hook("ci", receiver)}, ${hook("ops", gone)}]\n`);
  const page = await open(browser, `${gate.url}#/service/shop`);
  const adopted = page.locator(".event", {hasText: "adopted"});
  await adopted.getByText(/^ci was told of shop v1 adopted \(#1\) after 3 attempts, /).waitFor();
  assert.match(await adopted.locator(".told .waits").textContent(), /^ci did not take shop v1 adopted \(#1\): answered 503; next attempt /);
  assert.match(await adopted.locator(".told .out").textContent(), /^ops is not told of .* given up after 1 attempt: answered 404$/);
  await page.locator("#notices").getByText(/^ops \(http:.*\) was not notified at .*: answered 404; event 1 was given up\.$/).waitFor();
  gate.edit("live: v1", "live: v2");
  await until("the release begins", async () => (await gate.service("shop")).state === "CANARY");
  assert.equal((await gate.cli("pause", "shop")).code, 0);
  // As it happens, without a reload; what works is said in one word.
  const paused = page.locator(".event", {hasText: "paused"});
  await paused.getByText("told: ci", {exact: true}).waitFor();
  assert.deepEqual(await serious(page), []);
  await page.keep("notifications", true);
  await page.check();
  for (const it of [receiver, gone]) it.close();
});

test("freeze and unfreeze", async () => {
  const [gate, page] = await canary();
  await button(page, "Freeze").click();
  await page.getByRole("dialog", {name: "Freeze all releases?"}).waitFor();
  assert.deepEqual(await serious(page), []);
  await page.getByLabel("Reason, if there is one").fill("the big sale");
  await page.getByRole("dialog").getByRole("button", {name: "Freeze"}).click();
  await giveToken(page, gate.token);
  await page.getByText(/Frozen by .*the big sale/).waitFor();
  // A freeze stands in the way of a promotion, and somebody who insists says why.
  await button(page, "Promote to 50%").click();
  await page.getByRole("dialog").getByRole("button", {name: "Promote to 50%"}).click();
  const insist = page.getByRole("dialog", {name: "Go on all the same?"});
  assert.equal(await insist.getByRole("button", {name: "Go on all the same"}).isDisabled(), true);
  assert.deepEqual(await serious(page), []);
  await insist.getByRole("button", {name: "Cancel"}).click();
  assert.equal((await gate.service("shop")).weight_percent, 10);
  await button(page, "Unfreeze").click();
  await page.getByRole("dialog").getByRole("button", {name: "Unfreeze"}).click();
  await page.getByText(/Frozen by/).waitFor({state: "hidden"});
  await page.check();
});

test("everything by keyboard", async () => {
  const [gate, page] = await canary();
  await page.goto(gate.url);
  await page.getByRole("row", {name: "shop"}).waitFor();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
  await page.keyboard.press("Enter");
  await page.keyboard.press("j");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "shop");
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.equal(outline, "solid", "where one is can be seen");
  await page.keyboard.press("Enter");
  await button(page, "Roll back to v1").waitFor();
  assert.equal(new URL(page.url()).hash, "#/service/shop");
  // Keys lead to a button and never press it.
  await page.keyboard.press("r");
  assert.equal(await page.evaluate(() => document.activeElement.dataset.verb), "rollback");
  assert.equal((await gate.service("shop")).state, "CANARY");
  await page.keyboard.press("?");
  await page.getByRole("dialog", {name: "Keys"}).waitFor();
  assert.deepEqual(await serious(page), []);
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  await until("back at the table, where one was", () => page.evaluate(() => document.activeElement.textContent === "shop" && location.hash === "#/"));
  await page.keyboard.press("/");
  await until("in the search", () => page.evaluate(() => document.activeElement.id === "search"));
  await page.keyboard.press("Escape");
  await page.goBack();
  await button(page, "Roll back to v1").waitFor();
  await page.keyboard.press("r");
  await page.keyboard.press("Enter");
  await giveToken(page, gate.token);
  await until("v1 has everything", async () => (await gate.service("shop")).state === "ROLLED BACK");
  await page.check();
});
