// One design, in a dialog.
function openDetail(row) {
  const box = $("detail"), reason = D.reasons[T.reason[row]], trouble = D.troubles[T.trouble[row]];
  tell(null, null);
  const table = (pairs) => make("table", {}, make("tbody", {}, ...pairs.map(([name, value]) => make("tr", {}, make("td", {}, name), make("td", { class: "text" }, value)))));
  const answers = answersOf(row), parents = parentsOf(row).filter((parent) => rowOf.has(parent));
  const before = parents.length ? new Map(answersOf(rowOf.get(parents[0]))) : null;
  const value = ([name, own]) => {
    const was = before && (before.has(name) ? shown(before.get(name)) : NOT_ASKED);
    return [name, before && was !== shown(own) ? make("span", {}, `${shown(own)} `, make("span", { class: "soft" }, `(#${parents[0]}: ${was})`)) : shown(own)];
  };
  const stage = D.stages.length > 1 ? ` at stage ${D.stages[T.stage[row]]}` : "";
  box.replaceChildren(
    make("button", { type: "button", class: "close", onclick: () => box.close() }, "close"),
    make("h2", {}, `Design #${T.index[row]}`), make("p", { class: "key" }, keyOf(row)),
    make("p", {}, make("span", { class: `state ${stateOf(row).replace(" ", "-")}` }, stateOf(row)), stage, reason ? ` · ${reason}` : "", trouble ? ` · ${trouble}` : "", T.cached[row] >= 0 ? ` · cached from #${T.cached[row]}` : ""),
    make("p", {}, `${D.origins[T.origin[row]]}${parents.length ? " of " : ""}`, ...parents.map((parent) => make("button", { type: "button", "data-open": parent, class: "key" }, `#${parent}`))),
    make("h3", {}, "Measured"), table(D.metrics.filter((each) => typeof metric(each.name)[row] === "number").map((each) => [each.name, measured(each.name, row)]).concat([["evaluator seconds", number(T.cost[row])]])),
    make("h3", {}, "Answers"), answers.length ? table(answers.map(value)) : make("p", {}, place(row) === undefined ? "left out of this page for size; coevo explain shows them" : "none"),
  );
  if (!box.open) box.showModal();
  box.scrollTop = 0;
}
