"use strict";
// The browser need not lay out thousands of rows before show removes most.
document.documentElement.classList.add("loading");
document.addEventListener("DOMContentLoaded", () => {
  document.documentElement.classList.remove("loading");
  const find = selector => document.querySelector(selector), findAll = selector => [...document.querySelectorAll(selector)];
  const body = find("tbody"), rows = [...body.rows], heads = findAll("thead th").slice(0, 6), kinds = findAll("[data-kind]");
  const search = find("input"), sort = find("select"), more = find(".more");
  // Only some rows are in the page at once, because thousands make it slow.
  const few = 50, step = 500;
  let limit = few, sorted = rows;

  // Accents don't matter to the filter, so celik finds Çelik.
  const fold = text => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const texts = new Map(rows.map(row => [row, fold(row.cells[0].textContent + " " + row.cells[1].textContent)]));
  const isPressed = button => button.getAttribute("aria-pressed") === "true";

  const show = () => {
    const words = fold(search.value).split(/\s+/).filter(Boolean), pressed = kinds.filter(isPressed);
    const hasKind = row => pressed.length === 0 || row.dataset.kinds.split(" ").some(kind => pressed.some(button => button.dataset.kind === kind));
    const found = sorted.filter(row => hasKind(row) && words.every(word => texts.get(row).includes(word)));
    body.replaceChildren(...found.slice(0, limit));
    const rest = found.length - limit;
    more.hidden = rest <= 0;
    more.textContent = `Show ${Math.min(rest, step)} more`;
    const labels = pressed.map(button => button.firstChild.textContent).join(" or ");
    find("output").textContent = `${found.length} of ${rows.length} rows` + (labels && `, only ${labels}`) +
      (sort.value && `, sorted by ${sort.selectedOptions[0].textContent}`) + (rest > 0 ? `, the first ${limit} are shown` : "");
  };
  const showFirst = () => {
    limit = few;
    show();
  };
  const order = () => {
    const column = parseInt(sort.value), sign = sort.value.endsWith("down") ? -1 : 1, isText = column < 2;
    const { compare } = new Intl.Collator(undefined, { numeric: true });
    const key = row => isText ? row.cells[column].querySelector("bdi")?.textContent ?? "" : Number(row.cells[column].dataset.sort);
    const isOwner = row => "owner" in row.dataset; // these have no token to sort by, so they come last
    if (sort.value) {
      const keys = new Map(rows.map(row => [row, key(row)]));
      sorted = rows.toSorted((a, b) => isOwner(a) - isOwner(b) ||
        sign * (isText ? compare(keys.get(a), keys.get(b)) : keys.get(a) - keys.get(b)));
    } else {
      sorted = rows;
    }
    heads.forEach((head, i) => i === column ? head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending") : head.removeAttribute("aria-sort"));
    showFirst();
  };

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => {
      sort.value = `${column} ${head.getAttribute("aria-sort") === "ascending" ? "down" : "up"}`;
      order();
    });
    head.replaceChildren(button);
  });
  for (const button of kinds) {
    button.disabled = false;
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(!isPressed(button)));
      showFirst();
    });
  }
  search.addEventListener("input", showFirst);
  sort.addEventListener("change", order);
  find(".clear").addEventListener("click", () => {
    search.value = "";
    kinds.forEach(button => button.setAttribute("aria-pressed", "false"));
    showFirst();
  });
  more.addEventListener("click", () => {
    limit += step;
    show();
  });
  find(".controls").hidden = false;
  order(); // a browser may remember the sort of the last visit
});
