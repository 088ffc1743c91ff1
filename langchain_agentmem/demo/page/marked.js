// Words in a text, marked: text nodes and <mark> elements, whatever somebody wrote.

import { element } from "/dom.js";

const segments = new Intl.Segmenter(undefined, { granularity: "word" });
const LEAST = 4; // letters that two forms of a word have in common
const ENDING = 3; // letters by which they may differ

function alike(one, other) {
  if (one === other) return true;
  let same = 0;
  while (same < one.length && one[same] === other[same]) same++;
  return same >= LEAST && Math.max(one.length, other.length) - same <= ENDING;
}

// Returns the children that show a text with the words marked that are among these, in whatever form.
export function marked(text, among) {
  const sought = among.map((word) => word.toLowerCase());
  if (!sought.length) return [text];
  const made = [""];
  for (const { segment, isWordLike } of segments.segment(text)) {
    const found = isWordLike && sought.some((word) => alike(word, segment.toLowerCase()));
    if (found) made.push(element("mark", {}, segment), "");
    else made[made.length - 1] += segment;
  }
  return made.filter((part) => part !== "");
}
