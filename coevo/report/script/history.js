// How the search went, over designs or seconds, beside random search's band.
function drawHistory() {
  const home = $("history-plots");
  if (!home || !D.history.length) return;
  let over = "designs", logarithmic = false;
  const plots = D.history.map((series) => {
    const target = make("div", { class: "plot low" });
    const note = series.note ? make("p", { class: "soft small" }, series.note) : "";
    home.append(make("figure", {}, make("h3", {}, series.label), target, note));
    return new Chart(target, { settings: () => settings(series), draw: (c, px, py, box) => paint(series, c, px, py, box), under: (x) => read(series, plots[D.history.indexOf(series)], x) });
  });
  const settings = (series) => {
    const line = series[over], band = series.band, end = series.total[over === "designs" ? 0 : 1];
    // A first bad value must not flatten what follows: the axis shows what came after the first twentieth.
    const late = (xs, ys) => ys.filter((value, at) => value !== null && (logarithmic || xs[at] >= end / 20 || at === ys.length - 1));
    const own = late(line.x, line.y), seen = (own.length > 2 ? own : line.y).concat(band ? late(band[over], band.low) : [], band ? late(band[over], band.high) : []);
    const [low, high] = padded(seen.reduce((a, b) => Math.min(a, b)), seen.reduce((a, b) => Math.max(a, b)));
    const to = Math.max(end, band ? band[over][band[over].length - 1] : 0), from = logarithmic ? Math.max(Math.min(line.x[0], to / 10), to / 1e6, over === "designs" ? 1 : 1e-3) : 0;
    return { x: { label: over === "designs" ? "designs" : "seconds of searching", low: from, high: to, log: logarithmic }, y: { label: series.metric === "hypervolume" ? "share of the box" : unitOf(series.metric), low: series.metric === "hypervolume" ? Math.max(low, 0) : low, high }, label: `${series.label} over ${over}` };
  };
  function paint(series, c, px, py, box) {
    const band = series.band, line = series[over];
    const at = (x) => Math.max(px(Math.max(x, logarithmic ? 1e-9 : 0)), box.left);
    if (band) {
      const known = band.mean.map((_, k) => k).filter((k) => band.mean[k] !== null);
      const polygon = (some, alpha) => {
        if (some.length < 2) return;
        c.globalAlpha = alpha;
        c.fillStyle = colour("amber");
        c.beginPath();
        some.forEach((k, n) => (n ? c.lineTo(at(band[over][k]), py(band.low[k])) : c.moveTo(at(band[over][k]), py(band.low[k]))));
        some.slice().reverse().forEach((k) => c.lineTo(at(band[over][k]), py(band.high[k])));
        c.fill();
      };
      const last = known.filter((k) => band.designs[k] <= band.sure).length;
      polygon(known.slice(0, last), 0.28);
      polygon(known.slice(Math.max(last - 1, 0)), 0.13);
      c.globalAlpha = 1;
      c.strokeStyle = colour("amber");
      c.lineWidth = 1.6;
      c.beginPath();
      known.forEach((k, n) => (n ? c.lineTo(at(band[over][k]), py(band.mean[k])) : c.moveTo(at(band[over][k]), py(band.mean[k]))));
      c.stroke();
    }
    c.strokeStyle = colour("accent");
    c.lineWidth = 2.2;
    c.beginPath();
    line.x.forEach((x, k) => { if (k) { c.lineTo(at(x), py(line.y[k - 1])); c.lineTo(at(x), py(line.y[k])); } else c.moveTo(at(x), py(line.y[k])); });
    c.stroke();
  }
  function read(series, chart, mx) {
    const x = chart.unX(mx), line = series[over], band = series.band;
    const upTo = (values) => { let at = -1; while (at + 1 < values.length && values[at + 1] <= x) at++; return at; };
    const k = upTo(line.x), b = band ? upTo(band[over]) : -1;
    const lines = [[over === "designs" ? `after ${Math.max(1, Math.round(x))} designs` : `after ${number(x)} s`, "strong"]];
    if (k >= 0 && x <= series.total[over === "designs" ? 0 : 1] * 1.001) lines.push([`this run ${number(line.y[k])}`]);
    if (b >= 0 && band.mean[b] !== null) lines.push([`random search ${number(band.mean[b])}  [${number(band.low[b])}, ${number(band.high[b])}]${band.designs[b] > band.sure ? " at least" : ""}`, "soft"]);
    return lines.length > 1 ? { lines, at: [mx] } : null;
  }
  const redraw = () => plots.forEach((plot) => { plot.range = null; plot.draw(); });
  const button = (text, pressed, act) => { const own = make("button", { type: "button", "aria-pressed": String(pressed), onclick: () => act(own) }, text); return own; };
  const axes = ["designs", "seconds"].map((name) => button(`over ${name}`, name === over, () => {
    over = name;
    axes.forEach((own) => own.setAttribute("aria-pressed", String(own.textContent === `over ${over}`)));
    redraw();
  }));
  const log = button("logarithmic", false, (own) => { logarithmic = !logarithmic; own.setAttribute("aria-pressed", String(logarithmic)); redraw(); });
  const legend = make("span", { class: "key-line" }, make("i", { class: "stroke accent" }), "this run");
  $("history-controls").append(...axes, log, legend);
  if (D.history.some((series) => series.band)) $("history-controls").append(make("span", { class: "key-line" }, make("i", { class: "stroke amber" }), "random search: mean and 95 % band"));
}
