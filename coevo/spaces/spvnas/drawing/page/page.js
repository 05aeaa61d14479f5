"use strict";
(() => {
const content = JSON.parse(document.getElementById("data").textContent);
const canvas = document.getElementById("view"), pen = canvas.getContext("2d", { alpha: false });
const panel = document.getElementById("panel"), tip = document.getElementById("tip");
const about = document.getElementById("about"), film = document.getElementById("film");
const none = content.classes.length - 1;
const START = { turn: Math.PI, tilt: 0.62, far: 46, x: 6, y: 0, z: -1 };
const camera = { ...START };
const state = { frame: 0, mode: "", size: 2, boxes: true, hidden: new Set(), playing: 0 };
let points = null, image = null, depths = null, owners = null, colours = null, wanted = false;

const make = (name, attributes = {}, text = "") => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
};
const channels = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const packedColour = ([r, g, b]) => (255 << 24 | b << 16 | g << 8 | r) >>> 0;

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

async function load(number) {
  const frame = content.frames[number];
  if (!frame.ready) {
    const xyz = new Int16Array(await unpacked(frame.xyz));
    const metres = Float32Array.from(xyz, (value) => value * content.step);
    const bytes = async (name) => (frame[name] ? new Uint8Array(await unpacked(frame[name])) : null);
    frame.ready = { xyz: metres, remission: await bytes("remission"), truth: await bytes("truth"),
      predicted: await bytes("predicted") };
  }
  state.frame = number;
  points = frame.ready;
  const known = modes().map(([key]) => key);
  if (!known.includes(state.mode)) state.mode = known[0];
  const score = frame.accuracy === undefined ? "" :
    `; accuracy ${(100 * frame.accuracy).toFixed(1)} %, mIoU ${(100 * frame.miou).toFixed(1)} over this scan's classes`;
  about.textContent = `${frame.name}: ${frame.points.toLocaleString("en")} points${score}`;
  recolour();
  controls();
}

function modes() {
  const found = [];
  if (points.predicted) found.push(["predicted", "Prediction"]);
  if (points.truth) found.push(["truth", "Truth"]);
  if (points.predicted && points.truth) found.push(["errors", "Errors"]);
  found.push(["remission", "Remission"], ["height", "Height"]);
  return found;
}

// A colour for each point; 0 for those that are hidden.
function recolour() {
  const count = points.remission.length;
  const table = content.colours.map((hex) => packedColour(channels(hex)));
  const wrong = packedColour(channels(content.wrong)), correct = packedColour(channels(content.correct));
  const classes = shownClasses();
  colours = new Uint32Array(count);
  for (let at = 0; at < count; at++) {
    const kind = classes ? classes[at] : none;
    if (classes && state.hidden.has(kind)) continue;
    if (state.mode === "predicted" || state.mode === "truth") colours[at] = table[kind];
    else if (state.mode === "errors") {
      const miss = points.truth[at] !== none && points.truth[at] !== points.predicted[at];
      colours[at] = miss ? wrong : correct;
    } else {
      const share = state.mode === "height" ? (points.xyz[3 * at + 2] + 2.2) / 6 : points.remission[at] / 150;
      colours[at] = ramp(Math.min(1, Math.max(0, share)));
    }
  }
  draw();
}

const shownClasses = () => (state.mode === "predicted" ? points.predicted : points.truth || points.predicted);

// From violet over green to yellow, of even lightness steps.
const RAMP = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
function ramp(share) {
  const at = Math.min(RAMP.length - 2, Math.floor(share * (RAMP.length - 1)));
  const rest = share * (RAMP.length - 1) - at;
  return packedColour(RAMP[at].map((low, k) => Math.round(low + rest * (RAMP[at + 1][k] - low))));
}

function draw() {
  if (!wanted) { wanted = true; requestAnimationFrame(render); }
}

function view() {
  const cosTurn = Math.cos(camera.turn), sinTurn = Math.sin(camera.turn);
  const cosTilt = Math.cos(camera.tilt), sinTilt = Math.sin(camera.tilt);
  // The eye looks from `far` away along `ahead`; `right` and `up` span the picture.
  const ahead = [-cosTurn * cosTilt, -sinTurn * cosTilt, -sinTilt];
  const right = [-sinTurn, cosTurn, 0], up = [-cosTurn * sinTilt, -sinTurn * sinTilt, cosTilt];
  const eye = [camera.x - ahead[0] * camera.far, camera.y - ahead[1] * camera.far, camera.z - ahead[2] * camera.far];
  return { ahead, right, up, eye };
}

function render() {
  wanted = false;
  if (!points) return;
  const sharp = Math.min(window.devicePixelRatio || 1, 1.5);
  const wide = Math.max(1, Math.round(canvas.clientWidth * sharp)), high = Math.max(1, Math.round(canvas.clientHeight * sharp));
  if (!image || image.width !== wide || image.height !== high) {
    canvas.width = wide; canvas.height = high;
    image = pen.createImageData(wide, high);
    depths = new Float32Array(wide * high);
    owners = new Int32Array(wide * high);
  }
  const pixels = new Uint32Array(image.data.buffer);
  pixels.fill(packedColour(channels(content.ground)));
  depths.fill(Infinity);
  owners.fill(-1);
  const { ahead, right, up, eye } = view();
  const focal = 0.9 * Math.min(wide, high * 1.5), { xyz } = points;
  for (let at = 0; at < colours.length; at++) {
    const colour = colours[at];
    if (!colour) continue;
    const x = xyz[3 * at] - eye[0], y = xyz[3 * at + 1] - eye[1], z = xyz[3 * at + 2] - eye[2];
    const depth = x * ahead[0] + y * ahead[1] + z * ahead[2];
    if (depth < 0.5) continue;
    const scale = focal / depth;
    const column = (wide / 2 + (x * right[0] + y * right[1]) * scale) | 0;
    const row = (high / 2 - (x * up[0] + y * up[1] + z * up[2]) * scale) | 0;
    const edge = Math.max(1, Math.min(7, Math.round(state.size * sharp * (0.55 + 22 / depth) * 0.75)));
    const first = -(edge >> 1);
    for (let down = first; down < first + edge; down++) {
      const line = row + down;
      if (line < 0 || line >= high) continue;
      for (let aside = first; aside < first + edge; aside++) {
        const place = column + aside;
        if (place < 0 || place >= wide) continue;
        const pixel = line * wide + place;
        if (depth < depths[pixel]) { depths[pixel] = depth; pixels[pixel] = colour; owners[pixel] = at; }
      }
    }
  }
  shade(pixels, wide, high);
  pen.putImageData(image, 0, 0);
  if (state.boxes) outlines(wide, high, focal, sharp);
}

// Points behind an edge are darkened (eye-dome lighting), which makes shapes stand out.
function shade(pixels, wide, high) {
  for (let line = 1; line < high - 1; line++) {
    for (let pixel = line * wide + 1; pixel < (line + 1) * wide - 1; pixel++) {
      const depth = depths[pixel];
      if (depth === Infinity) continue;
      const edge = 1 - Math.min(depths[pixel - 1], depths[pixel + 1], depths[pixel - wide], depths[pixel + wide]) / depth;
      if (edge < 0.01) continue;
      const keep = Math.max(0.35, 1 - 5 * edge), colour = pixels[pixel];
      pixels[pixel] = packedColour([(colour & 255) * keep, (colour >> 8 & 255) * keep, (colour >> 16 & 255) * keep]);
    }
  }
}

function outlines(wide, high, focal, sharp) {
  const { ahead, right, up, eye } = view();
  const onto = ([px, py, pz]) => {
    const x = px - eye[0], y = py - eye[1], z = pz - eye[2];
    const depth = x * ahead[0] + y * ahead[1] + z * ahead[2];
    if (depth < 0.5) return null;
    const scale = focal / depth;
    return [wide / 2 + (x * right[0] + y * right[1]) * scale, high / 2 - (x * up[0] + y * up[1] + z * up[2]) * scale];
  };
  const frame = content.frames[state.frame];
  pen.lineWidth = 1.2 * sharp;
  frame.boxes.forEach(([x, y, z, length, width, height, yaw], number) => {
    const kind = content.classes.indexOf(frame.kinds[number]);
    if (state.hidden.has(kind)) return;
    pen.strokeStyle = content.colours[kind] || "#ffffff";
    const corner = (along, across, above) => onto([
      x + Math.cos(yaw) * along * length / 2 - Math.sin(yaw) * across * width / 2,
      y + Math.sin(yaw) * along * length / 2 + Math.cos(yaw) * across * width / 2, z + above * height / 2]);
    const line = (from, to) => { if (from && to) { pen.moveTo(...from); pen.lineTo(...to); } };
    pen.beginPath();
    for (const a of [-1, 1]) for (const b of [-1, 1]) {
      line(corner(-1, a, b), corner(1, a, b));
      line(corner(a, -1, b), corner(a, 1, b));
      line(corner(a, b, -1), corner(a, b, 1));
    }
    line(corner(1, -1, -1), corner(1, 1, 1)); // a cross marks the front
    line(corner(1, 1, -1), corner(1, -1, 1));
    pen.stroke();
  });
  const [sensor, nose] = [onto([0, 0, 0]), onto([3, 0, 0])];
  if (sensor && nose) {
    pen.strokeStyle = pen.fillStyle = "#e8edf4";
    pen.beginPath(); pen.moveTo(...sensor); pen.lineTo(...nose); pen.stroke();
    pen.beginPath(); pen.arc(...sensor, 3 * sharp, 0, 2 * Math.PI); pen.fill();
  }
}

function controls() {
  panel.replaceChildren();
  const button = (text, pressed, act) => {
    const made = make("button", { type: "button", "aria-pressed": String(pressed) }, text);
    made.addEventListener("click", act);
    return made;
  };
  const row = (heading, made) => {
    panel.append(make("h2", {}, heading));
    const line = make("div", { class: "row" });
    line.append(...made);
    panel.append(line);
  };
  row("Colour", modes().map(([key, text]) => button(text, state.mode === key, () => { state.mode = key; recolour(); controls(); })));
  row("View", [["Start", START], ["Above", { ...START, tilt: 1.5707, far: 75, x: 0 }], ["Driver", { ...START, tilt: 0.16, far: 14, x: 4 }]]
    .map(([text, place]) => {
      const made = button(text, false, () => { Object.assign(camera, place); draw(); });
      made.removeAttribute("aria-pressed");
      return made;
    }).concat(content.frames[state.frame].boxes.length ?
      [button("Boxes", state.boxes, () => { state.boxes = !state.boxes; draw(); controls(); })] : []));
  const size = make("input", { type: "range", min: 1, max: 5, step: 0.5, value: state.size, "aria-label": "size of points" });
  size.addEventListener("input", () => { state.size = Number(size.value); draw(); });
  const label = make("label", {}, "Points");
  label.append(size);
  panel.append(label);
  const classes = shownClasses();
  if (!classes) return;
  const counts = new Array(none + 1).fill(0);
  for (const kind of classes) counts[kind]++;
  panel.append(make("h2", {}, "Classes (a click hides, a double click shows one alone)"));
  const list = make("div", { class: "classes" });
  const there = counts.map((count, kind) => [count, kind]).filter(([count]) => count).sort((a, b) => b[0] - a[0]);
  for (const [count, kind] of there) {
    const share = 100 * count / classes.length;
    const made = button("", !state.hidden.has(kind), () => {
      if (!state.hidden.delete(kind)) state.hidden.add(kind);
      made.setAttribute("aria-pressed", String(!state.hidden.has(kind)));
      recolour();
    });
    made.addEventListener("dblclick", () => {
      const alone = there.every(([, other]) => other === kind || state.hidden.has(other));
      state.hidden = new Set(alone ? [] : there.map(([, other]) => other).filter((other) => other !== kind));
      recolour();
      controls();
    });
    const swatch = make("i");
    swatch.style.background = content.colours[kind];
    made.append(swatch, content.classes[kind], make("span", {}, `${share < 1 ? share.toFixed(2) : share.toFixed(1)} %`));
    list.append(made);
  }
  panel.append(list);
}

function pointed(event) {
  const sharp = canvas.width / canvas.clientWidth, reach = Math.ceil(2 * sharp);
  const column = Math.round(event.offsetX * sharp), row = Math.round(event.offsetY * sharp);
  let best = -1, nearest = Infinity;
  for (let y = Math.max(0, row - reach); y <= Math.min(canvas.height - 1, row + reach); y++)
    for (let x = Math.max(0, column - reach); x <= Math.min(canvas.width - 1, column + reach); x++) {
      const pixel = y * canvas.width + x;
      if (owners[pixel] >= 0 && depths[pixel] < nearest) { nearest = depths[pixel]; best = owners[pixel]; }
    }
  tip.hidden = best < 0;
  if (best < 0) return;
  const [x, y, z] = points.xyz.subarray(3 * best, 3 * best + 3);
  const named = [];
  if (points.truth) named.push(content.classes[points.truth[best]]);
  if (points.predicted) named.push(`${points.truth ? "predicted " : ""}${content.classes[points.predicted[best]]}`);
  named.push(`${Math.hypot(x, y, z).toFixed(1)} m away`, `${(z).toFixed(2)} m over the sensor`);
  tip.textContent = named.join(", ");
  tip.style.left = `${Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${event.clientY + 14}px`;
}

const touches = new Map();
let apart = 0;
canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  touches.set(event.pointerId, event);
  tip.hidden = true;
  apart = 0;
});
canvas.addEventListener("pointermove", (event) => {
  const before = touches.get(event.pointerId);
  if (!before) { if (points && owners) pointed(event); return; }
  const dx = event.clientX - before.clientX, dy = event.clientY - before.clientY;
  touches.set(event.pointerId, event);
  if (touches.size === 2) {
    const [one, two] = [...touches.values()];
    const now = Math.hypot(one.clientX - two.clientX, one.clientY - two.clientY);
    if (apart) zoom(apart / now);
    apart = now;
    move(dx / 2, dy / 2);
  } else if (event.shiftKey || event.buttons & 2) move(dx, dy);
  else turn(-dx * 0.006, dy * 0.006);
});
for (const name of ["pointerup", "pointercancel"])
  canvas.addEventListener(name, (event) => { touches.delete(event.pointerId); apart = 0; });
canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
canvas.addEventListener("contextmenu", (event) => event.preventDefault());
canvas.addEventListener("wheel", (event) => { event.preventDefault(); zoom(Math.exp(event.deltaY * 0.0012)); }, { passive: false });
const KEYS = { ArrowLeft: () => turn(0.08, 0), ArrowRight: () => turn(-0.08, 0), ArrowUp: () => turn(0, 0.06),
  ArrowDown: () => turn(0, -0.06), "+": () => zoom(0.9), "-": () => zoom(1.1), Home: () => { Object.assign(camera, START); draw(); } };
canvas.addEventListener("keydown", (event) => {
  if (!KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});

function turn(around, over) {
  camera.turn += around;
  camera.tilt = Math.min(1.5707, Math.max(-0.2, camera.tilt + over));
  draw();
}
function zoom(factor) {
  camera.far = Math.min(250, Math.max(2, camera.far * factor));
  draw();
}
function move(dx, dy) {
  const { right } = view(), scale = camera.far / (0.9 * Math.min(canvas.clientWidth, canvas.clientHeight * 1.5));
  const forth = [-Math.cos(camera.turn), -Math.sin(camera.turn)];
  camera.x += (-right[0] * dx + forth[0] * dy) * scale;
  camera.y += (-right[1] * dx + forth[1] * dy) * scale;
  draw();
}

if (content.frames.length > 1) {
  film.hidden = false;
  const play = make("button", { type: "button", "aria-pressed": "false" }, "Play");
  const slide = make("input", { type: "range", min: 0, max: content.frames.length - 1, value: 0, "aria-label": "frame" });
  slide.addEventListener("input", () => load(Number(slide.value)));
  const advance = async () => {
    await load((state.frame + 1) % content.frames.length);
    slide.value = state.frame;
    if (state.playing) state.playing = setTimeout(advance, 100);
  };
  play.addEventListener("click", () => {
    clearTimeout(state.playing);
    state.playing = state.playing ? 0 : setTimeout(advance, 100);
    play.textContent = state.playing ? "Pause" : "Play";
    play.setAttribute("aria-pressed", String(Boolean(state.playing)));
  });
  film.append(play, slide);
}
window.addEventListener("resize", draw);
load(0);
})();
