// Elements, and how numbers and times read. Whatever somebody wrote becomes text (textContent), never markup.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "class") made.className = value;
    else if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

export function drawn(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// Somebody's words, in the direction that they are written in.
export function words(name, properties, text) {
  return element(name, { dir: "auto", ...properties }, text);
}

// A duration in its two largest units: "6 d 23 h".
export function span(seconds) {
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  let left = Math.max(Math.floor(seconds), 0);
  const at = Math.max(units.findIndex(([, size]) => left >= size), 0);
  if (!left) return "0 s";
  return units
    .slice(at, at + 2)
    .map(([unit, size]) => {
      const whole = Math.floor(left / size);
      left %= size;
      return whole ? `${whole} ${unit}` : "";
    })
    .filter(Boolean)
    .join(" ");
}

export function milliseconds(value) {
  if (value === null || value === undefined) return "–";
  return `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ms`;
}

export function counted(number, noun) {
  const plural = noun.endsWith("y") ? `${noun.slice(0, -1)}ies` : `${noun}s`;
  return `${number.toLocaleString("en")} ${number === 1 ? noun : plural}`;
}

// The time of epoch seconds, or null for what is no time, whoever wrote it.
export function dated(seconds) {
  const when = new Date((seconds ?? NaN) * 1000);
  return Number.isNaN(when.getTime()) ? null : when;
}

export function kindBadge(kind) {
  return element("span", { class: `kind ${["semantic", "episodic"].includes(kind) ? kind : ""}` }, kind);
}
