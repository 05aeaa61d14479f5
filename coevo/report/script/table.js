// The table of trials: only one page of rows ever stands in the document.
const PAGE = 25;
function drawTable() {
  const home = $("trials-table");
  if (!home) return;
  const why = (row) => [D.reasons[T.reason[row]], D.troubles[T.trouble[row]], T.cached[row] >= 0 ? `cached from #${T.cached[row]}` : ""].filter(Boolean).join(" · ");
  const trouble = D.reasons.some(Boolean) || D.troubles.some(Boolean) || T.cached.some((source) => source >= 0);
  const columns = [
    { title: "#", of: (row) => T.index[row], numeric: true }, { title: "key", of: (row) => keyOf(row).slice(0, 12), mono: true },
    { title: "state", of: stateOf, state: true },
    ...(D.stages.length > 1 ? [{ title: "stage", of: (row) => D.stages[T.stage[row]] }] : []),
    ...D.metrics.map((each) => ({ title: each.name, unit: each.unit, of: (row) => metric(each.name)[row], numeric: true })),
    { title: "cost", unit: "s", of: (row) => T.cost[row], numeric: true },
    { title: "came from", of: cameFrom },
    ...(trouble ? [{ title: "why it failed, what befell it", of: why, wide: true }] : []),
  ];
  let sorted = 0, down = false, page = 0, order = [];
  const arrange = () => {
    const get = columns[sorted].of, sign = down ? -1 : 1;
    order = matching.slice();
    if (sorted || down) {
      const values = new Map(order.map((row) => [row, get(row)])), empty = (value) => value === null || value === undefined || value === "";
      order.sort((a, b) => {
        const x = values.get(a), y = values.get(b);
        if (x === y) return a - b;
        if (empty(x)) return 1; // what is absent stands last, whichever way
        if (empty(y)) return -1;
        return (x < y ? -1 : 1) * sign;
      });
    }
    page = 0;
  };
  const body = make("tbody"), heads = make("tr"), position = make("span", { class: "soft", id: "trials-position" });
  const turn = (by) => () => { page += by; render(); };
  const back = make("button", { type: "button", onclick: turn(-1) }, "‹ back"), next = make("button", { type: "button", onclick: turn(1) }, "next ›");
  const sortBy = (at) => { down = sorted === at ? !down : false; sorted = at; arrange(); render(); };
  columns.forEach((own, at) => heads.append(make("th", { "data-sort": at, class: own.numeric ? "num" : null, tabindex: 0, onclick: () => sortBy(at),
    onkeydown: (event) => { if (event.key === "Enter") sortBy(at); } }, own.title, ...(own.unit ? [make("small", {}, ` ${own.unit}`)] : []), make("span", { class: "arrow" }))));
  const cell = (own, row) => {
    const value = own.of(row);
    if (own.state) return make("td", {}, make("span", { class: `state ${value.replace(" ", "-")}` }, value));
    return make("td", { class: [own.numeric ? "num" : "", own.mono ? "key" : "", own.wide ? "text" : ""].join(" ").trim() || null }, own.numeric ? number(value) : String(value ?? ""));
  };
  const render = () => {
    const pages = Math.max(1, Math.ceil(order.length / PAGE));
    page = Math.min(Math.max(page, 0), pages - 1);
    body.replaceChildren(...order.slice(page * PAGE, (page + 1) * PAGE).map((row) => make("tr", { "data-open": T.index[row], tabindex: 0 }, ...columns.map((own) => cell(own, row)))));
    heads.querySelectorAll(".arrow").forEach((arrow, at) => { arrow.textContent = at === sorted ? (down ? " ↓" : " ↑") : ""; });
    position.textContent = order.length ? `${grouped(page * PAGE + 1)}–${grouped(Math.min(order.length, (page + 1) * PAGE))} of ${grouped(order.length)}` : "no design fits the filter";
    back.disabled = page === 0;
    next.disabled = page >= pages - 1;
  };
  home.append(make("div", { class: "controls" }, back, next, position), make("div", { class: "wide" }, make("table", {}, make("thead", {}, heads), body)));
  onFilter(() => { arrange(); render(); });
}
