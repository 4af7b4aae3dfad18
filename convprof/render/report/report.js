"use strict";
// The page is complete without this script; it adds sorting, filters, and links between the
// points of charts and the rows of tables.

const SCALE = { K: 1e3, k: 1e3, M: 1e6, G: 1e9, T: 1e12, n: 1e-9, "µ": 1e-6, m: 1e-3,
  Ki: 1024, Mi: 1024 ** 2, Gi: 1024 ** 3, Ti: 1024 ** 4 };
const NUMBER = /^[^\d+\-−]*([+\-−]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?)\s*(?:([KMGT]i|[KkMGTnµm])(?=B|s|FLOP|Hz|b))?/;

function number(text) {
  const match = NUMBER.exec(text.trim());
  if (!match) return null;
  return Number(match[1].replaceAll(",", "").replace("−", "-")) * (SCALE[match[2]] || 1);
}

function key(row, column, numeric) {
  const text = row.cells[column].textContent;
  return numeric ? number(text) : text.trim() || null;
}

function sort(table, column, numeric) {
  const heading = table.tHead.rows[0].cells[column];
  const next = heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  const sign = next === "ascending" ? 1 : -1;
  const rows = Array.from(table.tBodies[0].rows, (row) => [key(row, column, numeric), row]);
  rows.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null);  // unknown is always last
    return sign * (numeric ? a - b : a.localeCompare(b, undefined, { numeric: true }));
  });
  table.tBodies[0].append(...rows.map(([, row]) => row));
  table.tBodies[0].append(...table.querySelectorAll("tr[data-total]"));
  for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", next);
}

function sortable(table) {
  Array.from(table.tHead.rows[0].cells).forEach((cell, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...cell.childNodes);
    cell.append(button);
    button.addEventListener("click", () => sort(table, column, cell.classList.contains("right")));
  });
}

function filter(input) {
  const body = document.getElementById(input.dataset.table).tBodies[0];
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of body.rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
    shown += !row.hidden;
  }
  input.closest("p").querySelector("[role=status]").textContent =
    words.length ? `${shown} of ${body.rows.length} rows` : "";
}

function linked(name) {
  return document.querySelectorAll(`[data-key="${CSS.escape(name)}"]`);
}

function mark(event, on) {
  const element = event.target.closest("[data-key]");
  if (element) for (const each of linked(element.dataset.key)) each.classList.toggle("linked", on);
}

for (const table of document.querySelectorAll("table.sortable")) sortable(table);
for (const input of document.querySelectorAll(".filter input")) {
  input.closest("p").hidden = false;
  input.addEventListener("input", () => filter(input));
}
for (const name of ["mouseover", "focusin"]) document.addEventListener(name, (e) => mark(e, true));
for (const name of ["mouseout", "focusout"]) document.addEventListener(name, (e) => mark(e, false));
addEventListener("beforeprint", () => {
  for (const each of document.querySelectorAll("details:not(.raw)")) each.open = true;
});
document.addEventListener("click", (event) => {
  const point = event.target.closest("a.point");
  if (!point) return;
  const row = document.getElementById(point.getAttribute("href").slice(1));
  const details = row && row.closest("details");
  if (details) details.open = true;
});
