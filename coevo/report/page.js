// The report's behaviour. All data comes from the JSON island; text reaches the page through textContent alone.
"use strict";
(() => {
  const D = JSON.parse(document.getElementById("data").textContent);
  const T = D.trials;
  const count = T.index.length;
  const STATES = ["front", "dominated", "infeasible", "failed"];
  const INK = "#1b2430", SOFT = "#5c6876", LINE = "#e3e7ec", ACCENT = "#1f6feb", GREY = "#9aa6b4", AMBER = "#d99a2b";
  const SCALE = [[0, "#0b4f9e"], [0.35, "#2a9d8f"], [0.7, "#e9b44c"], [1, "#d1495b"]];
  // The buttons are listed, not taken away from plotly's own: newer versions bring one that uploads the chart.
  const FLAT_BUTTONS = [["toImage", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]];
  const SOLID_BUTTONS = [["toImage", "zoom3d", "pan3d", "orbitRotation", "resetCameraDefault3d"]];
  const CONFIG = { displaylogo: false, responsive: true, plotlyServerURL: "", modeBarButtons: FLAT_BUTTONS };
  const $ = (id) => document.getElementById(id);
  const escapeHtml = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
  const make = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "onclick" || name === "onchange" || name === "onkeydown") node[name] = value;
      else if (value !== null && value !== false) node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
  };
  const short = (text, limit) => (text.length > limit ? text.slice(0, limit - 1) + "…" : text);
  const shown = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  const number = (value) => {
    if (value === null || value === undefined) return "–";
    if (Number.isInteger(value) && Math.abs(value) < 1e9) return String(value);
    return String(Number(value.toPrecision(5)));
  };
  const unitOf = (name) => { const found = D.metrics.find((metric) => metric.name === name); return found ? found.unit : ""; };
  const titled = (name) => escapeHtml(name) + (unitOf(name) ? ` <span style="color:${SOFT}">[${escapeHtml(unitOf(name))}]</span>` : "");
  const column = (name) => T.metrics[name] || [];

  // ---- answers: each column keeps its distinct values once; -1 stands for a choice that the design was not asked
  const answerRow = D.answers.rows === null ? null : new Map(D.answers.rows.map((row, place) => [row, place]));
  const place = (row) => (answerRow === null ? row : answerRow.get(row));
  const answer = (c, row) => {
    const at = place(row);
    if (at === undefined) return undefined;
    const code = D.answers.columns[c].codes[at];
    return code < 0 ? undefined : D.answers.columns[c].values[code];
  };
  const answersOf = (row) => {
    const found = [];
    D.answers.columns.forEach((col, c) => {
      const value = col.derived ? undefined : answer(c, row);
      if (value !== undefined) found.push([col.name, value]);
    });
    return found;
  };
  const hover = (row) => {
    const lines = [`<b>#${T.index[row]}</b> ${T.key[row]}`];
    for (const objective of D.objectives) lines.push(`${escapeHtml(objective.metric)} = ${number(column(objective.metric)[row])} ${escapeHtml(unitOf(objective.metric))}`);
    const answers = answersOf(row);
    for (const [name, value] of answers.slice(0, 14)) lines.push(`<span style="color:#ccd5e0">${escapeHtml(short(name, 28))}: ${escapeHtml(short(shown(value), 36))}</span>`);
    if (answers.length > 14) lines.push(`<span style="color:#ccd5e0">… ${answers.length - 14} more: click</span>`);
    return lines.join("<br>");
  };
  const layout = (more) => Object.assign({
    font: { family: getComputedStyle(document.body).fontFamily, color: INK, size: 13 }, paper_bgcolor: "#fff", plot_bgcolor: "#fff",
    margin: { l: 70, r: 20, t: 12, b: 55 }, hovermode: "closest", hoverlabel: { bgcolor: "#1b2430", font: { color: "#fff" }, align: "left" },
    legend: { orientation: "h", x: 0, y: 1.01, yanchor: "bottom", itemsizing: "constant" },
  }, more);
  const axis = (name, more) => Object.assign({ title: { text: titled(name), standoff: 8 }, gridcolor: LINE, zeroline: false, linecolor: "#cfd6de",
    ticks: "outside", tickcolor: "#cfd6de", automargin: true }, more);
  const rowsIn = (state) => { const rows = []; for (let row = 0; row < count; row++) if (T.state[row] === state) rows.push(row); return rows; };
  const rows = STATES.map((_, state) => rowsIn(state));

  // ---- the front
  // WebGL pictures lie over all others, so one large trace makes every trace of the picture WebGL.
  const many = count > 4000, FLAT = many ? "scattergl" : "scatter";
  const padded = (low, high) => { const gap = (high - low || Math.abs(high) || 1) * 0.06; return [low - gap, high + gap]; };
  const focus = (name) => {
    // Everything on the front, and the bulk of the rest: a few designs that are far off must not squash the picture.
    const values = column(name), front = rows[0].map((row) => values[row]);
    const rest = rows[0].concat(rows[1]).map((row) => values[row]).sort((a, b) => a - b);
    if (!rest.length) return null;
    const at = (share) => rest[Math.min(rest.length - 1, Math.floor(share * rest.length))];
    return padded(Math.min(at(0.03), front.reduce((a, b) => Math.min(a, b))), Math.max(at(0.97), front.reduce((a, b) => Math.max(a, b))));
  };
  const wideSpread = (name) => {
    const values = rows[0].concat(rows[1]).map((row) => column(name)[row]);
    const low = values.reduce((a, b) => Math.min(a, b), Infinity), high = values.reduce((a, b) => Math.max(a, b), -Infinity);
    return low > 0 && high / low > 1000;
  };
  const points = (state, names, more) => Object.assign({
    mode: "markers", name: `${STATES[state]} (${rows[state].length})`, customdata: rows[state], text: rows[state].map(hover), hoverinfo: "text",
    x: rows[state].map((row) => column(names[0])[row]), y: rows[state].map((row) => column(names[1])[row]),
    type: FLAT,
  }, more);
  function scatter2(target, names, focused) {
    const traces = [];
    if (rows[2].length) traces.push(points(2, names, { marker: { size: many ? 4 : 6, symbol: "circle-open", color: AMBER, opacity: many ? 0.3 : 0.45 } }));
    if (rows[1].length) traces.push(points(1, names, { marker: { size: many ? 4 : 6, color: GREY, opacity: many ? 0.22 : 0.4 } }));
    const direction = (D.objectives.find((objective) => objective.metric === names[0]) || {}).direction;
    const front = points(0, names, { marker: { size: 10, color: ACCENT, line: { color: "#fff", width: 1.2 } } });
    if (D.objectives.length === 2) {
      // The staircase bounds what the front dominates, so its corners depend on the direction of x.
      rows[0].sort((a, b) => column(names[0])[a] - column(names[0])[b]);
      Object.assign(front, points(0, names, { mode: "lines+markers", line: { shape: direction === "min" ? "hv" : "vh", color: ACCENT, width: 1.4 } }));
    }
    traces.push(front);
    const settings = (name) => {
      if (wideSpread(name)) return axis(name, { type: "log" });
      const range = focused ? focus(name) : null;
      return axis(name, range ? { range } : {});
    };
    Plotly.react(target, traces, layout({ xaxis: settings(names[0]), yaxis: settings(names[1]) }), CONFIG);
  }
  function scatter3(target, names) {
    const trace = (state, marker) => ({ type: "scatter3d", mode: "markers", name: `${STATES[state]} (${rows[state].length})`, customdata: rows[state],
      x: rows[state].map((row) => column(names[0])[row]), y: rows[state].map((row) => column(names[1])[row]), z: rows[state].map((row) => column(names[2])[row]),
      text: rows[state].map(hover), hoverinfo: "text", marker });
    const traces = [];
    if (rows[2].length) traces.push(Object.assign(trace(2, { size: 2.5, color: AMBER, opacity: 0.25 }), { visible: "legendonly" }));
    if (rows[1].length) traces.push(trace(1, { size: 2.5, color: GREY, opacity: 0.3 }));
    traces.push(trace(0, { size: 5.5, color: rows[0].map((row) => column(names[2])[row]), colorscale: SCALE, line: { color: "#fff", width: 1 },
      colorbar: { title: { text: titled(names[2]), side: "right" }, thickness: 12, len: 0.7 } }));
    const side = (name) => ({ title: { text: escapeHtml(name) }, gridcolor: LINE, backgroundcolor: "#fff", zerolinecolor: LINE });
    Plotly.react(target, traces, layout({ margin: { l: 0, r: 0, t: 10, b: 0 }, legend: { orientation: "h", x: 0, y: 1, itemsizing: "constant" },
      scene: { xaxis: side(names[0]), yaxis: side(names[1]), zaxis: side(names[2]), camera: { eye: { x: 1.35, y: 1.35, z: 0.75 }, center: { x: 0, y: 0, z: -0.12 } } } }), Object.assign({}, CONFIG, { modeBarButtons: SOLID_BUTTONS }));
  }
  function bars(target, name) {
    const best = D.objectives[0].direction === "max" ? 1 : -1;
    const feasible = rows[0].concat(rows[1]).sort((a, b) => best * (column(name)[b] - column(name)[a])).slice(0, 30);
    Plotly.react(target, [{ type: "bar", x: feasible.map((row) => T.key[row].slice(0, 8)), y: feasible.map((row) => column(name)[row]), customdata: feasible,
      hovertext: feasible.map(hover), hoverinfo: "text", text: feasible.map((row) => number(column(name)[row])), textangle: -90, textposition: "auto", marker: { color: feasible.map((row) => (T.state[row] === 0 ? ACCENT : "#b8c6d8")) } }],
    layout({ xaxis: { type: "category", tickangle: -50, tickfont: { size: 11 }, automargin: true }, yaxis: axis(name, {}) }), CONFIG);
  }
  function drawFront() {
    const target = $("front-plot");
    if (!target || !rows[0].length) return;
    const names = D.objectives.map((objective) => objective.metric), controls = $("front-controls");
    if (names.length === 1) bars(target, names[0]);
    else if (names.length === 3) scatter3(target, names);
    else {
      const picked = [names[0], names[1]];
      let focused = true;
      const draw = () => scatter2(target, picked, focused);
      if (names.length > 3) {
        ["x", "y"].forEach((label, which) => {
          const select = make("select", { "aria-label": `${label} axis`, onchange: (event) => { picked[which] = event.target.value; draw(); } });
          for (const name of names) select.append(make("option", { value: name }, name));
          select.value = picked[which];
          controls.append(make("label", {}, `${label}: `, select));
        });
      }
      const toggle = make("button", { type: "button", "aria-pressed": "false", onclick: () => {
        focused = !focused; toggle.setAttribute("aria-pressed", String(!focused)); draw();
      } }, "show every outlier");
      controls.append(toggle);
      draw();
    }
    target.on("plotly_click", (event) => { const row = event.points[0].customdata; if (row !== undefined) openDetail(row); });
  }

  // ---- history
  function drawHistory() {
    const home = $("history-plots");
    if (!home) return;
    // Every place is made before the first picture, so that each one finds its final width.
    const places = D.history.map((series) => {
      const target = make("div", { class: "plot low" });
      home.append(make("div", {}, make("h3", {}, series.label), target));
      return target;
    });
    const chart = (name, target, xs, ys) => {
      Plotly.newPlot(target, [{ x: xs, y: ys, mode: "lines", line: { shape: "hv", color: ACCENT, width: 2 }, hovertemplate: "design %{x}<br>%{y}<extra></extra>" }],
        layout({ margin: { l: 60, r: 12, t: 6, b: 42 }, xaxis: { title: { text: "designs", standoff: 6 }, gridcolor: LINE, zeroline: false, rangemode: "tozero" },
          yaxis: axis(name, { title: { text: unitOf(name) ? escapeHtml(unitOf(name)) : "" }, nticks: 6 }) }), Object.assign({}, CONFIG, { displayModeBar: false }));
    };
    D.history.forEach((series, at) => chart(series.metric, places[at], series.x, series.y));
  }

  // ---- parallel coordinates
  const NOT_ASKED = "not asked";
  const extreme = (values, pick) => values.reduce((a, b) => pick(a, b)); // Math.min(...values) fails on a hundred thousand
  function dimension(c, chosen) {
    const col = D.answers.columns[c];
    const values = chosen.map((row) => answer(c, row));
    const missing = values.some((value) => value === undefined);
    const numeric = col.values.length > 8 && col.values.every((value) => typeof value === "number");
    const label = short(col.name, 18);
    if (numeric) {
      const smallest = extreme(col.values, Math.min), largest = extreme(col.values, Math.max);
      const log = smallest > 0 && largest / smallest > 50, to = log ? Math.log10 : (value) => value, from = log ? (value) => 10 ** value : to;
      const low = to(smallest), high = to(largest), below = low - 0.14 * (high - low || 1);
      const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => low + share * (high - low));
      const text = (tick) => String(Number(from(tick).toPrecision(3)));
      return { label, values: values.map((value) => (value === undefined ? below : to(value))), range: [missing ? below : low, high],
        tickvals: missing ? [below, ...ticks] : ticks, ticktext: (missing ? [NOT_ASKED] : []).concat(ticks.map(text)) };
    }
    const ordered = categories(col.values);
    const texts = (missing ? [NOT_ASKED] : []).concat(ordered.labels.map((text) => short(text, 16)));
    const shift = missing ? 1 : 0;
    const codes = values.map((value) => (value === undefined ? 0 : ordered.rank.get(JSON.stringify(value)) + shift));
    const step = Math.max(1, Math.ceil(texts.length / 24)), kept = texts.map((_, place) => place).filter((place) => place % step === 0);
    return { label, values: codes, range: [-0.2, Math.max(texts.length - 1, 1) + 0.2], tickvals: kept, ticktext: kept.map((at) => texts[at]) };
  }
  function categories(values) {
    const sorted = values.slice().sort((a, b) => (typeof a === "number" && typeof b === "number" ? a - b : shown(a).localeCompare(shown(b), undefined, { numeric: true })));
    return { labels: sorted.map(shown), rank: new Map(sorted.map((value, at) => [JSON.stringify(value), at])) };
  }
  function drawParallel() {
    const target = $("parallel-plot");
    if (!target || !rows[0].length) return;
    const usable = D.parallel.columns, visible = new Set(D.parallel.shown);
    let everything = false;
    const draw = () => {
      let chosen = everything ? rows[0].concat(rows[1]) : rows[0];
      chosen = chosen.filter((row) => place(row) !== undefined);
      const total = chosen.length, most = 4000;
      if (total > most) chosen = chosen.filter((_, at) => at % Math.ceil(total / most) === 0);
      const colour = D.objectives[0].metric, scale = D.objectives[0].direction === "max" ? SCALE.map(([at], i) => [at, SCALE[SCALE.length - 1 - i][1]]) : SCALE;
      const dimensions = usable.filter((c) => visible.has(c)).map((c) => dimension(c, chosen));
      for (const objective of D.objectives) {
        const values = chosen.map((row) => column(objective.metric)[row]);
        dimensions.push({ label: `${short(objective.metric, 18)} (${objective.direction})`, values });
      }
      const height = 470, width = Math.max(target.parentElement.clientWidth, dimensions.length * 92);
      target.style.width = `${width}px`;
      Plotly.react(target, [{ type: "parcoords", dimensions, labelangle: -18, labelside: "top", labelfont: { size: 12, color: INK }, tickfont: { size: 11, color: SOFT },
        rangefont: { size: 10, color: "#fff" }, unselected: { line: { color: "#d8dee6", opacity: 0.25 } },
        line: { color: chosen.map((row) => column(colour)[row]), colorscale: scale, showscale: true, colorbar: { thickness: 10, title: { text: titled(colour), side: "right" } } } }],
      layout({ width, height, margin: { l: 90, r: 40, t: 90, b: 25 } }), Object.assign({}, CONFIG, { responsive: false, displayModeBar: false }));
      $("parallel-count").textContent = `${chosen.length} designs${chosen.length < total ? ` of ${total}, evenly thinned` : ""}`;
    };
    const toggle = make("button", { type: "button", "aria-pressed": "false", onclick: () => {
      everything = !everything; toggle.setAttribute("aria-pressed", String(everything)); draw();
    } }, "with dominated designs");
    $("parallel-controls").append(toggle, make("span", { id: "parallel-count" }));
    const picks = $("parallel-picks");
    for (const c of usable) {
      const box = make("input", { type: "checkbox", onchange: () => { if (box.checked) visible.add(c); else visible.delete(c); draw(); } });
      box.checked = visible.has(c);
      picks.append(make("label", {}, box, ` ${D.answers.columns[c].name}`));
    }
    draw();
  }

  // ---- the table of trials: only one page of rows ever stands in the document
  const PAGE = 50;
  function drawTable() {
    const home = $("trials-table");
    if (!home) return;
    const trouble = D.reasons.some(Boolean) || T.how.some(Boolean) || T.cached.some((source) => source >= 0);
    const columns = [
      { title: "#", of: (row) => T.index[row], numeric: true }, { title: "key", of: (row) => T.key[row].slice(0, 12), mono: true },
      { title: "state", of: (row) => STATES[T.state[row]], state: true },
      ...(D.stages.length > 1 ? [{ title: "stage", of: (row) => D.stages[T.stage[row]] }] : []),
      ...D.metrics.map((metric) => ({ title: metric.name, unit: metric.unit, of: (row) => (T.metrics[metric.name] || [])[row], numeric: true })),
      { title: "cost", unit: "s", of: (row) => T.cost[row], numeric: true },
      ...(!trouble ? [] : [{ title: "why it failed, worker trouble", of: (row) => [D.reasons[T.reason[row]] || "", T.how[row] || "", T.cached[row] >= 0 ? `cached from #${T.cached[row]}` : ""].filter(Boolean).join(" · "), wide: true }]),
    ];
    const state = { sort: 0, down: false, text: "", kind: "", page: 0 };
    let order = [];
    const texts = new Array(count);
    const textOf = (row) => (texts[row] ??= [T.index[row], T.key[row], trouble ? columns[columns.length - 1].of(row) : "", ...answersOf(row).map(([name, value]) => `${name}=${shown(value)}`)].join(" ").toLowerCase());
    const arrange = () => {
      const words = state.text.toLowerCase().split(/\s+/).filter(Boolean), get = columns[state.sort].of;
      order = [];
      for (let row = 0; row < count; row++) {
        if (state.kind !== "" && T.state[row] !== Number(state.kind)) continue;
        if (words.length && !words.every((word) => textOf(row).includes(word))) continue;
        order.push(row);
      }
      const sign = state.down ? -1 : 1;
      order.sort((a, b) => {
        const x = get(a), y = get(b);
        if (x === y) return a - b;
        if (x === null || x === undefined || x === "") return 1; // what is absent stands last, whichever way
        if (y === null || y === undefined || y === "") return -1;
        return (x < y ? -1 : 1) * sign;
      });
      state.page = 0;
    };
    const body = make("tbody"), heads = make("tr"), position = make("span");
    const back = make("button", { type: "button", onclick: () => { state.page--; render(); } }, "‹ back");
    const next = make("button", { type: "button", onclick: () => { state.page++; render(); } }, "next ›");
    const sortBy = (at) => { state.down = state.sort === at ? !state.down : false; state.sort = at; arrange(); render(); };
    columns.forEach((col, at) => heads.append(make("th", { "data-sort": at, class: col.numeric ? "num" : null, tabindex: 0, onclick: () => sortBy(at),
      onkeydown: (event) => { if (event.key === "Enter") sortBy(at); } }, col.title, ...(col.unit ? [make("small", {}, ` ${col.unit}`)] : []), make("span", { class: "arrow" }))));
    const render = () => {
      const pages = Math.max(1, Math.ceil(order.length / PAGE));
      state.page = Math.min(Math.max(state.page, 0), pages - 1);
      body.replaceChildren(...order.slice(state.page * PAGE, (state.page + 1) * PAGE).map((row) => make("tr", { "data-row": row, tabindex: 0, onclick: () => openDetail(row),
        onkeydown: (event) => { if (event.key === "Enter") openDetail(row); } },
      ...columns.map((col) => {
        const value = col.of(row);
        if (col.state) return make("td", {}, make("span", { class: `state ${value}` }, value));
        return make("td", { class: [col.numeric ? "num" : "", col.mono ? "key" : "", col.wide ? "text" : ""].join(" ").trim() || null }, col.numeric ? number(value) : String(value ?? ""));
      }))));
      heads.querySelectorAll(".arrow").forEach((arrow, at) => { arrow.textContent = at === state.sort ? (state.down ? " ↓" : " ↑") : ""; });
      position.textContent = order.length ? `${state.page * PAGE + 1}–${Math.min(order.length, (state.page + 1) * PAGE)} of ${order.length}` : "no trial fits";
      back.disabled = state.page === 0; next.disabled = state.page >= pages - 1;
    };
    const search = make("input", { type: "search", placeholder: "filter: key, reason, answer (depth=3)", "aria-label": "filter trials" });
    let waiting = 0;
    search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(() => { state.text = search.value; arrange(); render(); }, 150); });
    const kind = make("select", { "aria-label": "state", onchange: () => { state.kind = kind.value; arrange(); render(); } }, make("option", { value: "" }, "every state"));
    STATES.forEach((name, at) => kind.append(make("option", { value: at }, `${name} (${rows[at].length})`)));
    home.append(make("div", { class: "controls" }, search, kind, back, next, position), make("div", { class: "wide" }, make("table", {}, make("thead", {}, heads), body)));
    arrange();
    render();
  }

  // ---- one design
  function openDetail(row) {
    const box = $("detail"), reason = D.reasons[T.reason[row]];
    const table = (pairs) => make("table", {}, make("tbody", {}, ...pairs.map(([name, value]) => make("tr", {}, make("td", {}, name), make("td", { class: "text" }, value)))));
    const answers = answersOf(row);
    box.replaceChildren(
      make("button", { type: "button", class: "close", onclick: () => box.close() }, "close"),
      make("h2", {}, `Design #${T.index[row]}`), make("p", { class: "key" }, T.key[row]),
      make("p", {}, make("span", { class: `state ${STATES[T.state[row]]}` }, STATES[T.state[row]]), reason ? ` · ${reason}` : "", T.how[row] ? ` · worker: ${T.how[row]}` : ""),
      make("h3", {}, "Measured"), table(D.metrics.filter((metric) => column(metric.name)[row] !== null).map((metric) => [metric.name, `${number(column(metric.name)[row])} ${metric.unit}`])),
      make("h3", {}, "Answers"), answers.length ? table(answers.map(([name, value]) => [name, shown(value)])) : make("p", {}, "left out of this page for size; coevo explain shows them"),
    );
    box.showModal();
  }
  document.querySelectorAll("[data-open]").forEach((node) => {
    node.addEventListener("click", () => openDetail(Number(node.dataset.open)));
    if (node.tagName === "TR") node.addEventListener("keydown", (event) => { if (event.key === "Enter") openDetail(Number(node.dataset.open)); });
  });
  for (const draw of [drawFront, drawHistory, drawParallel, drawTable]) {
    try { draw(); } catch (error) { console.error(error); } // one picture that cannot be drawn must not take the others along
  }
})();
