
"use strict";
{
  const body = document.querySelector("tbody"), rows = [...body.rows];
  const search = document.querySelector("input"), sort = document.querySelector("select");
  const buttons = [...document.querySelectorAll("[data-kind]")], heads = [...document.querySelectorAll("th:not(.life)")];
  const text = new Map(rows.map(row => [row, [...row.cells].slice(0, 2).map(cell => cell.textContent).join(" ").toLowerCase()]));

  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kinds = buttons.filter(b => b.getAttribute("aria-pressed") === "true").map(b => b.dataset.kind);
    let shown = 0;
    for (const row of rows) {
      const has = row.dataset.kinds.split(" ");
      row.hidden = !words.every(w => text.get(row).includes(w)) || kinds.length > 0 && !kinds.some(k => has.includes(k));
      if (!row.hidden) shown++;
    }
    document.querySelector("output").textContent = `${shown} of ${rows.length}`;
  };
  const order = (column, up) => {
    const key = row => row.cells[column].dataset.sort, number = "number" in (rows[0]?.cells[column].dataset ?? {});
    const compare = number ? (a, b) => key(a) - key(b) : (a, b) => key(a).localeCompare(key(b));
    const owner = row => "owner" in row.dataset; // these have no token to sort by, so they come last
    body.append(...rows.toSorted((a, b) => owner(a) - owner(b) || (up ? compare(a, b) : compare(b, a))));
    heads.forEach((head, i) => i === column ? head.setAttribute("aria-sort", up ? "ascending" : "descending") : head.removeAttribute("aria-sort"));
    sort.value = column;
  };

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => order(column, head.getAttribute("aria-sort") !== "ascending"));
    head.replaceChildren(button);
  });
  buttons.forEach(b => b.addEventListener("click", () => {
    b.setAttribute("aria-pressed", String(b.getAttribute("aria-pressed") !== "true"));
    filter();
  }));
  search.addEventListener("input", filter);
  sort.addEventListener("change", () => order(Number(sort.value), true));
  document.querySelector(".controls").hidden = false;
  filter();
}
