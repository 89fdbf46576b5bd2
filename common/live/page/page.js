// The live page: asks its own process five times a second for all there is, and draws it. Knows no other address.
"use strict";

const EVERY_MS = 200, LIMIT_MS = 1500, STALE_S = 1.5, MINUTE_S = 60, QUIET_S = 3, ENROL_MS = 300, DRAWN_ON = 24, TRAIL = 12;
const NAMES = ["sctx", "channel-emu", "scrx"];
const LINES = [
  ["set", "--set", "set at the emulator"],
  ["true", "--true", "true for the newest frame"],
  ["estimated", "--estimated", "estimated by the receiver"],
  ["acted", "--acted", "acted on by the transmitter"],
];
const LOSSES = ["expired", "skipped", "failed", "refused", "unreadable"];
const STAGES = ["encode", "modulate", "network", "queue", "decode"];
const past = [], trails = {};
const $ = (id) => document.getElementById(id);
const text = (id, value) => { const found = $(id); if (found.textContent !== value) found.textContent = value; };
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const number = (value, digits) => (value === null || value === undefined ? "–" : value.toFixed(digits));

function make(tag, words, className) {
  const made = document.createElement(tag);
  if (words !== undefined) made.textContent = words;
  if (className) made.className = className;
  return made;
}

function rows(id, pairs, flag) {
  $(id).replaceChildren(...pairs.map(([name, value, mark]) => {
    const row = make("tr", undefined, flag && value > 0 ? "some" : ""), first = make("td");
    if (mark) { const dot = make("i"); dot.style.background = mark; first.append(dot); }
    first.append(name);
    row.append(first, make("td", String(value)));
    return row;
  }));
}

// -- who is there

const UNASKED = document.querySelector("#chips .state").textContent;  // who is looked at for the first time
function state(found, unknown) {
  if (!found) return [unknown && unknown !== UNASKED ? "bad" : "warn", unknown || "not watched here", true];
  if (found.dead) return ["bad", found.dead, true];
  if (found.age_s === null) return ["warn", found.why || "nothing yet", true];
  if (found.age_s > STALE_S || found.heard_s > STALE_S) return ["bad", "hung: its loop does not turn", true];
  return found.why ? ["warn", found.why, false] : ["good", "ready", false];
}

let serves = "";
function gone(name, lost) {  // the others may well be there: nobody asks them now
  return serves && name !== serves ? ["warn", `not known: ${serves} asked for it`, true] : ["bad", lost, true];
}

function chips(by, lost, unknown) {
  const states = {};
  for (const name of NAMES) {
    const chip = document.querySelector(`[data-process="${name}"]`);
    const [kind, words, stale] = lost ? gone(name, lost) : state(by[name], unknown);
    chip.className = kind;
    const said = chip.querySelector(".state");
    if (said.textContent !== words) said.textContent = words;
    states[name] = stale ? words : "";
  }
  for (const section of document.querySelectorAll("[data-needs]")) {
    const missing = section.dataset.needs.split(" ").filter((name) => states[name]);
    section.classList.toggle("stale", missing.length === section.dataset.needs.split(" ").length);
    const title = section.querySelector("h2");
    if (title) title.dataset.why = missing.length ? `no news of ${missing.join(", ")}` : "";
  }
}

// -- drawing

function begin(canvas) {
  const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return [pen, width, height];
}

function constellation(id, points, ink) {
  const canvas = $(id), [pen, width, height] = begin(canvas);
  const trail = trails[id] ??= [];  // frames, the newest first: one alone may have two symbols
  if (points.length && String(points) !== String(trail[0])) trail.unshift(points);
  trail.length = Math.min(trail.length, TRAIL);
  const size = Math.min(width, height), reach = Math.max(1.5, ...trail.flat(2).map(Math.abs)) * 1.08;
  pen.strokeStyle = color("--line");
  pen.lineWidth = 1;
  pen.beginPath();
  pen.moveTo(width / 2, (height - size) / 2); pen.lineTo(width / 2, (height + size) / 2);
  pen.moveTo((width - size) / 2, height / 2); pen.lineTo((width + size) / 2, height / 2);
  pen.stroke();
  pen.beginPath();
  pen.arc(width / 2, height / 2, size / 2 / reach, 0, 2 * Math.PI);
  pen.stroke();
  pen.fillStyle = color(ink);
  for (let age = trail.length - 1; age >= 0; age -= 1) {
    pen.globalAlpha = age ? 0.3 * (1 - age / TRAIL) : 1;
    for (const [re, im] of trail[age]) {
      pen.beginPath();
      pen.arc(width / 2 + re / reach * size / 2, height / 2 - im / reach * size / 2, age ? 2.5 : 3.5, 0, 2 * Math.PI);
      pen.fill();
    }
  }
  pen.globalAlpha = 1;
  canvas.setAttribute("aria-label", `${id}: ${points.length} symbols`);
}

