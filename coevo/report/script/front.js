// The designs by their objectives. One objective: each design as it was asked. Two: the front as stairs. More: two axes
// and a colour, each of which may be any metric.
const ASKED = "asked";
const LOOK = {
  [HELD]: { name: "not promoted", colour: "violet", size: 2.2, many: 0.35, few: 0.6 },
  [INFEASIBLE]: { name: "infeasible", colour: "amber", size: 2.6, many: 0.35, few: 0.6, ring: true },
  [DOMINATED]: { name: "dominated", colour: "grey", size: 2.6, many: 0.35, few: 0.7 },
  [FRONT]: { name: "front", colour: "accent", size: 5, many: 1, few: 1 },
};
const ORDER = [HELD, INFEASIBLE, DOMINATED, FRONT];

function drawFront() {
  const target = $("front-plot");
  if (!target) return;
  const goals = D.objectives.map((objective) => objective.metric), single = goals.length === 1;
  const names = D.metrics.map((each) => each.name).filter((name) => metric(name).some((value) => value !== null));
  const picked = single ? { x: ASKED, y: goals[0], colour: "" } : { x: goals[0], y: goals[1], colour: goals.length > 2 ? goals[2] : "" };
  const visible = new Set(ORDER.filter((state) => state !== HELD || !T.state.some((own) => own === FRONT || own === DOMINATED)));
  let outliers = false, drawn = [];
  const valuesOf = (name) => (name === ASKED ? T.index : metric(name));
  const collect = () => {
    const xs = valuesOf(picked.x), ys = valuesOf(picked.y);
    drawn = matching.filter((row) => visible.has(T.state[row]) && typeof xs[row] === "number" && typeof ys[row] === "number");
  };
  // All of the front and the bulk of the rest: a few designs that are far off must not squash the picture.
  const axis = (name) => {
    const values = valuesOf(name), all = drawn.map((row) => values[row]).sort((a, b) => a - b);
    if (!all.length) return { label: titled(name), low: 0, high: 1, log: false };
    if (name === ASKED) return { label: "design, as asked", low: 0, high: Math.max(all[all.length - 1], 1), log: false };
    const front = drawn.filter((row) => T.state[row] === FRONT).map((row) => values[row]);
    const share = outliers ? 0 : 0.02, at = (part) => all[Math.min(all.length - 1, Math.floor(part * all.length))];
    const low = front.reduce((a, b) => Math.min(a, b), at(share)), high = front.reduce((a, b) => Math.max(a, b), at(1 - share));
    const log = low > 0 && high / low > 200, [from, to] = padded(low, high, log);
    return { label: titled(name), low: from, high: to, log };
  };
  let axes = null;
  const chart = new Chart(target, {
    settings: () => ({ ...axes, label: `${drawn.length} designs: ${titled(picked.y)} over ${titled(picked.x)}` }),
    draw: (c, px, py, box) => {
      const xs = valuesOf(picked.x), ys = valuesOf(picked.y), many = drawn.length > 3000;
      const shade = picked.colour ? valuesOf(picked.colour) : null, [low, high] = shade ? extremes(drawn, shade) : [0, 1];
      const goal = D.objectives.find((each) => each.metric === picked.colour), turned = goal && goal.direction === "max";
      for (const state of ORDER) {
        const look = LOOK[state], size = many && state !== FRONT ? look.size * 0.7 : look.size;
        if (state === FRONT) stairs(c, px, py, box);
        c.globalAlpha = many ? look.many : look.few;
        c.fillStyle = c.strokeStyle = colour(look.colour);
        c.lineWidth = 1.2;
        for (const row of drawn) {
          if (T.state[row] !== state) continue;
          const x = px(xs[row]), y = py(ys[row]);
          if (shade && !look.ring) { const part = (shade[row] - low) / (high - low || 1); c.fillStyle = onScale(turned ? 1 - part : part); }
          if (state === FRONT) { c.beginPath(); c.arc(x, y, size, 0, 7); c.fill(); c.save(); c.strokeStyle = colour("paper"); c.stroke(); c.restore(); }
          else if (look.ring && !many) { c.beginPath(); c.arc(x, y, size, 0, 7); c.stroke(); }
          else c.fillRect(x - size / 2 - 0.5, y - size / 2 - 0.5, size + 1, size + 1);
        }
        c.globalAlpha = 1;
      }
    },
    under: (mx, my) => {
      const xs = valuesOf(picked.x), ys = valuesOf(picked.y);
      let best = -1, nearest = 144;
      for (const row of drawn) {
        const dx = chart.px(xs[row]) - mx, dy = chart.py(ys[row]) - my, far = dx * dx + dy * dy - (T.state[row] === FRONT ? 20 : 0);
        if (far < nearest) { nearest = far; best = row; }
      }
      return best < 0 ? null : { lines: about(best), at: [chart.px(xs[best]), chart.py(ys[best])], open: () => openDetail(best) };
    },
  });
  // What the front dominates is bounded by stairs; with one objective, the best so far.
  function stairs(c, px, py, box) {
    const xs = valuesOf(picked.x), ys = valuesOf(picked.y);
    const goalOf = (name) => (D.objectives.find((each) => each.metric === name) || {}).direction;
    let line;
    if (single) {
      const better = goalOf(picked.y) === "max" ? (a, b) => a > b : (a, b) => a < b;
      line = [];
      for (let row = 0; row < count; row++) {
        if (T.state[row] > DOMINATED) continue;
        if (!line.length || better(ys[row], ys[line[line.length - 1]])) line.push(row);
      }
    } else if (goals.length === 2 && goalOf(picked.x) && goalOf(picked.y) && picked.x !== picked.y) {
      line = [];
      for (let row = 0; row < count; row++) if (T.state[row] === FRONT) line.push(row);
      line.sort((a, b) => xs[a] - xs[b]);
    } else return;
    if (!line.length) return;
    const flatFirst = single || goalOf(picked.x) === "min";
    c.strokeStyle = colour("accent");
    c.lineWidth = 1.5;
    c.globalAlpha = 0.75;
    c.beginPath();
    line.forEach((row, at) => {
      const x = px(xs[row]), y = py(ys[row]);
      if (!at) c.moveTo(x, y);
      else { const before = line[at - 1]; if (flatFirst) c.lineTo(x, py(ys[before])); else c.lineTo(px(xs[before]), y); c.lineTo(x, y); }
    });
    if (single) c.lineTo(box.right, py(ys[line[line.length - 1]]));
    c.stroke();
    c.globalAlpha = 1;
  }
  const redraw = (keep) => { collect(); if (!keep) { axes = { x: axis(picked.x), y: axis(picked.y) }; chart.range = null; } chart.draw(); };
  const controls = $("front-controls");
  for (const state of ORDER.slice().reverse()) {
    const own = T.state.reduce((sum, each) => sum + (each === state), 0);
    if (!own) continue;
    const button = make("button", { type: "button", class: "legend", "aria-pressed": String(visible.has(state)), onclick: () => {
      if (visible.has(state)) visible.delete(state); else visible.add(state);
      button.setAttribute("aria-pressed", String(visible.has(state)));
      redraw();
    } }, make("i", { class: `dot ${D.states[state].replace(" ", "-")}` }), `${LOOK[state].name} (${grouped(own)})`);
    controls.append(button);
  }
  if (!single && names.length > 2) {
    for (const which of ["x", "y", "colour"]) {
      const select = make("select", { "aria-label": which, onchange: (event) => { picked[which] = event.target.value; redraw(); } });
      if (which === "colour") select.append(make("option", { value: "" }, "state"));
      for (const name of [...names, ASKED]) select.append(make("option", { value: name }, name));
      select.value = picked[which];
      controls.append(make("label", {}, `${which} `, select));
    }
  }
  const toggle = make("button", { type: "button", "aria-pressed": "false", onclick: () => { outliers = !outliers; toggle.setAttribute("aria-pressed", String(outliers)); redraw(); } }, "every outlier");
  controls.append(toggle);
  let first = true;
  onFilter(() => { redraw(!first); first = false; });
  // What is drawn and where, for whoever drives the page from outside.
  target.drawn = () => drawn.map((row) => T.index[row]);
  target.where = (index) => {
    const row = rowOf.get(index), box = chart.canvas.getBoundingClientRect();
    return [box.left + chart.px(valuesOf(picked.x)[row]), box.top + chart.py(valuesOf(picked.y)[row])];
  };
}
function extremes(rows, values) {
  let low = Infinity, high = -Infinity;
  for (const row of rows) { const value = values[row]; if (typeof value === "number") { if (value < low) low = value; if (value > high) high = value; } }
  return [low, high];
}
