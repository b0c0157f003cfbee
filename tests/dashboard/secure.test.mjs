// Where others can reach it: over TLS, with nothing to see and nothing to do without a token.

import assert from "node:assert/strict";
import {execFileSync} from "node:child_process";
import {createHash, X509Certificate} from "node:crypto";
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from "node:fs";
import {tmpdir} from "node:os";
import {join} from "node:path";
import {after, afterEach, before, test} from "node:test";
import {giveToken, launch, open} from "./browser.mjs";
import {Backend, Gate, until} from "./gate.mjs";

const TOKEN = "2b7e151628aed2a6abf7158809cf4f3c";

let [browser, good, folder] = [];
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "tidegate-secure-"));
  const [cert, key] = ["ops.pem", "ops.key"].map((it) => join(folder, it));
  execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=ops",
    "-addext", "basicConstraints=critical,CA:FALSE", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert], {stdio: "ignore"});
  writeFileSync(join(folder, "ann.token"), TOKEN, {mode: 0o600});
  // The browser believes in this one key, and in no other without an authority.
  const spki = new X509Certificate(readFileSync(cert)).publicKey.export({type: "spki", format: "der"});
  const pin = createHash("sha256").update(spki).digest("base64");
  browser = await launch([`--ignore-certificate-errors-spki-list=${pin}`]);
  good = await Backend.start();
});
afterEach(() => Gate.stopAll());
after(async () => {
  await browser.close();
  good.stop();
  rmSync(folder, {recursive: true, force: true});
});

const service = (live) => `
  shop: {live: ${live}, versions: {v1: "${good.url}", v2: "${good.url}"}, rollout: {steps: [10% for 1h, 50% for 1h]}}
`;
const doors = () => `, anonymous: off, tls: {cert: ${folder}/ops.pem, key: ${folder}/ops.key}, tokens: {ann: {secret: "file:${folder}/ann.token", role: operate}}`;

test("over TLS everything is behind a token: what is seen, the stream, and what is done", async () => {
  const gate = await Gate.start(service("v1"), doors());
  assert.match(gate.url, /^https:/);
  const page = await open(browser, `${gate.url}#/service/shop`);
  await page.getByRole("heading", {name: "Reading needs a token here"}).waitFor();
  await page.getByRole("button", {name: "Enter a token"}).click();
  await giveToken(page, TOKEN);
  await until("it is live", async () => (await page.locator("#live-word").textContent()) === "live");
  gate.edit("live: v1", "live: v2");
  await page.getByText("CANARY", {exact: true}).waitFor();
  await page.getByRole("button", {name: "Pause"}).click();
  await until("it is paused", async () => (await gate.service("shop")).state === "PAUSED");
  await page.getByText("PAUSED", {exact: true}).waitFor();
  const {events} = JSON.parse((await gate.get("/api/v1/services/shop/history")).text);
  assert.deepEqual(events[0].by, {name: "ann", via: "api"});
  await page.check();
});