function picture(found) {
  const canvas = $("picture");
  if (!found) return;
  canvas.width = found.width;
  canvas.height = found.height;
  const bytes = Uint8Array.from(atob(found.pixels), (one) => one.charCodeAt(0)), pen = canvas.getContext("2d");
  const image = pen.createImageData(found.width, found.height), many = found.channels;
  for (let at = 0; at < found.width * found.height; at += 1) {
    for (let c = 0; c < 3; c += 1) image.data[4 * at + c] = bytes[many * at + (many >= 3 ? c : 0)];
    image.data[4 * at + 3] = 255;
  }
  pen.putImageData(image, 0, 0);
  canvas.setAttribute("aria-label", `the picture, ${found.width} by ${found.height} pixels shown`);
}

function strip() {
  const [pen, width, height] = begin($("strip")), now = performance.now() / 1000;
  const values = past.flatMap((one) => LINES.map(([key]) => one[key])).filter((one) => one !== null);
  const low = 5 * Math.floor((Math.min(0, ...values) - 1) / 5), high = 5 * Math.ceil((Math.max(10, ...values) + 1) / 5);
  const left = 34, bottom = height - 18;
  const x = (at) => width - 4 - (now - at) / MINUTE_S * (width - left - 4);
  const y = (db) => 6 + (high - db) / (high - low) * (bottom - 6);
  pen.font = "11px system-ui, sans-serif";
  pen.fillStyle = color("--dim");
  pen.strokeStyle = color("--line");
  pen.lineWidth = 1;
  const step = high - low > 30 ? 10 : 5;
  for (let db = low; db <= high; db += step) {
    pen.beginPath(); pen.moveTo(left, y(db)); pen.lineTo(width, y(db)); pen.stroke();
    pen.textAlign = "right";
    pen.fillText(String(db), left - 6, y(db) + 4);
  }
  pen.textAlign = "center";
  for (let ago = 0; ago < MINUTE_S; ago += 15) pen.fillText(ago ? `-${ago} s` : "now", Math.min(x(now - ago), width - 14), height - 4);
  for (const [key, ink] of LINES) {
    pen.strokeStyle = color(ink);
    pen.lineWidth = key === "true" ? 1 : 2;
    pen.setLineDash(key === "set" ? [6, 4] : []);
    pen.beginPath();
    let going = false;
    for (const one of past) {
      if (one[key] === null || x(one.at) < left) { going = false; continue; }
      if (going) pen.lineTo(x(one.at), y(one[key])); else pen.moveTo(x(one.at), y(one[key]));
      going = true;
    }
    pen.stroke();
  }
  pen.setLineDash([]);
}

// -- what each process says

function remember(by) {
  const alive = (name, key) => { const found = by[name]; return found && !state(found)[2] ? found.view[key] ?? null : null; };
  past.push({
    at: performance.now() / 1000, set: alive("channel-emu", "snr_set_db"), true: alive("channel-emu", "snr_true_db"),
    estimated: alive("scrx", "snr_db"), acted: alive("sctx", "snr_db"),
  });
  while (past.length && performance.now() / 1000 - past[0].at > MINUTE_S) past.shift();
  const newest = past[past.length - 1];
  $("legend").replaceChildren(...LINES.map(([key, ink, words]) => {
    const item = make("li"), dash = make("i");
    dash.style.background = color(ink);
    item.append(dash, make("b", number(newest[key], 1)), words);
    return item;
  }));
}

let newest = "", newest_s = 0;
function since(answer) {  // nothing while answers come
  const now = performance.now() / 1000;
  if (answer !== newest) [newest, newest_s] = [answer, now];
  return now - newest_s > QUIET_S ? `no newer answer for ${number(now - newest_s, 0)} s` : "";
}

