// A page of somebody else, in the same browser as an operator: what it can have the browser ask of the server that
// steers traffic, and what it gets to see of it.

import assert from "node:assert/strict";
import {once} from "node:events";
import http from "node:http";
import {after, afterEach, before, test} from "node:test";
import {launch} from "./browser.mjs";
import {Backend, Gate, until} from "./gate.mjs";

let [browser, good, stranger] = [];
before(async () => {
  browser = await launch();
  good = await Backend.start();
  stranger = await listening((_, answer) => answer.writeHead(200, {"content-type": "text/html"}).end("<!doctype html><title>cats</title>"));
});
afterEach(() => Gate.stopAll());
after(async () => {
  await browser.close();
  good.stop();
  stranger.close();
  stranger.closeAllConnections();
});

async function listening(answer) {
  const server = http.createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

/// Everything that a page may try, in the page: answers with what it could read, by the way it was tried.
async function attack([target, token]) {
  const read = {};
  const order = `${target}api/v1/services/shop/rollback`;
  const patience = (promise) => Promise.race([promise, new Promise((done) => setTimeout(done, 20_000, "nothing came"))]);
  const tried = async (name, asking) => {
    try {
      read[name] = await patience(asking());
    } catch (error) {
      read[name] = error.name;
    }
  };
  const body = "{}";
  await tried("form", () => new Promise((done) => {
    const frame = Object.assign(document.createElement("iframe"), {name: "answer"});
    const form = Object.assign(document.createElement("form"), {method: "post", action: order, target: "answer", enctype: "text/plain"});
    // Sent as `{"reason":"="}`.
    form.append(Object.assign(document.createElement("input"), {name: '{"reason":"', value: '"}'}));
    document.body.append(frame, form);
    form.submit();
    // The first thing in a frame is an empty page, and then the answer is another site's.
    const seen = () => {
      try {
        return frame.contentDocument?.location.href === "about:blank" ? null : (frame.contentDocument?.body.textContent ?? "out of reach");
      } catch (error) {
        return error.name;
      }
    };
    const look = () => (seen() == null ? setTimeout(look, 20) : done(seen()));
    look();
  }));
  const fetched = (url, how) => async () => {
    const answer = await fetch(url, how);
    return `${answer.type} ${answer.status} ${(await answer.text()).slice(0, 20)}`.trim();
  };
  await tried("no-cors read", fetched(`${target}api/v1/status`, {mode: "no-cors"}));
  await tried("no-cors order", fetched(order, {mode: "no-cors", method: "POST", body, headers: {"content-type": "text/plain", authorization: `Bearer ${token}`}}));
  await tried("read", fetched(`${target}api/v1/status`, {}));
  await tried("order", fetched(order, {method: "POST", body}));
  // Even somebody who has the token: a page of another site may not use it.
  await tried("order with the token", fetched(order, {method: "POST", body, headers: {"content-type": "application/json", authorization: `Bearer ${token}`}}));
  await tried("beacon", async () => navigator.sendBeacon(order, body) && "sent");
  await tried("stream", () => new Promise((done) => {
    const stream = new EventSource(`${target}api/v1/events/stream`);
    const end = (text) => (stream.close(), done(text));
    stream.onopen = () => end("open");
    stream.onerror = () => end("refused");
  }));
  await tried("socket", () => new Promise((done) => {
    const socket = new WebSocket(`${target.replace("http", "ws")}api/v1/events/stream`);
    socket.onopen = () => done("open");
    socket.onerror = () => done("refused");
  }));
  await tried("script", () => new Promise((done) => {
    const script = Object.assign(document.createElement("script"), {src: `${target}dashboard/theme.js`});
    script.onload = () => done("ran");
    script.onerror = () => done("refused");
    document.body.append(script);
  }));
  return read;
}

/// What a page at `host` could read of `target`, and the status of everything that was answered.
async function tryAll(host, target, token) {
  const context = await browser.newContext();
  const page = await context.newPage();
  const answers = [];
  context.on("response", (it) => it.url().startsWith(target) && answers.push(it.status()));
  await page.goto(`http://${host}:${stranger.address().port}/`);
  const read = await page.evaluate(attack, [target, token]);
  return {read, answers, context};
}

// On another port of the same address, which browsers count as the same site, and under another name.
for (const host of ["127.0.0.1", "localhost"]) {
  test(`a page at ${host} changes nothing and reads nothing`, async () => {
    const gate = await Gate.start(`
  shop: {live: v1, versions: {v1: "${good.url}", v2: "${good.url}"}, rollout: {steps: [10% for 1h]}}
`);
    gate.edit("live: v1", "live: v2");
    await until("the release begins", async () => (await gate.service("shop")).state === "CANARY");
    const known = async () => {
      const [shop, history] = [await gate.service("shop"), await (await fetch(`${gate.url}api/v1/services/shop/history`)).json()];
      return [shop.state, shop.mark, shop.weight_percent, history.events.map((it) => it.id)];
    };
    const before = await known();
    const {read, answers, context} = await tryAll(host, gate.url, gate.token);
    assert.deepEqual(read, {
      form: "out of reach", "no-cors read": "opaque 0", "no-cors order": "opaque 0", read: "TypeError", order: "TypeError",
      "order with the token": "TypeError", beacon: "sent", stream: "refused", socket: "refused", script: "refused",
    });
    // One each, and the question of the browser whether it may send the token.
    const counted = async () => (await (await fetch(`${gate.url}metrics`)).text()).match(/^tidegate_admin_requests_total\{code="403"\} (\d+)/m)?.[1];
    await until("all ten are refused", async () => (await counted()) === "10");
    assert.deepEqual([...new Set(answers)], [403]);
    await context.close();
    assert.deepEqual(await known(), before);
    // With the token it is one command, so it was the origin that was refused.
    const headers = {authorization: `Bearer ${gate.token}`, "content-type": "application/json"};
    assert.equal((await fetch(`${gate.url}api/v1/services/shop/rollback`, {method: "POST", body: "{}", headers})).status, 200);
  });
}

test("a careless server would have been read and steered by the same page", async () => {
  const orders = [];
  const careless = await listening(async (request, answer) => {
    const headers = {"access-control-allow-origin": "*", "access-control-allow-headers": "*, authorization"};
    let body = "";
    for await (const piece of request) body += piece;
    if (request.method === "POST") orders.push(`${request.headers["content-type"]} ${request.headers.authorization ?? "-"} ${body.trim()}`);
    const kind = request.url.endsWith("stream") ? "text/event-stream" : request.url.endsWith(".js") ? "text/javascript" : "application/json";
    answer.writeHead(200, {...headers, "content-type": kind}).end(kind.endsWith("script") ? "" : "data: 1\n\n");
  });
  const {read, context} = await tryAll("localhost", `http://127.0.0.1:${careless.address().port}/`, "secret");
  assert.deepEqual(read, {
    form: "out of reach", "no-cors read": "opaque 0", "no-cors order": "opaque 0", read: "cors 200 data: 1", order: "cors 200 data: 1",
    "order with the token": "cors 200 data: 1", beacon: "sent", stream: "open", socket: "refused", script: "ran",
  });
  await until("all orders came", () => orders.length === 5);
  assert.equal(orders.filter((it) => it.startsWith("text/plain")).length, 4);
  assert.ok(orders.includes(`text/plain - {"reason":"="}`), orders.join("\n"));
  assert.ok(orders.includes("application/json Bearer secret {}"), orders.join("\n"));
  await context.close();
  careless.close();
  careless.closeAllConnections();
});
