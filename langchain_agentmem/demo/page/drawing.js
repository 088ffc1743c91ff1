// How the map is drawn: all points on a canvas; the query, what it recalls, and their labels above it, as SVG.

import { byId, drawn } from "/dom.js";
import { labels } from "/labels.js";

const PAD = 30;
const GLIDE = 0.22; // of the way to where the query goes, per frame
const MOST_ZOOM = 24;
const HALOS = 2000; // more points are dense enough without
const HALO = 64; // its radius in pixels
const SPREAD = 300; // points that can be told apart
const ROOM = 19; // pixels for each of these
const WELCOMED = 20;
const BESIDE_QUERY = 36; // pixels between the query and what it recalls, and more by their distance
const FARTHER = 60;
const BESIDE = 16; // pixels between a point and what is told of it

export class Drawing {
  constructor(frame) {
    this.frame = frame;
    this.canvas = frame.querySelector("canvas");
    this.svg = frame.querySelector("svg");
    [this.joins, this.spots, this.names] = ["joins", "spots", "names"].map((name) => this.svg.appendChild(drawn("g", { class: name })));
    this.query = this.svg.appendChild(drawn("path", { class: "query-point", d: "M0-9 9 0 0 9-9 0Z" }));
    this.cursor = byId("map-cursor");
    this.spread = new Map(); // where each of a few points is, before any zoom
    this.reset();
    this.query.style.display = "none";
  }

  reset() {
    [this.points, this.near, this.recall, this.stands, this.view] = [[], [], null, null, { scale: 1, x: 0, y: 0 }];
    this.showPoints();
    this.showRecall(null, []);
  }

  // Where a point, or a place from 0 to 1, is on the screen.
  at({ id, x, y }) {
    const { scale, x: left, y: top } = this.view;
    const [across, down] = this.spread.get(id) ?? this.unzoomed(x, y);
    return [across * scale + left, down * scale + top];
  }
  unzoomed(x, y) {
    return [PAD + x * (this.width - 2 * PAD), PAD + y * (this.height - 2 * PAD)];
  }

  // Few points have room beside each other: one that would be on an older one goes beside it.
  spreadPoints() {
    this.spread.clear();
    if (this.points.length > SPREAD) return;
    const taken = [];
    for (const { id, x, y } of this.points.toReversed()) {
      const at = this.unzoomed(x, y);
      const near = taken.filter((other) => apart(other, at) < 4 * ROOM);
      let to = at;
      for (let turn = 1; turn < 60 && near.some((other) => apart(other, to) < ROOM); turn++) {
        const [angle, far] = [turn * 2.4, ROOM * 0.4 * Math.sqrt(turn)];
        to = [at[0] + far * Math.cos(angle), at[1] + far * Math.sin(angle)];
      }
      taken.push(to);
      this.spread.set(id, to);
    }
  }