function transmitter(view) {
  picture(view.picture);
  if (view.picture) {
    text("name", view.answer || "no class");
    $("sure").value = view.confidence ?? 0;
    text("confidence", `${number(100 * view.confidence, 0)} % sure`);
    text("drawn", view.picture.height >= DRAWN_ON ? `${view.answer || "no class"} ${number(100 * view.confidence, 0)} %` : "");
    text("file", (view.file || "").split("/").pop());
    text("truth", view.label === null ? "" : view.label === view.answer ? "✓ that is its label" : `✗ its label is ${view.label}`);
    $("truth").style.color = color(view.label === view.answer ? "--good" : "--bad");
    text("symbols", String(view.symbols));
    text("latency", number(view.latency_ms, 1));
    text("since", since(`${view.session} ${view.seq}`));
  }
  constellation("sent", view.sent, "--set");
  const rates = view.rates;
  text("rate-now", view.rate_symbols === null ? "–" : String(view.rate_symbols));
  text("rate-most", `of at most ${rates[rates.length - 1]} symbols, ${view.policy}`);
  $("rates").replaceChildren(...rates.map((one) => make("span", String(one), one === view.rate_symbols ? "now" : "")));
  $("rates").setAttribute("aria-label", `rates ${rates.join(", ")}; now ${view.rate_symbols}`);
  text("saved", view.robust_uses_total ? `${number(100 * (1 - view.uses_total / view.robust_uses_total), 0)} %` : "–");
  const images = view.images_total;
  text("answered", String(images.answered));
  text("accuracy", view.images_labelled_total ? `, ${number(100 * view.images_correct_total / view.images_labelled_total, 1)} % right` : "");
  const naks = Object.entries(view.naks_total).map(([code, count]) => [`NAK ${code}`, count]);
  rows("losses", [...LOSSES.map((why) => [why, images[why]]), ["sent again", view.frames_resent_total], ...naks], true);
  const stages = STAGES.filter((one) => one in view.ledger_ms);
  const whole = stages.reduce((sum, one) => sum + view.ledger_ms[one], 0) || 1;
  $("stack").replaceChildren(...stages.map((one, k) => {
    const part = make("span");
    part.style.cssText = `width:${100 * view.ledger_ms[one] / whole}%;background:var(--s${k})`;
    return part;
  }));
  $("stack").setAttribute("aria-label", stages.map((one) => `${one} ${number(view.ledger_ms[one], 2)} ms`).join(", "));
  rows("stages", stages.map((one, k) => [one, number(view.ledger_ms[one], 2), color(`--s${k}`)]));
}

let taught_s = -1e9;
function taught(view, answers) {  // what the heads say of the picture that is shown; quicker ones than both are asked keep it
  const same = answers.find((one) => one.seq === view.seq && one.session === view.session), now = performance.now() / 1000;
  if (same) taught_s = now;
  if (same || now - taught_s > STALE_S) {
    text("heads", Object.entries(same ? same.heads : {}).map(([head, said]) => `${head}: ${sure(said)}`).join(", "));
  }
}

function receiver(view) {
  constellation("received", view.received, "--acted");
  constellation("equalised", view.equalised, "--estimated");
  const frames = view.frames_total;
  const sums = (found) => Object.values(found).reduce((sum, one) => sum + one, 0);
  rows("now", [
    ["transmitters", view.sessions], ["answered", frames.answered], ["expired", frames.expired], ["failed", frames.failed],
    ["waiting", view.queue_depth], ["unreadable messages", sums(view.protocol_errors_total)],
    ...(view.workers === null ? [] : [["workers ready", view.workers]]),
  ]);
  $("answers").replaceChildren(...view.answers.slice(0, 5).map((one) => make("li", `${one.session} #${one.seq}: ${sure(one)}${enrolled(one)}`)));
}

const sure = (one) => `${one.name ?? "unknown"} (${number(100 * one.confidence, 0)} %)`;
const enrolled = (one) => Object.entries(one.heads).map(([head, said]) => ` · ${head}: ${sure(said)}`).join("");

function emulator(view, allowed) {
  const odd = Object.entries(view.counts).filter(([name]) => !["data", "passed", "returned", "messages", "samples"].includes(name));
  text("described", [view.channel, ...odd.map(([name, count]) => `${name} ${count}`)].join(", "));
  const shown = offer("control", allowed);
  if (shown && performance.now() > moved + 2000) {
    $("snr-in").value = view.snr_set_db ?? 30;
    $("fading-in").value = view.fading;
    $("doppler-in").value = Math.log10(Math.max(view.doppler, 1e-6));
  }
  const silent = view.snr_set_db === null && performance.now() > moved + 2000;
  text("snr-out", silent ? "without noise" : `${number(Number($("snr-in").value), 1)} dB`);
  text("doppler-out", (10 ** Number($("doppler-in").value)).toExponential(1));
}

// -- control

