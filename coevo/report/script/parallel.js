// Parallel coordinates: a line a design, an axis a choice, the objectives on the right.
const NOT_ASKED = "not asked", GAP = 92, TOP = 84, FOOT = 16, TALL = 440, MOST_LINES = 4000;

// An axis: each row's place on it (0 below to 1 above) and its labels.
function choiceAxis(c, rows) {
  const column = D.answers.columns[c], absent = rows.some((row) => answer(c, row) === undefined);
  const floor = absent ? 0.14 : 0, labels = absent ? [[0, NOT_ASKED]] : [];
  if (column.values.length > 8 && column.values.every((value) => typeof value === "number")) return { name: column.name, c, labels, ...numericAxis(rows.map((row) => answer(c, row)), floor, labels) };
  const order = column.values.map((value, code) => [value, code]).sort(([a], [b]) => (typeof a === "number" && typeof b === "number" ? a - b : shown(a).localeCompare(shown(b), undefined, { numeric: true })));
  const step = order.length > 1 ? (1 - floor) / (order.length - 1) : 0, heights = new Array(order.length);
  const every = Math.max(1, Math.ceil(order.length / 20));
  order.forEach(([value, code], at) => {
    heights[code] = order.length > 1 ? floor + at * step : floor + (1 - floor) / 2;
    if (at % every === 0) labels.push([heights[code], short(shown(value), 14)]);
  });
  const places = rows.map((row) => { const at = place(row), code = column.codes[at]; return code < 0 ? 0 : heights[code]; });
  return { name: column.name, c, labels, places };
}
function numericAxis(values, floor, labels) {
  const known = values.filter((value) => typeof value === "number");
  const low = known.reduce((a, b) => Math.min(a, b), Infinity), high = known.reduce((a, b) => Math.max(a, b), -Infinity);
  const log = low > 0 && high / low > 50, f = log ? Math.log10 : (value) => value, span = f(high) - f(low) || 1;
  const to = (value) => floor + (1 - floor) * ((f(value) - f(low)) / span);
  for (const tick of ticks(low, high, 5, log)) labels.push([high > low ? to(tick) : floor + (1 - floor) / 2, tickText(tick)]);
  return { places: values.map((value) => (typeof value !== "number" ? 0 : high > low ? to(value) : floor + (1 - floor) / 2)) };
}

