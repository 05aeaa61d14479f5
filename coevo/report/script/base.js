// What all parts share: the run's columns, how values are spelled, elements, colours. Text from the run reaches the
// page through textContent alone.
let D, T, count, rowOf, answerPlace, answerColumn;
const KEY = 32, FRONT = 0, DOMINATED = 1, INFEASIBLE = 2, FAILED = 3, HELD = 4;
const $ = (id) => document.getElementById(id);
const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node[name] = value;
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
};

async function load() {
  if (!("DecompressionStream" in window)) throw new Error("this browser is too old for the report: it lacks DecompressionStream (Chrome 80, Firefox 113, Safari 16.4)");
  const text = atob($("data").textContent), bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  D = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).json();
  T = D.trials;
  count = T.index.length;
  rowOf = new Map(T.index.map((index, row) => [index, row]));
  answerPlace = D.answers.rows === null ? null : new Map(D.answers.rows.map((row, place) => [row, place]));
  answerColumn = new Map(D.answers.columns.map((column, at) => [column.name, at]));
}

// ---- the run
const keyOf = (row) => T.key.slice(row * KEY, (row + 1) * KEY);
const metric = (name) => T.metrics[name] || [];
const unitOf = (name) => (D.metrics.find((each) => each.name === name) || { unit: "" }).unit;
const titled = (name) => (unitOf(name) ? `${name} [${unitOf(name)}]` : name);
const stateOf = (row) => D.states[T.state[row]];
const place = (row) => (answerPlace === null ? row : answerPlace.get(row));
// An answer is undefined where the design was not asked, or where its answers are left out of the page.
const answer = (c, row) => {
  const at = place(row);
  if (at === undefined) return undefined;
  const code = D.answers.columns[c].codes[at];
  return code < 0 ? undefined : D.answers.columns[c].values[code];
};
const answersOf = (row) => {
  const found = [];
  D.answers.columns.forEach((column, c) => {
    const value = column.derived ? undefined : answer(c, row);
    if (value !== undefined) found.push([column.name, value]);
  });
  return found;
};
const parentsOf = (row) => [T.parents[0][row], T.parents[1][row]].filter((parent) => parent >= 0);
const cameFrom = (row) => {
  const parents = parentsOf(row);
  return D.origins[T.origin[row]] + (parents.length ? ` of ${parents.map((parent) => `#${parent}`).join(" and ")}` : "");
};

// ---- words
const short = (text, limit) => (text.length > limit ? text.slice(0, limit - 1) + "…" : text);
const shown = (value) => (typeof value === "string" ? value : JSON.stringify(value));
const number = (value) => {
  if (value === null || value === undefined) return "–";
  if (Number.isInteger(value) && Math.abs(value) < 1e9) return String(value);
  return String(Number(value.toPrecision(5)));
};
const grouped = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, ",");
const measured = (name, row) => `${number(metric(name)[row])} ${unitOf(name)}`.trim();

// ---- colours, read where they are used: the theme may change
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const SCALE = [[0, 43, 87, 196], [0.33, 34, 160, 150], [0.66, 232, 170, 62], [1, 214, 69, 92]];
const onScale = (share, alpha = 1) => {
  const at = Math.min(Math.max(share, 0), 1);
  let k = 1;
  while (k < SCALE.length - 1 && SCALE[k][0] < at) k++;
  const [from, to] = [SCALE[k - 1], SCALE[k]], part = (at - from[0]) / (to[0] - from[0]);
  return `rgba(${[1, 2, 3].map((i) => Math.round(from[i] + part * (to[i] - from[i]))).join(",")},${alpha})`;
};

// ---- the little box beside the pointer
function tell(event, lines) {
  const tip = $("tip");
  if (!lines) { tip.hidden = true; return; }
  tip.replaceChildren(...lines.map(([text, kind]) => make("div", { class: kind || null }, text)));
  tip.hidden = false;
  const box = tip.getBoundingClientRect(), gap = 14;
  const x = event.clientX + gap + box.width > innerWidth ? event.clientX - gap - box.width : event.clientX + gap;
  tip.style.left = `${Math.max(4, x)}px`;
  tip.style.top = `${Math.max(4, Math.min(event.clientY + gap, innerHeight - box.height - 4))}px`;
}
const about = (row) => {
  const lines = [[`#${T.index[row]} ${keyOf(row).slice(0, 12)}`, "strong"], [`${stateOf(row)} · ${cameFrom(row)}`, "soft"]];
  for (const objective of D.objectives) lines.push([`${objective.metric} = ${measured(objective.metric, row)}`]);
  const answers = answersOf(row);
  for (const [name, value] of answers.slice(0, 12)) lines.push([`${short(name, 28)}: ${short(shown(value), 36)}`, "soft"]);
  if (answers.length > 12) lines.push([`… ${answers.length - 12} more: click`, "soft"]);
  return lines;
};