  within(event) {
    const box = this.frame.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  // Asking an element for its size is not for free.
  measure() {
    [this.width, this.height] = [this.frame.clientWidth, this.frame.clientHeight];
    return this.width > 0;
  }

  resize() {
    if (!this.measure()) return;
    this.stands = null;
    this.showPoints();
    this.showRecall(this.recall, this.near);
  }

  // All points

  showPoints() {
    if (!this.measure()) return;
    const { canvas, width, height } = this;
    this.spreadPoints();
    const dense = devicePixelRatio || 1;
    [canvas.width, canvas.height] = [Math.round(width * dense), Math.round(height * dense)];
    const pen = canvas.getContext("2d");
    pen.scale(dense, dense);
    const many = this.points.length;
    const visible = this.points.map((point) => [point, ...this.at(point)]).filter(([, x, y]) => x > -HALO && y > -HALO && x < width + HALO && y < height + HALO);
    const byLook = grouped(visible);
    for (const [name, group] of byLook) {
      if (name === "replaced" || many > HALOS) continue;
      const halo = haloOf(colorOf(name));
      pen.globalAlpha = Math.min(0.16, 0.9 / Math.sqrt(many));
      for (const [, x, y] of group) pen.drawImage(halo, x - HALO, y - HALO, 2 * HALO, 2 * HALO);
    }
    const radius = (many <= 60 ? 5 : many <= 500 ? 3.6 : many <= 3000 ? 2.4 : 1.5) * Math.min(Math.sqrt(this.view.scale), 2.5);
    for (const [name, group] of byLook) {
      pen.globalAlpha = many <= 500 ? 0.8 : 0.55;
      pen.fillStyle = pen.strokeStyle = colorOf(name);
      pen.lineWidth = 1.5;
      pen.beginPath();
      for (const [, x, y] of group) {
        pen.moveTo(x + radius, y);
        pen.arc(x, y, radius, 0, 2 * Math.PI);
      }
      if (name === "replaced") pen.stroke();
      else pen.fill();
    }
  }

  // A ring around each that is new.
  welcome(points) {
    for (const point of points.slice(0, WELCOMED)) {
      const [cx, cy] = this.at(point);
      const ring = drawn("circle", { class: `born ${look(point)}`, cx, cy, r: 6 });
      ring.addEventListener("animationend", () => ring.remove());
      this.svg.prepend(ring);
      if (getComputedStyle(ring).animationName === "none") ring.remove();
    }
  }

  // The query, and what is near it; `near` has points with their `memory` and `rank`, best first.
  showRecall(recall, near) {
    [this.recall, this.near] = [recall, near];
    if (!this.measure()) return;
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    const joined = recall ? near.filter(({ memory }) => memory.recalled) : [];
    keyed(this.joins, joined, () => drawn("path", { class: "join", pathLength: 1 }), (line, { memory }) => {
      const strength = Math.min(Math.max(memory.score ?? 1 - memory.distance, 0), 1);
      line.style.strokeWidth = `${1 + 4 * strength}px`;
      line.style.strokeOpacity = String(0.35 + 0.6 * strength);
    });
    keyed(this.spots, recall ? near : [], spot, (group, one) => {
      group.setAttribute("class", `spot ${look(one)} ${one.memory.recalled ? "in" : "out"}`);
      group.setAttribute("transform", `translate(${this.at(one).map((value) => value.toFixed(1)).join(" ")})`);
      group.lastChild.textContent = one.memory.recalled ? one.rank : "";
    });
    this.query.style.display = recall ? "" : "none";
    this.aim = recall ? this.standing(recall.at, joined) : null;
    if (!recall) this.stands = null;
    else this.stands ??= this.aim;
    this.showNames(joined);
    this.glide();
  }

  // Where the query stands: where the map has it, but not on what it recalls; the farther, the less alike they are.
  standing([x, y], joined) {
    const there = this.at({ x, y });
    const recalled = joined.map((one) => ({ one, at: this.at(one) })).sort((one, other) => apart(one.at, there) - apart(other.at, there));
    const [beside] = recalled;
    const least = beside && BESIDE_QUERY + FARTHER * Math.min(beside.one.memory.distance ?? 1, 1);
    if (!beside || apart(beside.at, there) >= least) return there;
    const around = this.points.map((point) => this.at(point)).filter((at) => apart(at, beside.at) < 2 * least);
    const spots = Array.from({ length: 24 }, (_, step) => {
      const angle = (step * Math.PI) / 12;
      return [beside.at[0] + least * Math.cos(angle), beside.at[1] + least * Math.sin(angle)];
    }).filter(([left, top]) => left > PAD && top > PAD && left < this.width - PAD && top < this.height - PAD);
    const free = (spot, from) => Math.min(...from.map((at) => apart(at, spot)), least);
    const room = (spot) => free(spot, around) + free(spot, recalled.map(({ at }) => at)) - 0.2 * apart(spot, there);
    return spots.sort((one, other) => room(other) - room(one))[0] ?? there;
  }

  showNames(joined) {
    const ids = new Set(this.near.map(({ id }) => id));
    const others = [...(this.recall ? this.near.filter((one) => !joined.includes(one)) : []), ...this.points.filter(({ id }) => !this.recall || !ids.has(id)).slice(0, 12)];
    const placed = (one) => ({ id: one.id, at: this.at(one), text: one.memory?.text ?? one.text ?? "" });
    const query = this.aim && { id: "query", at: this.aim, text: `“${this.recall.query}”` };
    const made = labels(this.width, this.height, query, joined.map(placed), this.points.length <= 60 ? others.map(placed) : []);
    this.names.replaceChildren(
      ...made.map(({ id, look: name, x, y, anchor, text }) => drawn("text", { class: `name ${name}`, "data-id": id, x, y, "text-anchor": anchor }, text)),
    );
  }

  // The query goes to its place, and its joins with it.
  glide() {
    cancelAnimationFrame(this.gliding);
    if (!this.stands || !this.aim) return;
    const [dx, dy] = [this.aim[0] - this.stands[0], this.aim[1] - this.stands[1]];
    const there = Math.hypot(dx, dy) < 0.5 || matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.stands = there ? this.aim : [this.stands[0] + dx * GLIDE, this.stands[1] + dy * GLIDE];
    const [x, y] = this.stands.map((value) => value.toFixed(1));
    this.query.setAttribute("transform", `translate(${x} ${y})`);
    for (const line of this.joins.children) {
      const [toX, toY] = this.at(this.near.find(({ id }) => id === line.dataset.id)).map((value) => value.toFixed(1));
      line.setAttribute("d", `M${x} ${y}L${toX} ${toY}`);
    }
    if (!there) this.gliding = requestAnimationFrame(() => this.glide());
  }

  // Finding, moving

  nearest(x, y, reach) {
    let [found, least] = [null, reach];
    for (const point of this.points) {
      const [left, top] = this.at(point);
      const distance = Math.hypot(left - x, top - y);
      if (distance < least) [found, least] = [point, distance];
    }
    return found;
  }

  // The next point in a direction: rather straight on than near.
  next(from, right, down) {
    const [x, y] = this.at(from);
    let [found, least] = [null, Infinity];
    for (const point of this.points) {
      const [left, top] = this.at(point);
      const ahead = (left - x) * right + (top - y) * down;
      const aside = Math.abs((left - x) * down) + Math.abs((top - y) * right);
      if (ahead > 0.5 && ahead + 2 * aside < least) [found, least] = [point, ahead + 2 * aside];
    }
    return found;
  }

  point(one) {
    if (!one) return;
    const [x, y] = this.at(one);
    Object.assign(this.cursor.style, { left: `${x}px`, top: `${y}px` });
  }

  // Puts what is told of a point beside it, where it covers the least of what is recalled.
  beside(one, tip) {
    const [x, y] = this.at(one);
    const { offsetWidth: width, offsetHeight: height } = tip;
    const within = (value, most) => Math.max(Math.min(value, most - 4), 4);
    const shown = [...(this.aim ? [this.aim] : []), ...this.near.filter(({ memory }) => memory.recalled).map((near) => this.at(near))];
    const [best] = [[x - width / 2, y - height - BESIDE], [x - width / 2, y + BESIDE], [x + BESIDE, y - height / 2], [x - width - BESIDE, y - height / 2]]
      .map(([left, top]) => [within(left, this.width - width), within(top, this.height - height)])
      .map(([left, top]) => ({ left, top, covers: shown.concat([[x, y]]).filter(([a, b]) => a > left - 8 && a < left + width + 8 && b > top - 8 && b < top + height + 8).length }))
      .sort((first, second) => first.covers - second.covers);
    Object.assign(tip.style, { left: `${best.left}px`, top: `${best.top}px` });
  }

  zoom(by, x = this.width / 2, y = this.height / 2) {
    const { view } = this;
    const scale = Math.min(Math.max(view.scale * by, 1), MOST_ZOOM);
    const ratio = scale / view.scale;
    this.view = { scale, x: x - (x - view.x) * ratio, y: y - (y - view.y) * ratio };
    this.pan(0, 0);
  }

  pan(dx, dy) {
    const { view, width, height } = this;
    view.x = Math.min(Math.max(view.x + dx, width * (1 - view.scale)), 0);
    view.y = Math.min(Math.max(view.y + dy, height * (1 - view.scale)), 0);
    this.resize();
  }

  // Moves a zoomed map until a point can be seen.
  reveal(one) {
    const [x, y] = this.at(one);
    if (x >= 0 && y >= 0 && x <= this.width && y <= this.height) return;
    this.pan(this.width / 2 - x, this.height / 2 - y);
  }
}

export function look({ kind, superseded_by }) {
  if (superseded_by) return "replaced";
  return ["semantic", "episodic"].includes(kind) ? kind : "other";
}

const apart = ([x, y], [toX, toY]) => Math.hypot(toX - x, toY - y);

// A colour as the style sheet and the theme have it.
const colorOf = (name) => getComputedStyle(byId("map-legend").querySelector(`.dot.${name}`)).color;

function haloOf(color) {
  const made = document.createElement("canvas");
  made.width = made.height = 2 * HALO;
  const pen = made.getContext("2d");
  const fade = pen.createRadialGradient(HALO, HALO, 0, HALO, HALO, HALO);
  fade.addColorStop(0, color);
  fade.addColorStop(1, color.replace("rgb(", "rgba(").replace(")", ", 0)"));
  pen.fillStyle = fade;
  pen.fillRect(0, 0, 2 * HALO, 2 * HALO);
  return made;
}

function grouped(visible) {
  const groups = new Map();
  for (const one of visible) {
    const name = look(one[0]);
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(one);
  }
  return groups;
}

function spot() {
  const group = drawn("g", {});
  group.append(drawn("circle", { r: 9 }), drawn("text", {}));
  return group;
}

// Brings the children of a group in line with a list, by id, so that those that stay can change softly.
function keyed(group, list, make, update) {
  const had = new Map([...group.children].map((child) => [child.dataset.id, child]));
  const now = list.map((one) => {
    const child = had.get(one.id) ?? make(one);
    child.dataset.id = one.id;
    update(child, one);
    return child;
  });
  for (const [id, child] of had) if (!list.some((one) => one.id === id)) child.remove();
  for (const child of now) if (!child.parentNode) group.append(child);
}
