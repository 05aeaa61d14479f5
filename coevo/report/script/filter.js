// One filter for the pictures and the table. Words are joined by "and": `depth=3`, `accuracy>0.9`, `state=front`,
// `stage=full`, or a text that stands in a key, a reason, an origin or an answer.
let matching = [];
const listeners = [];
const onFilter = (listener) => listeners.push(listener);
const COMPARE = { "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b };

// A mask over rows for one word.
function mask(word) {
  const found = new Uint8Array(count), parts = /^(.+?)(<=|>=|!=|=|<|>)(.*)$/.exec(word);
  const test = parts && comparison(parts[1], parts[2], parts[3]);
  if (test) { for (let row = 0; row < count; row++) found[row] = test(row) ? 1 : 0; return found; }
  const lower = word.toLowerCase(), holds = (texts) => texts.map((text) => text.toLowerCase().includes(lower));
  const reasons = holds(D.reasons), troubles = holds(D.troubles), origins = holds(D.origins);
  for (let row = 0; row < count; row++) {
    found[row] = `#${T.index[row]}` === lower || keyOf(row).includes(lower) || reasons[T.reason[row]] || troubles[T.trouble[row]] || origins[T.origin[row]] ? 1 : 0;
  }
  for (const column of D.answers.columns) {
    if (column.derived) continue;
    const values = column.values.map((value) => `${column.name}=${shown(value)}`.toLowerCase().includes(lower));
    if (!values.some(Boolean)) continue;
    column.codes.forEach((code, at) => { if (code >= 0 && values[code]) found[answerPlace === null ? at : D.answers.rows[at]] = 1; });
  }
  return found;
}

function comparison(name, sign, text) {
  const given = text.toLowerCase(), wanted = Number(text), numeric = text !== "" && !Number.isNaN(wanted);
  const equal = (value) => (typeof value === "number" && numeric ? value === wanted : shown(value).toLowerCase() === given);
  const judge = (of) => (row) => {
    const value = of(row);
    if (value === undefined || value === null) return false;
    if (sign === "=") return equal(value);
    if (sign === "!=") return !equal(value);
    return typeof value === "number" && numeric && COMPARE[sign](value, wanted);
  };
  const own = { state: stateOf, stage: (row) => D.stages[T.stage[row]], origin: (row) => D.origins[T.origin[row]], key: keyOf, cost: (row) => T.cost[row], "#": (row) => T.index[row] };
  if (answerColumn.has(name)) return judge((row) => answer(answerColumn.get(name), row));
  if (T.metrics[name]) return judge((row) => T.metrics[name][row]);
  return Object.hasOwn(own, name.toLowerCase()) ? judge(own[name.toLowerCase()]) : null;
}

function applyFilter(text, state) {
  const masks = text.split(/\s+/).filter(Boolean).map(mask);
  matching = [];
  for (let row = 0; row < count; row++) {
    if ((state === "" || T.state[row] === Number(state)) && masks.every((own) => own[row])) matching.push(row);
  }
  for (const listener of listeners) listener();
}

function drawFilter() {
  const home = $("filter");
  if (!count) { home.remove(); applyFilter("", ""); return; }
  const note = make("span", { class: "soft", id: "filter-count" });
  const search = make("input", { type: "search", id: "filter-text", placeholder: "filter: depth=3  accuracy>0.9  a key, a reason", "aria-label": "filter designs" });
  const kind = make("select", { id: "filter-state", "aria-label": "state" }, make("option", { value: "" }, "every state"));
  D.states.forEach((name, at) => {
    const own = T.state.reduce((sum, state) => sum + (state === at), 0);
    if (own) kind.append(make("option", { value: at }, `${name} (${grouped(own)})`));
  });
  const clear = make("button", { type: "button", hidden: "", onclick: () => { search.value = kind.value = ""; apply(); } }, "clear");
  const apply = () => {
    applyFilter(search.value, kind.value);
    clear.hidden = !search.value && !kind.value;
    const whole = count < D.total ? `${grouped(count)} in this page, of ${grouped(D.total)}` : grouped(count);
    note.textContent = matching.length === count ? `${whole} designs` : `${grouped(matching.length)} of ${whole} designs`;
    if (answerPlace !== null && search.value) note.textContent += `, answers of ${grouped(D.answers.rows.length)} are searched`;
  };
  let waiting = 0;
  search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(apply, 120); });
  kind.addEventListener("change", apply);
  home.append(search, kind, clear, note);
  apply();
}
