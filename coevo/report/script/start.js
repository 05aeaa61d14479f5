// What happens when the page opens.
function listen() {
  document.addEventListener("click", async (event) => {
    const open = event.target.closest("[data-open]"), copy = event.target.closest("[data-copy]"), unfold = event.target.closest("[data-unfold]");
    if (open && rowOf.has(Number(open.dataset.open))) openDetail(rowOf.get(Number(open.dataset.open)));
    else if (unfold) { unfold.closest("tbody").nextElementSibling.hidden = false; unfold.closest("tbody").remove(); }
    else if (copy) {
      const text = copy.parentElement.querySelector("pre").textContent;
      try { await navigator.clipboard.writeText(text); copy.textContent = "copied"; } catch { getSelection().selectAllChildren(copy.parentElement.querySelector("pre")); copy.textContent = "selected: press Ctrl+C"; }
      setTimeout(() => { copy.textContent = "copy"; }, 2500);
    } else if (event.target === $("detail")) $("detail").close(); // beside the dialog
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Enter" && event.target.matches("tr[data-open]")) event.target.click(); });
  const root = document.documentElement;
  const paint = (theme) => { root.dataset.theme = theme; charts.forEach((chart) => chart.draw()); };
  $("theme").addEventListener("click", () => paint(root.dataset.theme === "dark" ? "light" : "dark"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => paint(event.matches ? "dark" : "light"));
}

async function start() {
  await load();
  listen();
  for (const draw of [drawFront, drawTable, drawHistory, drawParallel, drawFilter]) {
    try { draw(); } catch (error) { console.error(error); } // one picture that cannot be drawn must not take the others along
  }
  performance.mark("coevo-ready");
  document.documentElement.dataset.ready = "yes";
}
start().catch((error) => { console.error(error); document.querySelector("main").prepend(make("p", { class: "notes warning" }, String(error))); });
