"use strict";
// Sorts a table by the column whose button is pressed; pressed again, the other way.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  for (const [column, head] of heads.entries()) {
    const button = head.querySelector("button");
    if (button) button.addEventListener("click", () => sort(table, heads, column));
  }
}

function sort(table, heads, column) {
  const before = heads[column].getAttribute("aria-sort");
  const isNumeric = heads[column].hasAttribute("data-numeric");
  // Of numbers, the largest first; of texts, A first.
  const first = isNumeric ? "descending" : "ascending";
  const second = isNumeric ? "ascending" : "descending";
  const order = before === first ? second : first;
  for (const head of heads) head.removeAttribute("aria-sort");
  heads[column].setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const collator = new Intl.Collator(undefined, { numeric: true });
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => [valueOf(row.cells[column], isNumeric), row]);
  rows.sort(([a], [b]) => {
    if (!isNumeric) return sign * collator.compare(a, b);
    if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
    return sign * (a - b);
  });
  body.append(...rows.map(([, row]) => row));
}

function valueOf(cell, isNumeric) {
  if (!isNumeric) return cell.textContent.trim();
  return cell.dataset.sort ? Number(cell.dataset.sort) : NaN;
}
