// A picture with two axes on a canvas: ticks, zooming by dragging, what lies under the pointer.
const WAIT = window.requestAnimationFrame.bind(window);
const charts = [];

// Ticks at 1, 2 or 5 times a power of ten; on a logarithmic axis at powers of ten, or between them where few fit.
function ticks(low, high, most, log) {
  if (!(high > low)) return [low];
  if (log) {
    const from = Math.floor(Math.log10(low)), to = Math.ceil(Math.log10(high));
    for (const steps of [[1, 2, 5], [1, 3], [1]]) {
      const found = [];
      for (let power = from; power <= to; power++) for (const step of steps) found.push(step * 10 ** power);
      const inside = found.filter((value) => value >= low && value <= high);
      if (inside.length >= 2 && (inside.length <= most || steps.length === 1)) return inside.filter((_, at) => at % Math.ceil(inside.length / most) === 0);
    }
  }
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + 1e-9 * step; at++) found.push(Number((at * step).toPrecision(12)));
  return found;
}
const tickText = (value) => {
  const size = Math.abs(value);
  if (size >= 1e6 || (size > 0 && size < 1e-3)) return value.toExponential().replace("e+", "e");
  return String(Number(value.toPrecision(6)));
};

// `settings()` gives {x, y: {label, low, high, log}, label}; `draw(c, px, py, box)` paints inside the axes; `under(x, y)`
// gives what lies there: {lines, at: [px, py], open}.
class Chart {
  constructor(target, { settings, draw, under, zoom = true }) {
    Object.assign(this, { target, settings, paint: draw, under });
    this.range = null;
    this.mark = null;
    this.canvas = make("canvas", { role: "img" });
    target.replaceChildren(this.canvas);
    const move = (event) => this.moved(event);
    this.canvas.addEventListener("pointermove", move);
    this.canvas.addEventListener("pointerleave", () => this.left());
    this.canvas.addEventListener("click", (event) => { const hit = !this.dragged && this.hit(event); if (hit && hit.open) hit.open(); else if (hit) move(event); });
    if (zoom) {
      this.canvas.addEventListener("pointerdown", (event) => { if (event.pointerType === "mouse" && event.button === 0) { this.from = this.at(event); this.dragged = false; this.canvas.setPointerCapture(event.pointerId); } });
      this.canvas.addEventListener("pointerup", (event) => this.dropped(event));
      this.canvas.addEventListener("dblclick", () => { this.range = null; this.draw(); });
    }
    new ResizeObserver(() => this.later()).observe(target);
    charts.push(this);
  }
  later() { if (!this.waiting) { this.waiting = true; WAIT(() => { this.waiting = false; this.draw(); }); } }
  at(event) { const box = this.canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; }
  draw() {
    const width = this.target.clientWidth, height = this.target.clientHeight, scale = window.devicePixelRatio || 1;
    if (!width || !height) return;
    if (this.canvas.width !== Math.round(width * scale) || this.canvas.height !== Math.round(height * scale)) {
      this.canvas.width = Math.round(width * scale);
      this.canvas.height = Math.round(height * scale);
      Object.assign(this.canvas.style, { width: `${width}px`, height: `${height}px` });
    }
    const c = this.canvas.getContext("2d"), set = this.settings();
    c.setTransform(scale, 0, 0, scale, 0, 0);
    c.clearRect(0, 0, width, height);
    this.canvas.setAttribute("aria-label", set.label);
    c.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    const x = { ...set.x, ...(this.range ? { low: this.range[0], high: this.range[1] } : {}) };
    const y = { ...set.y, ...(this.range ? { low: this.range[2], high: this.range[3] } : {}) };
    const yTicks = ticks(y.low, y.high, Math.max(3, Math.round(height / 60)), y.log);
    const left = Math.ceil(Math.max(...yTicks.map((tick) => c.measureText(tickText(tick)).width), 20)) + (y.label ? 34 : 14);
    const box = this.box = { left, right: width - 14, top: 10, bottom: height - (x.label ? 44 : 26) };
    const xTicks = ticks(x.low, x.high, Math.max(2, Math.round((box.right - left) / 90)), x.log);
    const to = (axis, from, until) => {
      const f = axis.log ? Math.log10 : (value) => value, low = f(axis.low), span = f(axis.high) - low || 1;
      return [(value) => from + ((f(value) - low) / span) * (until - from), (pixel) => { const value = low + ((pixel - from) / (until - from)) * span; return axis.log ? 10 ** value : value; }];
    };
    [this.px, this.unX] = to(x, box.left, box.right);
    [this.py, this.unY] = to(y, box.bottom, box.top);
    c.strokeStyle = colour("line");
    c.fillStyle = colour("soft");
    c.lineWidth = 1;
    c.beginPath();
    for (const tick of xTicks) { const at = Math.round(this.px(tick)) + 0.5; c.moveTo(at, box.top); c.lineTo(at, box.bottom); }
    for (const tick of yTicks) { const at = Math.round(this.py(tick)) + 0.5; c.moveTo(box.left, at); c.lineTo(box.right, at); }
    c.stroke();
    c.textAlign = "center";
    c.textBaseline = "top";
    for (const tick of xTicks) { const text = tickText(tick), half = c.measureText(text).width / 2; c.fillText(text, Math.min(this.px(tick), width - half - 1), box.bottom + 7); }
    c.textAlign = "right";
    c.textBaseline = "middle";
    for (const tick of yTicks) c.fillText(tickText(tick), box.left - 7, this.py(tick));
    c.fillStyle = colour("ink");
    c.textAlign = "center";
    if (x.label) { c.textBaseline = "bottom"; c.fillText(short(x.label, Math.floor((box.right - left) / 7)), (box.left + box.right) / 2, height - 4); }
    if (y.label) { c.save(); c.translate(11, (box.top + box.bottom) / 2); c.rotate(-Math.PI / 2); c.textBaseline = "middle"; c.fillText(short(y.label, Math.floor((box.bottom - box.top) / 7)), 0, 0); c.restore(); }
    c.save();
    c.beginPath();
    c.rect(box.left - 6, box.top - 6, box.right - box.left + 12, box.bottom - box.top + 12);
    c.clip();
    this.paint(c, this.px, this.py, box);
    if (this.mark) {
      c.strokeStyle = colour("ink");
      c.lineWidth = 2;
      if (this.mark.length === 2) { c.beginPath(); c.arc(this.mark[0], this.mark[1], 7, 0, 7); c.stroke(); } else { c.lineWidth = 1; c.beginPath(); c.moveTo(this.mark[0], box.top); c.lineTo(this.mark[0], box.bottom); c.stroke(); }
    }
    if (this.drag) {
      const [[ax, ay], [bx, by]] = this.drag;
      c.fillStyle = colour("veil");
      c.strokeStyle = colour("accent");
      c.fillRect(ax, ay, bx - ax, by - ay);
      c.strokeRect(ax, ay, bx - ax, by - ay);
    }
    c.restore();
  }
  hit(event) {
    if (!this.box) return null;
    const [x, y] = this.at(event);
    return x < this.box.left - 8 || x > this.box.right + 8 || y < this.box.top - 8 || y > this.box.bottom + 8 ? null : this.under(x, y);
  }
  moved(event) {
    if (this.from) {
      const to = this.at(event);
      this.dragged ||= Math.hypot(to[0] - this.from[0], to[1] - this.from[1]) > 6;
      if (this.dragged) { this.drag = [this.from, to]; tell(event, null); this.later(); return; }
    }
    const hit = this.hit(event);
    tell(event, hit && hit.lines);
    this.canvas.style.cursor = hit && hit.open ? "pointer" : "crosshair";
    if (String(hit && hit.at) !== String(this.mark)) { this.mark = hit ? hit.at : null; this.later(); }
  }
  left() { tell(null, null); if (this.mark) { this.mark = null; this.later(); } }
  dropped() {
    const drag = this.drag;
    this.from = this.drag = null;
    if (!drag) return;
    const xs = [drag[0][0], drag[1][0]].sort((a, b) => a - b), ys = [drag[0][1], drag[1][1]].sort((a, b) => b - a);
    if (xs[1] - xs[0] > 8 && ys[0] - ys[1] > 8) this.range = [this.unX(xs[0]), this.unX(xs[1]), this.unY(ys[0]), this.unY(ys[1])];
    this.draw();
  }
}
const padded = (low, high, log) => {
  if (log) { const gap = (high / low) ** 0.05 || 1.1; return [low / gap, high * gap]; }
  const gap = (high - low || Math.abs(high) || 1) * 0.05;
  return [low - gap, high + gap];
};
