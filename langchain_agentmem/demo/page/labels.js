// Where the labels of the map go: beside their points, on no other label, point, or join.

const HEIGHT = 15;
const FROM_POINT = 14;
const EDGE = 4;
const LENGTHS = [34, 22, 14]; // characters; the most that fits is shown

const pen = document.createElement("canvas").getContext("2d");

// Returns what is drawn: {id, look, x, y, anchor, text}. What has no room has no label.
export function labels(width, height, query, recalled, others) {
  const taken = [...(query ? [query] : []), ...recalled, ...others].map(({ at: [x, y] }) => box(x - 9, y - 9, 18, 18));
  const joins = query ? recalled.flatMap(({ at }) => along(query.at, at)) : [];
  const made = [];
  const add = (one, look, lengths) => {
    const label = fitting(one, look, lengths, { width, height, taken, joins, away: query?.at });
    if (!label) return;
    taken.push(label.box);
    made.push(label);
  };
  for (const one of recalled) add(one, "in", LENGTHS);
  if (query) add(query, "asked", LENGTHS);
  for (const one of others) add(one, "out", LENGTHS.slice(0, 2));
  return made;
}

function fitting(one, look, lengths, room) {
  const found = first(one, look, lengths, room);
  return found || look === "out" ? found : first(one, look, lengths, { ...room, joins: [] }); // better across a join than none
}

function first({ id, at: [x, y], text }, look, lengths, { width, height, taken, joins, away }) {
  for (const length of lengths) {
    const shown = shortened(text, length);
    pen.font = look === "out" ? "11px system-ui, sans-serif" : "600 12px system-ui, sans-serif";
    const wide = pen.measureText(shown).width + 4;
    const places = [
      { anchor: "start", x: x + FROM_POINT, y: y + 4, left: x + FROM_POINT },
      { anchor: "end", x: x - FROM_POINT, y: y + 4, left: x - FROM_POINT - wide },
      { anchor: "middle", x, y: y - FROM_POINT, left: x - wide / 2 },
      { anchor: "middle", x, y: y + FROM_POINT + 9, left: x - wide / 2 },
      ...[-FROM_POINT, FROM_POINT + 9].flatMap((down) => [
        { anchor: "start", x: x - 6, y: y + down, left: x - 6 },
        { anchor: "end", x: x + 6, y: y + down, left: x + 6 - wide },
      ]),
    ];
    if (away && away[0] > x) [places[0], places[1]] = [places[1], places[0]];
    for (const { anchor, left, ...place } of places) {
      const around = box(left, place.y - 12, wide, HEIGHT);
      const inside = around.left >= EDGE && around.top >= EDGE && around.right <= width - EDGE && around.bottom <= height - EDGE;
      if (!inside || taken.some((other) => overlaps(other, around))) continue;
      if (joins.some(([left, top]) => overlaps(around, box(left, top, 0, 0)))) continue;
      return { id, look, anchor, ...place, text: shown, box: around };
    }
  }
  return null;
}

function shortened(text, length) {
  const characters = [...text.replace(/\s+/g, " ")];
  return characters.length <= length ? characters.join("") : `${characters.slice(0, length - 1).join("").trimEnd()}…`;
}

const box = (left, top, width, height) => ({ left, top, right: left + width, bottom: top + height });
const overlaps = (one, other) => one.left <= other.right && other.left <= one.right && one.top <= other.bottom && other.top <= one.bottom;

function along([x, y], [toX, toY]) {
  const steps = Math.ceil(Math.hypot(toX - x, toY - y) / 8);
  return Array.from({ length: steps }, (_, at) => [x + ((toX - x) * at) / steps, y + ((toY - y) * at) / steps]);
}
