// A real tidegate in front of real backends, for one scenario.

import {execFile, spawn} from "node:child_process";
import {once} from "node:events";
import {mkdtempSync, openSync, readFileSync, rmSync, writeFileSync} from "node:fs";
import http from "node:http";
import net from "node:net";
import {tmpdir} from "node:os";
import {join, resolve} from "node:path";

const PROGRAM = resolve(process.env.TIDEGATE ?? "target/release/tidegate");

/// A version of a service: answers after `ms`, and fails as often as `failing` says, from 0 to 1, with `reason` in
/// its first line. `body` is all it says.
export class Backend {
  static async start(failing = 0, ms = 1, reason = "No", body = "an answer") {
    const it = new Backend();
    Object.assign(it, {failing, ms, healthy: true});
    it.server = http.createServer((request, answer) => {
      const bad = request.url === "/healthz" ? !it.healthy : Math.random() < it.failing;
      setTimeout(() => answer.writeHead(bad ? 500 : 200, bad ? reason : "OK").end(body), it.ms);
    });
    it.server.listen(0, "127.0.0.1");
    await once(it.server, "listening");
    it.url = `http://127.0.0.1:${it.server.address().port}`;
    return it;
  }

  stop() {
    this.server.close();
    this.server.closeAllConnections();
  }
}

export class Gate {
  static running = new Set();

  /// Whatever a scenario that failed has left behind.
  static async stopAll() {
    for (const it of Gate.running) await it.stop();
  }

  /// `services` is the YAML below `services:`, `doors` what is added to `admin`, `more` what stands below.
  static async start(services, doors = "", more = "") {
    const it = new Gate();
    it.folder = mkdtempSync(join(tmpdir(), "tidegate-dashboard-"));
    [it.front, it.admin] = await freePorts(2);
    it.file = join(it.folder, "tidegate.yaml");
    Object.assign(it, {doors, more});
    it.url = `${doors.includes("tls:") ? "https" : "http"}://127.0.0.1:${it.admin}/`;
    it.write(services);
    Gate.running.add(it);
    await it.run();
    return it;
  }

  write(services) {
    this.services = services;
    writeFileSync(this.file, `listen: {main: {port: ${this.front}, bind: 127.0.0.1}}
admin: {listen: "127.0.0.1:${this.admin}", socket: ${this.folder}/admin.sock${this.doors}}
state: ${this.folder}/state
services:
${services}${this.more}`);
  }

  /// The whole file, as somebody else wrote it.
  writeAll(text) {
    writeFileSync(this.file, text);
  }

  edit(old, fresh) {
    if (!this.services.includes(old)) throw new Error(`the file has no ${old}`);
    this.write(this.services.replace(old, fresh));
  }

  async run() {
    const log = openSync(join(this.folder, "log"), "a");
    this.process = spawn(PROGRAM, ["run", "-c", this.file, "--lame-duck", "0s", "--drain", "1s"], {stdio: ["ignore", log, log]});
    this.ended = once(this.process, "exit");
    await until("tidegate is ready", async () => (await this.get("/readyz")).ok).catch((error) => {
      throw new Error(`${error.message}\n${this.log()}`);
    });
  }

  log() {
    return readFileSync(join(this.folder, "log"), "utf8");
  }

  /// As a machine that loses its power.
  async kill() {
    this.process.kill("SIGKILL");
    await this.ended;
  }

  async stop() {
    Gate.running.delete(this);
    this.load?.stop();
    if (this.process.exitCode == null && this.process.signalCode == null) {
      this.process.kill("SIGTERM");
      await this.ended;
    }
    rmSync(this.folder, {recursive: true, force: true});
  }

  get token() {
    return readFileSync(join(this.folder, "state/admin-token"), "utf8").trim();
  }

  /// A verb of the command line, as another person would use it.
  cli(...words) {
    return new Promise((done) => execFile(PROGRAM, [...words, "-c", this.file], (error, out, err) => done({code: error?.code ?? 0, out, err})));
  }

  async service(name) {
    return JSON.parse((await this.get(`/api/v1/services/${name}`)).text);
  }

  /// Through the socket, which needs no token and no certificate.
  get(path) {
    return new Promise((done, fail) => {
      http.get({socketPath: join(this.folder, "admin.sock"), path, headers: {host: "localhost"}, agent: false}, (answer) => {
        let text = "";
        answer.setEncoding("utf8").on("data", (it) => (text += it)).on("error", fail);
        answer.on("end", () => done({ok: answer.statusCode === 200, text}));
      }).on("error", fail);
    });
  }

  /// So many requests a second, until it ends.
  users(perSecond, host = "a.test") {
    this.load?.stop();
    const agent = new http.Agent({keepAlive: true, maxSockets: 20});
    const ask = () => http.get({host: "127.0.0.1", port: this.front, path: "/", headers: {host}, agent}, (it) => it.resume()).on("error", () => {});
    const timer = setInterval(ask, 1000 / perSecond);
    this.load = {stop: () => (clearInterval(timer), agent.destroy())};
  }
}

/// Asks again until it is so.
export async function until(what, found, seconds = 60) {
  const end = Date.now() + seconds * 1000;
  let last;
  for (;;) {
    try {
      const it = await found();
      if (it) return it;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`${what}: not within ${seconds} s${last ? `: ${last.message}` : ""}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

async function freePorts(count) {
  const servers = await Promise.all(Array.from({length: count}, async () => {
    const server = net.createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    return server;
  }));
  const ports = servers.map((it) => it.address().port);
  await Promise.all(servers.map((it) => new Promise((done) => it.close(done))));
  return ports;
}