function drawParallel() {
  const target = $("parallel-plot");
  if (!target) return;
  const usable = D.parallel.columns, visible = new Set(D.parallel.shown), brushes = new Map();
  let everything = false, axes = [], rows = [], total = 0, order = null, width = 0, hovered = -1, held = null;
  const canvas = make("canvas", { role: "img" }), note = make("span", { id: "parallel-count", class: "soft" });
  target.append(canvas);
  const X = (at) => 62 + (at * (width - 62 - 84)) / Math.max(axes.length - 1, 1), Y = (share) => TALL - FOOT - share * (TALL - FOOT - TOP);
  const passes = (at) => axes.every((axis) => { const own = brushes.get(axis.name); return !own || (axis.places[at] >= own[0] && axis.places[at] <= own[1]); });
  const collect = () => {
    rows = matching.filter((row) => (T.state[row] === FRONT || (everything && T.state[row] === DOMINATED)) && place(row) !== undefined);
    total = rows.length;
    const every = Math.ceil(total / MOST_LINES);
    if (every > 1) rows = rows.filter((_, at) => at % every === 0);
    axes = usable.filter((c) => visible.has(c)).map((c) => choiceAxis(c, rows));
    for (const objective of D.objectives) {
      const labels = [];
      axes.push({ name: objective.metric, goal: objective.direction, labels, ...numericAxis(rows.map((row) => metric(objective.metric)[row]), 0, labels) });
    }
    if (order) axes.sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
  };
  const draw = () => {
    width = Math.max(target.parentElement.clientWidth, axes.length * GAP);
    const scale = window.devicePixelRatio || 1, c = canvas.getContext("2d");
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(TALL * scale);
    Object.assign(canvas.style, { width: `${width}px`, height: `${TALL}px` });
    c.setTransform(scale, 0, 0, scale, 0, 0);
    c.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    canvas.setAttribute("aria-label", `${rows.length} designs over ${axes.length} axes`);
    const first = axes.find((axis) => axis.name === D.objectives[0].metric), best = D.objectives[0].direction === "max";
    const line = (at) => { c.beginPath(); axes.forEach((axis, k) => (k ? c.lineTo(X(k), Y(axis.places[at])) : c.moveTo(X(k), Y(axis.places[at])))); c.stroke(); };
    c.lineWidth = 1;
    c.globalAlpha = Math.min(0.7, Math.max(0.06, 60 / rows.length));
    c.strokeStyle = colour("line");
    const live = [];
    for (let at = 0; at < rows.length; at++) { if (passes(at)) live.push(at); else if (brushes.size) line(at); }
    c.globalAlpha = Math.min(0.85, Math.max(0.08, 90 / Math.max(live.length, 1)));
    c.lineWidth = 1.3;
    for (const at of live) { const share = first.places[at]; c.strokeStyle = onScale(best ? 1 - share : share); line(at); }
    c.globalAlpha = 1;
    if (hovered >= 0) { c.strokeStyle = colour("ink"); c.lineWidth = 2.5; line(hovered); }
    axes.forEach((axis, k) => {
      const x = X(k);
      c.strokeStyle = colour("soft");
      c.lineWidth = 1;
      c.beginPath();
      c.moveTo(x + 0.5, Y(0));
      c.lineTo(x + 0.5, Y(1));
      c.stroke();
      const own = brushes.get(axis.name);
      if (own) { c.fillStyle = colour("veil"); c.fillRect(x - 9, Y(own[1]), 18, Y(own[0]) - Y(own[1])); c.strokeStyle = colour("accent"); c.strokeRect(x - 9, Y(own[1]), 18, Y(own[0]) - Y(own[1])); }
      c.textBaseline = "middle";
      c.textAlign = "right";
      for (const [share, text] of axis.labels) {
        const wide = c.measureText(text).width;
        c.fillStyle = colour("cover");
        c.fillRect(x - 10 - wide, Y(share) - 7, wide + 4, 14);
        c.fillStyle = colour("soft");
        c.fillText(text, x - 8, Y(share));
      }
      c.save();
      c.translate(x, TOP - 14);
      c.rotate(-0.32);
      c.textAlign = "left";
      c.fillStyle = colour(axis.goal ? "accent" : "ink");
      c.fillText(short(axis.goal ? `${axis.name} (${axis.goal})` : axis.name, 20), -14, 0);
      c.restore();
    });
    note.textContent = `${grouped(live.length)} of ${grouped(total)} designs${rows.length < total ? `, ${grouped(rows.length)} of them drawn, evenly thinned` : ""}`;
  };
  const redraw = () => { collect(); hovered = -1; draw(); };
  const spot = (event) => { const box = canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top; return { x, y, share: (TALL - FOOT - y) / (TALL - FOOT - TOP), axis: axes.findIndex((_, k) => Math.abs(X(k) - x) < 13) }; };
  canvas.addEventListener("pointerdown", (event) => {
    const at = spot(event);
    if (event.button || event.pointerType !== "mouse") return;
    if (at.y < TOP - 6) { const k = axes.findIndex((_, n) => at.x > X(n) - 20 && at.x < X(n) + GAP - 25); held = k < 0 ? null : { move: axes[k].name }; } else if (at.axis >= 0) held = { brush: axes[at.axis].name, from: at.share };
    if (held) canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const at = spot(event);
    if (held && held.brush) { brushes.set(held.brush, [Math.min(held.from, at.share) - 0.01, Math.max(held.from, at.share) + 0.01]); held.moved = Math.abs(at.share - held.from) > 0.015; draw(); return; }
    if (held) {
      const names = axes.map((axis) => axis.name).filter((name) => name !== held.move);
      names.splice(Math.max(0, Math.min(names.length, Math.round(((at.x - X(0)) / (X(1) - X(0) || 1))))), 0, held.move);
      if (names.join() !== axes.map((axis) => axis.name).join()) { order = names; axes.sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name)); draw(); }
      return;
    }
    let best = -1, nearest = 7;
    const k = axes.findIndex((_, n) => n + 1 < axes.length && at.x >= X(n) && at.x <= X(n + 1));
    if (k >= 0 && at.y > TOP - 6) {
      const part = (at.x - X(k)) / (X(k + 1) - X(k));
      for (let n = 0; n < rows.length; n++) {
        const far = Math.abs(Y(axes[k].places[n] * (1 - part) + axes[k + 1].places[n] * part) - at.y);
        if (far < nearest && passes(n)) { nearest = far; best = n; }
      }
    }
    tell(event, best < 0 ? null : about(rows[best]));
    canvas.style.cursor = at.y < TOP - 6 ? "grab" : at.axis >= 0 ? "ns-resize" : best >= 0 ? "pointer" : "default";
    if (best !== hovered) { hovered = best; draw(); }
  });
  canvas.addEventListener("pointerup", () => { if (held && held.brush && !held.moved) brushes.delete(held.brush); const was = held; held = null; if (was) draw(); });
  canvas.addEventListener("pointerleave", () => { tell(null, null); if (hovered >= 0) { hovered = -1; draw(); } });
  canvas.addEventListener("click", (event) => { if (spot(event).axis < 0 && hovered >= 0) openDetail(rows[hovered]); });
  const toggle = make("button", { type: "button", "aria-pressed": "false", onclick: () => { everything = !everything; toggle.setAttribute("aria-pressed", String(everything)); redraw(); } }, "with dominated designs");
  const free = make("button", { type: "button", onclick: () => { brushes.clear(); draw(); } }, "let all ranges go");
  $("parallel-controls").append(toggle, free, note);
  for (const c of usable) {
    const box = make("input", { type: "checkbox", onchange: () => { if (box.checked) visible.add(c); else visible.delete(c); redraw(); } });
    box.checked = visible.has(c);
    $("parallel-picks").append(make("label", {}, box, ` ${D.answers.columns[c].name}`));
  }
  onFilter(redraw);
  new ResizeObserver(() => { if (Math.abs(Math.max(target.parentElement.clientWidth, axes.length * GAP) - width) > 1) draw(); }).observe(target.parentElement);
  charts.push({ draw });
}
