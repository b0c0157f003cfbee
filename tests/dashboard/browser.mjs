// A browser with nobody's profile, and what every page is held to, whatever the scenario: no script error, no
// violation of its policy, no request to anywhere else, one stream.

import assert from "node:assert/strict";
import {mkdirSync, readFileSync} from "node:fs";
import {createRequire} from "node:module";
import {join} from "node:path";
import {chromium} from "playwright-core";
import {until} from "./gate.mjs";

const SCREENSHOTS = process.env.SCREENSHOTS ?? "target/ci/screenshots";
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/// `more`: switches of the browser.
export async function launch(more = []) {
  mkdirSync(SCREENSHOTS, {recursive: true});
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync", ...more],
  });
}

/// Opens a page; `check()` on it says whether it kept to the rules, and `streams` how often it asked for the stream.
export async function open(browser, url, options = {}) {
  const {before, ...more} = options;
  const context = await browser.newContext({viewport: {width: 1440, height: 900}, colorScheme: "light", ...more});
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const [problems, strangers] = [[], []];
  const own = new URL(url).origin;
  page.on("pageerror", (error) => problems.push(error.stack));
  // Answers other than 200 are scenarios; whatever else the console has is a mistake of the page.
  page.on("console", (it) => it.type() === "error" && !it.text().startsWith("Failed to load resource") && problems.push(it.text()));
  context.on("request", (it) => !it.url().startsWith("data:") && new URL(it.url()).origin !== own && strangers.push(it.url()));
  // A stream that the page gives up is heard of a moment after the next one.
  page.streams = {asked: 0, open: new Set()};
  const isStream = (it) => new URL(it.url()).pathname.endsWith("/events/stream") && it.frame().page() === page;
  context.on("request", (it) => isStream(it) && page.streams.open.add(it) && page.streams.asked++);
  for (const end of ["requestfinished", "requestfailed"]) context.on(end, (it) => page.streams.open.delete(it));
  await page.addInitScript(() => {
    globalThis.violations = [];
    document.addEventListener("securitypolicyviolation", (it) => globalThis.violations.push(`${it.violatedDirective} ${it.blockedURI} ${it.sample}`));
  });
  await before?.(page);
  await page.goto(url);
  page.check = async () => {
    assert.deepEqual(problems, []);
    assert.deepEqual(strangers, [], "requests to others");
    await until("at most one stream is open", () => page.streams.open.size <= 1, 20);
    assert.deepEqual(await page.evaluate(() => globalThis.violations), [], "violations of the policy");
    await context.close();
  };
  page.keep = (name, fullPage = false) => page.screenshot({path: join(SCREENSHOTS, `${name}.png`), fullPage});
  return page;
}

/// What is behind everything: the colour of the scheme.
export const ground = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);

/// What an accessibility checker finds that is serious.
export async function serious(page) {
  await page.evaluate(AXE);
  const found = await page.evaluate(() => globalThis.axe.run(document, {resultTypes: ["violations"]}));
  return found.violations.filter((it) => ["serious", "critical"].includes(it.impact))
    .map((it) => `${it.id}: ${it.nodes.map((node) => `${node.target} ${node.failureSummary}`).slice(0, 3).join(" | ")}`);
}

/// The server's token, when the page asks for it.
export async function giveToken(page, token) {
  const dialog = page.getByRole("dialog", {name: "A token is needed"});
  await dialog.getByLabel("Token", {exact: true}).fill(token);
  await dialog.getByRole("button", {name: "Use it"}).click();
}