function offer(id, allowed) {  // a form, or how to get it
  const shown = allowed && token() !== "";
  $(id).hidden = !shown;
  $(`no-${id}`).hidden = shown;
  return shown;
}

function token() {
  if (location.hash.length > 1) {
    sessionStorage.setItem("token", location.hash.slice(1));
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem("token") ?? "";
}

async function post(path, wanted) {  // what was answered; an error says why nothing was done
  const answer = await fetch(path, {
    method: "POST", body: JSON.stringify(wanted), signal: AbortSignal.timeout(4000),
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${token()}` },
  });
  if (answer.status === 401) {  // who serves this page was started again
    sessionStorage.removeItem("token");
    const words = `The token of this page is of an earlier start. Open the address that ${serves} printed last.`;
    text("no-control", words);
    text("no-enrol", words);
    throw new Error(words);
  }
  const said = answer.headers.get("Content-Type").startsWith("application/json") ? await answer.json() : { error: await answer.text() };
  if (said.error) throw new Error(said.error);
  return said;
}

let waiting = null, moved = -1e9, wanted = {};
function move(parameters) {  // all that was moved since the last time, together
  moved = performance.now();
  Object.assign(wanted, parameters);
  clearTimeout(waiting);
  waiting = setTimeout(async () => {
    const now = wanted;
    wanted = {};
    try {
      await post("control", now);
      text("said", "");
    } catch (error) {
      text("said", `not done: ${error.message}`);
    }
  }, 120);
}

let ticket = null;  // of the class that is being enrolled
async function enrol() {
  const name = $("enrol-name").value.trim(), say = (words) => text("enrol-said", words);
  const pictures = (count) => `${count} picture${count === 1 ? "" : "s"}`;
  try {
    if (ticket !== null) {
      const over = ticket;
      ticket = null;
      await post("enrol", { ticket: over, end: true });
      return;
    }
    const mine = ticket = (await post("enrol", { name, next: Number($("enrol-next").value), session: $("enrol-session").value.trim() })).ticket;
    $("enrol-go").textContent = "Give up";
    while (ticket === mine) {
      const found = await post("enrol", { ticket: mine });
      if (found.done) {
        say(`${name} is enrolled from ${pictures(found.of)}${found.without}`);
        break;
      }
      say(`${name}: ${found.have} of ${pictures(found.of)}${found.without}`);
      await new Promise((done) => setTimeout(done, ENROL_MS));
    }
    if (ticket !== mine) say(`given up: ${name} is not enrolled`);
  } catch (error) {
    say(`not done: ${error.message}`);
  }
  ticket = null;
  $("enrol-go").textContent = "Enrol";
}

function listen() {
  $("control").addEventListener("submit", (event) => event.preventDefault());
  $("enrol").addEventListener("submit", (event) => { event.preventDefault(); enrol(); });
  $("snr-in").addEventListener("input", () => move({ snr_db: Number($("snr-in").value) }));
  $("fading-in").addEventListener("change", () => move({ fading: $("fading-in").value }));
  $("doppler-in").addEventListener("input", () => move({ doppler: 10 ** Number($("doppler-in").value) }));
}

// -- the loop

async function turn() {
  let by = {}, lost = "";
  try {
    const answer = await fetch("live.json", { signal: AbortSignal.timeout(LIMIT_MS) });
    if (!answer.ok) throw new Error(await answer.text());
    const found = await answer.json();
    for (const one of found.processes) if (one.process) by[one.process] = one;
    const unknown = [...new Set(found.processes.filter((one) => !one.process && one.dead).map((one) => one.dead))].join(", ");
    const mine = found.processes[0];
    serves = mine.process;
    offer("enrol", found.enrol);
    document.title = `semlink live: ${serves}`;
    chips(by, "", unknown);
    remember(by);
    if (by.sctx && "rates" in by.sctx.view) transmitter(by.sctx.view);
    if (by.scrx && "received" in by.scrx.view) receiver(by.scrx.view);
    if (by.sctx && by.scrx && "answers" in by.scrx.view) taught(by.sctx.view, by.scrx.view.answers);
    if (by["channel-emu"] && "counts" in by["channel-emu"].view) emulator(by["channel-emu"].view, found.control && mine.process === "channel-emu");
  } catch (error) {
    lost = "the process that serves this page does not answer";
    chips(by, lost);
    remember(by);
  }
  strip();
  setTimeout(turn, document.hidden ? 5 * EVERY_MS : EVERY_MS);
}

addEventListener("DOMContentLoaded", () => { token(); listen(); turn(); });
